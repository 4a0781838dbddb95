"""From the arguments of a method to its call. Pure.

Both client trees build their calls here, so what is checked and written is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from petra._transport.arguments import (
    algorithm_number,
    checked_key,
    durability_number,
    int64,
    positive_uint32,
    uint32,
    unique_keys,
    version_number,
)
from petra._transport.calls import (
    CONDITIONS,
    DURABILITIES,
    ENCODINGS,
    INITIALS,
    NUMBERS,
    REQUEST_IDS,
    TIMEOUTS,
    TTLS,
    VALUES,
    Address,
    Call,
    Retry,
)
from petra._transport.ids import next_request_id
from petra._transport.operations import (
    Clear,
    Delete,
    DeleteMany,
    Get,
    GetEntry,
    GetMany,
    Increment,
    List,
    Set,
    SetMany,
    Throttle,
    Touch,
    Transact,
)
from petra._transport.packing import MESSAGE_BYTES, MESSAGE_CALLS
from petra.errors import EncodeError, InvalidArgument
from petra.v1 import storage_pb2 as pb
from petra.values import Algorithm, Codec, Durability, Encoding, Entry, RateLimit, Seconds, Value, to_ttl_ms

if TYPE_CHECKING:
    _Addressed = (
        pb.GetManyRequest
        | pb.SetManyRequest
        | pb.DeleteManyRequest
        | pb.ListRequest
        | pb.ClearRequest
        | pb.ThrottleRequest
        | pb.TransactRequest
    )

D = TypeVar("D")
R = TypeVar("R")
T = TypeVar("T")

_JSON: Final = int(Encoding.JSON)
_IF_VERSION: Final = int(pb.OPERATION_OPTION_IF_VERSION)
_KEEP_TTL: Final = int(pb.OPERATION_OPTION_KEEP_TTL)
_ABSENT: Final = object()


class Bulk(Generic[R]):
    """Calls made together, and how their results become one."""

    __slots__ = ("calls", "combine")

    def __init__(self, calls: Sequence[Call[Any]], combine: Callable[[Iterable[Any]], R]) -> None:
        self.calls = calls
        self.combine = combine

    def result(self) -> R:
        """The result, when each call is answered. Raises the first error among them."""
        return self.combine([call.result() for call in self.calls])


def _values(parts: Iterable[Mapping[str, Entry]]) -> dict[str, Value]:
    return {key: entry.value for part in parts for key, entry in part.items()}


def _named(keys: Sequence[str]) -> Callable[[Iterable[Value]], dict[str, Value]]:
    """The values of those keys that are there."""
    return lambda values: {key: value for key, value in zip(keys, values, strict=True) if value is not _ABSENT}


def _present(entries: Iterable[Entry | None]) -> dict[str, Entry]:
    return {entry.key: entry for entry in entries if entry is not None}


def merged(parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """All of the mappings in one."""
    return {key: value for part in parts for key, value in part.items()}


def encoded(codec: Codec, value: Value) -> tuple[bytes, Encoding]:
    """The bytes of a value. Raises EncodeError, also for a codec that makes something else than bytes."""
    data, encoding = codec.encode(value)
    if type(data) is not bytes:
        raise EncodeError(f"The codec made {type(data).__name__} instead of bytes.", path="value")
    return data, encoding


# Of rate limits, of an address: some 200 bytes each.
_KNOWN_CHECKS = 4_096


class Requests:
    """Builds the calls of one address."""

    def __init__(self, address: Address, codec: Codec, durability: Durability | None) -> None:
        self.address = address
        self.codec = codec
        self.durability = durability_number(durability)
        self._checks: dict[tuple[object, ...], bytes] = {}

    def get(self, key: str, default: D) -> Get[D]:
        return Get(self.address, checked_key(key), self.codec, default)

    def get_entry(self, key: str) -> GetEntry:
        return GetEntry(self.address, checked_key(key), self.codec)

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl: Seconds | None = None,
        keep_ttl: bool = False,
        if_version: int | None = None,
        if_absent: bool = False,
        durability: Durability | None = None,
    ) -> Set:
        call = Set()
        call.address = self.address
        call.key = checked_key(key)
        call.value, encoding = encoded(self.codec, value)
        columns = VALUES | REQUEST_IDS
        if encoding == _JSON:
            call.encoding = _JSON
            columns |= ENCODINGS
        if ttl is not None:
            call.ttl_ms = to_ttl_ms(ttl)
            columns |= TTLS
        if keep_ttl or if_absent or if_version is not None:
            call.if_version, call.options = _conditions(if_version, if_absent=if_absent, keep_ttl=keep_ttl, ttl=ttl)
            columns |= CONDITIONS
        call.columns = columns
        self._envelope(call, durability)
        return call

    def delete(self, key: str, *, if_version: int | None = None, durability: Durability | None = None) -> Delete:
        call = Delete()
        call.address = self.address
        call.key = checked_key(key)
        call.columns = REQUEST_IDS
        if if_version is not None:
            call.if_version, call.options = _conditions(if_version)
            call.columns |= CONDITIONS
        self._envelope(call, durability)
        return call

    def increment(
        self,
        key: str,
        delta: int = 1,
        *,
        initial: int = 0,
        ttl: Seconds | None = None,
        durability: Durability | None = None,
    ) -> Increment:
        call = Increment()
        call.address = self.address
        call.key = checked_key(key)
        call.number = int64(delta, "delta")
        call.columns = REQUEST_IDS | NUMBERS
        if initial:
            call.initial = int64(initial, "initial")
            call.columns |= INITIALS
        if ttl is not None:
            call.ttl_ms = to_ttl_ms(ttl)
            call.columns |= TTLS
        self._envelope(call, durability)
        return call

    def touch(self, key: str, ttl: Seconds | None) -> Touch:
        call = Touch()
        call.address = self.address
        call.key = checked_key(key)
        call.ttl_ms = to_ttl_ms(ttl)
        call.columns = TTLS
        return call

    def get_many(self, keys: Iterable[str]) -> Bulk[dict[str, Value]]:
        """See get_entries."""
        unique = unique_keys(keys)
        if not self.address.object:
            return Bulk([Get(self.address, key, self.codec, _ABSENT) for key in unique], _named(unique))
        return Bulk(self.get_entries(unique).calls, _values)

    def get_entries(self, keys: Iterable[str]) -> Bulk[dict[str, Entry]]:
        """Flat keys are read one by one: columns of single reads cost least. An object's are read in one snapshot."""
        unique = unique_keys(keys)
        if not self.address.object:
            return Bulk([GetEntry(self.address, key, self.codec) for key in unique], _present)
        message = pb.GetManyRequest(keys=unique)
        self._address_message(message)
        return Bulk([GetMany(self.address, message.SerializeToString(), self.codec)], merged)

    def set_many(
        self,
        items: Mapping[str, Value],
        *,
        ttl: Seconds | None = None,
        if_versions: Mapping[str, int] | None = None,
        durability: Durability | None = None,
    ) -> Bulk[dict[str, int]]:
        ttl_ms = to_ttl_ms(ttl)
        conditions = {key: version_number(version, field="if_versions") for key, version in (if_versions or {}).items()}
        unknown = [key for key in conditions if key not in items]
        if unknown:
            raise InvalidArgument(
                f"if_versions names {unknown[0]!r}, which is not among the items.", field="if_versions"
            )
        written = [self.item(key, value, ttl_ms, conditions.get(key)) for key, value in items.items()]
        return Bulk(
            [
                self._set_items(part, self._durability(durability))
                for part in self._parts(written, lambda item: len(item.key) + len(item.value))
            ],
            merged,
        )

    def delete_many(self, keys: Iterable[str], *, durability: Durability | None = None) -> Bulk[int]:
        unique = unique_keys(keys)
        return Bulk([self._delete_keys(part, self._durability(durability)) for part in self._parts(unique, len)], sum)

    def _set_items(self, items: Sequence[pb.SetItem], durability: pb.Durability) -> SetMany:
        message = pb.SetManyRequest(items=items, durability=durability, request_id=next_request_id())
        self._address_message(message)
        return SetMany(self.address, message.SerializeToString(), tuple(item.key for item in items))

    def _delete_keys(self, keys: Sequence[str], durability: pb.Durability) -> DeleteMany:
        message = pb.DeleteManyRequest(keys=keys, durability=durability, request_id=next_request_id())
        self._address_message(message)
        return DeleteMany(self.address, message.SerializeToString())

    def _parts(self, items: Sequence[T], size_of: Callable[[T], int]) -> list[Sequence[T]]:
        """What goes into one request each. An object's go together: they are one atomic step."""
        if self.address.object:
            return [items] if items else []
        parts: list[list[T]] = []
        size = 0
        for item in items:
            size += size_of(item)
            if not parts or len(parts[-1]) == MESSAGE_CALLS or size > MESSAGE_BYTES:
                parts.append([])
                size = size_of(item)
            parts[-1].append(item)
        return list(parts)

    def list(
        self,
        *,
        prefix: str = "",
        start: str = "",
        start_after: str = "",
        end: str = "",
        reverse: bool = False,
        limit: int = 0,
        keys_only: bool = False,
        page_token: bytes = b"",
    ) -> List:
        message = pb.ListRequest(
            prefix=checked_key(prefix, "prefix"),
            start=checked_key(start, "start"),
            start_after=checked_key(start_after, "start_after"),
            end=checked_key(end, "end"),
            reverse=reverse,
            limit=limit,
            keys_only=keys_only,
            page_token=page_token,
        )
        self._address_message(message)
        return List(self.address, message.SerializeToString(), self.codec, keys_only)

    def clear(self, *, prefix: str = "", durability: Durability | None = None) -> Clear:
        message = pb.ClearRequest(prefix=checked_key(prefix, "prefix"), durability=self._durability(durability))
        self._address_message(message)
        return Clear(self.address, message.SerializeToString())

    def throttle(
        self,
        key: str,
        limit: int,
        period: Seconds,
        *,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        cost: int = 1,
        peek: bool = False,
        once: bool = True,
        durability: Durability | None = None,
    ) -> Throttle:
        # Without an id the same check is the same bytes, and programs make the same checks over and over.
        same = None if once else (key, limit, period, algorithm, burst, cost, peek, durability)
        if same is not None and (known := self._checks.get(same)) is not None:
            return self._throttle_call(known, peek=peek, once=False)
        message = pb.ThrottleRequest(
            key=checked_key(key),
            algorithm=algorithm_number(algorithm),
            limit=uint32(limit, "limit"),
            period_ms=to_ttl_ms(period, field="period"),
            burst=0 if burst is None else positive_uint32(burst, "burst"),
            cost=positive_uint32(cost, "cost"),
            peek=peek,
            # Its own default is BUFFERED, whatever the client's is.
            durability=durability_number(durability),
            request_id=next_request_id() if once and not peek else b"",
        )
        self._address_message(message)
        value = message.SerializeToString()
        if same is not None:
            if len(self._checks) >= _KNOWN_CHECKS:
                self._checks.clear()
            self._checks[same] = value
        return self._throttle_call(value, peek=peek, once=once)

    def throttle_all(
        self,
        key: str,
        limits: Iterable[RateLimit],
        *,
        cost: int = 1,
        peek: bool = False,
        once: bool = True,
        durability: Durability | None = None,
    ) -> Throttle:
        message = pb.ThrottleRequest(
            key=checked_key(key),
            limits=[
                pb.ThrottleLimit(
                    algorithm=algorithm_number(each.algorithm),
                    limit=uint32(each.limit, "limit"),
                    period_ms=to_ttl_ms(each.period, field="period"),
                    burst=0 if each.burst is None else positive_uint32(each.burst, "burst"),
                )
                for each in limits
            ],
            cost=positive_uint32(cost, "cost"),
            peek=peek,
            durability=durability_number(durability),
            request_id=next_request_id() if once and not peek else b"",
        )
        if not message.limits:
            raise InvalidArgument("There is no limit to check: limits is empty.", field="limits")
        self._address_message(message)
        return self._throttle_call(message.SerializeToString(), peek=peek, once=once)

    def _throttle_call(self, value: bytes, *, peek: bool, once: bool) -> Throttle:
        call = Throttle(self.address, value)
        if peek or not once:
            call.retry = Retry.SAFE
            call.mutates = not peek
        return call

    def transact(
        self,
        conditions: Iterable[pb.Condition],
        operations: Iterable[pb.Operation],
        *,
        durability: Durability | None = None,
        interruptible: bool = False,
    ) -> Transact:
        message = pb.TransactRequest(
            conditions=conditions,
            operations=operations,
            durability=self._durability(durability),
            request_id=next_request_id(),
        )
        self._address_message(message)
        call = Transact(self.address, message.SerializeToString())
        if interruptible:
            call.interruptible = True
            call.columns |= TIMEOUTS
        return call

    def item(self, key: str, value: Value, ttl_ms: int, if_version: int | None, keep_ttl: bool = False) -> pb.SetItem:
        data, encoding = encoded(self.codec, value)
        return pb.SetItem(
            key=checked_key(key),
            value=data,
            encoding=cast("pb.Encoding", int(encoding)),
            ttl_ms=ttl_ms,
            if_version=if_version,
            keep_ttl=keep_ttl,
        )

    def _durability(self, durability: Durability | None) -> pb.Durability:
        return self.durability if durability is None else durability_number(durability)

    def _envelope(self, call: Call[object], durability: Durability | None) -> None:
        call.request_id = next_request_id()
        number = self._durability(durability)
        if number:
            call.durability = number
            call.columns |= DURABILITIES

    def _address_message(self, message: _Addressed) -> None:
        message.namespace, message.object = self.address


def _conditions(
    if_version: int | None, *, if_absent: bool = False, keep_ttl: bool = False, ttl: Seconds | None = None
) -> tuple[int, int]:
    """The version that must be there, and the option bits."""
    if if_absent and if_version is not None:
        raise InvalidArgument("Give if_version or if_absent, not both.", field="if_absent")
    if keep_ttl and ttl is not None:
        raise InvalidArgument("Give ttl or keep_ttl, not both.", field="keep_ttl")
    options = _KEEP_TTL if keep_ttl else 0
    if if_absent:
        return 0, options | _IF_VERSION
    if if_version is None:
        return 0, options
    return version_number(if_version), options | _IF_VERSION
