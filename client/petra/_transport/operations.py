"""The kinds of calls, and how each reads its answer. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Generic, TypeVar

from petra._transport.calls import VALUES, Address, Answer, Call, Retry
from petra.errors import DecodeError, PetraError
from petra.v1 import storage_pb2 as pb
from petra.values import Codec, Encoding, Entry, Throttled, Value

T = TypeVar("T")
D = TypeVar("D")


class Get(Call[Value | D]):
    method = int(pb.METHOD_GET)

    def __init__(self, address: Address, key: str, codec: Codec, default: D) -> None:
        self.address = address
        self.key = key
        self.codec = codec
        self.default = default

    def read(self, answer: Answer) -> Value | D:
        if not answer.version:
            return self.default
        return decoded(self.codec, answer.value, answer.encoding)


class GetEntry(Call[Entry | None]):
    method = int(pb.METHOD_GET)

    def __init__(self, address: Address, key: str, codec: Codec) -> None:
        self.address = address
        self.key = key
        self.codec = codec

    def read(self, answer: Answer) -> Entry | None:
        if not answer.version:
            return None
        value = decoded(self.codec, answer.value, answer.encoding)
        return Entry(self.key, value, answer.version, moment(answer.expires_at_ms))


class Set(Call[int]):
    """Answers with the new version."""

    method = int(pb.METHOD_SET)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> int:
        return answer.version


class Delete(Call[bool]):
    """Answers whether there was an entry."""

    method = int(pb.METHOD_DELETE)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> bool:
        return answer.number != 0


class Increment(Call[int]):
    """Answers with the sum."""

    method = int(pb.METHOD_INCREMENT)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> int:
        return answer.number


class Touch(Call[bool]):
    """Answers whether there is such an entry."""

    method = int(pb.METHOD_TOUCH)
    mutates = True

    def read(self, answer: Answer) -> bool:
        return answer.number != 0


class Embedded(Call[T], Generic[T]):
    """A call whose request is a message of its own."""

    columns = VALUES

    def __init__(self, address: Address, value: bytes) -> None:
        self.address = address
        self.value = value

    @property
    def size_bytes(self) -> int:
        return len(self.value)


class GetMany(Embedded[dict[str, Entry]]):
    method = int(pb.METHOD_GET_MANY)

    def __init__(self, address: Address, value: bytes, codec: Codec) -> None:
        super().__init__(address, value)
        self.codec = codec

    def read(self, answer: Answer) -> dict[str, Entry]:
        entries = pb.GetManyResponse.FromString(answer.value).entries
        return {entry.key: entry_of(entry, self.codec) for entry in entries}


class SetMany(Embedded[dict[str, int]]):
    """Answers with the new versions."""

    method = int(pb.METHOD_SET_MANY)
    retry = Retry.ONCE
    mutates = True

    def __init__(self, address: Address, value: bytes, keys: tuple[str, ...]) -> None:
        super().__init__(address, value)
        self.keys = keys

    def read(self, answer: Answer) -> dict[str, int]:
        return dict(zip(self.keys, pb.SetManyResponse.FromString(answer.value).versions, strict=True))


class DeleteMany(Embedded[int]):
    """Answers how many were there."""

    method = int(pb.METHOD_DELETE_MANY)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> int:
        return pb.DeleteManyResponse.FromString(answer.value).deleted


class List(Embedded[tuple[list[Entry], bytes]]):
    """Answers with a page: its entries, and the token of the next page, empty on the last."""

    method = int(pb.METHOD_LIST)

    def __init__(self, address: Address, value: bytes, codec: Codec, keys_only: bool) -> None:
        super().__init__(address, value)
        self.codec = codec
        self.keys_only = keys_only

    def read(self, answer: Answer) -> tuple[list[Entry], bytes]:
        response = pb.ListResponse.FromString(answer.value)
        if self.keys_only:
            entries = [Entry(e.key, None, e.version, moment(e.expires_at_ms)) for e in response.entries]
        else:
            entries = [entry_of(entry, self.codec) for entry in response.entries]
        return entries, response.next_page_token


class Clear(Embedded[int]):
    """Answers how many were removed. It has no request id."""

    method = int(pb.METHOD_CLEAR)
    retry = Retry.NEVER
    mutates = True

    def read(self, answer: Answer) -> int:
        return pb.ClearResponse.FromString(answer.value).deleted


class Throttle(Embedded[Throttled]):
    method = int(pb.METHOD_THROTTLE)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> Throttled:
        return throttled_of(pb.ThrottleResponse.FromString(answer.value))


class Transact(Embedded[pb.TransactResponse]):
    """Answers with the response itself; petra.recording reads it."""

    method = int(pb.METHOD_TRANSACT)
    retry = Retry.ONCE
    mutates = True

    def read(self, answer: Answer) -> pb.TransactResponse:
        return pb.TransactResponse.FromString(answer.value)


def moment(expires_at_ms: int) -> datetime | None:
    """An expiry on the wire as a point in time."""
    return datetime.fromtimestamp(expires_at_ms / 1_000, UTC) if expires_at_ms else None


def decoded(codec: Codec, data: bytes, encoding: int) -> Value:
    """The value of stored bytes. Raises DecodeError, whatever the codec raises."""
    try:
        return codec.decode(data, Encoding(encoding))
    except PetraError:
        raise
    except Exception as error:
        raise DecodeError(f"The codec cannot read the value: {error!r}.") from error


def entry_of(entry: pb.Entry, codec: Codec) -> Entry:
    value = decoded(codec, entry.value, entry.encoding)
    return Entry(entry.key, value, entry.version, moment(entry.expires_at_ms))


def throttled_of(response: pb.ThrottleResponse) -> Throttled:
    return Throttled(
        response.allowed,
        response.limit,
        response.remaining,
        response.retry_after_ms / 1_000,
        response.reset_after_ms / 1_000,
        tuple(map(throttled_of, response.each)) if response.each else (),
    )
