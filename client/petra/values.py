"""What calls take and give: values and how they become bytes, entries, seconds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Final, Literal, NoReturn, Protocol, TypeAlias, overload
from uuid import UUID

from petra.errors import DecodeError, EncodeError, InvalidArgument

__all__ = [
    "Algorithm",
    "Codec",
    "Durability",
    "Encoding",
    "Entry",
    "JSONCodec",
    "RateLimit",
    "Seconds",
    "Throttled",
    "Value",
    "to_timeout",
    "to_ttl_ms",
]

# What an entry holds: whatever its client's codec reads and writes.
Value: TypeAlias = Any
Seconds: TypeAlias = float | timedelta

# When a write is acknowledged: when it is on the disk, or when the server has it.
Durability: TypeAlias = Literal["fsync", "buffered"]
# How a rate limit counts.
Algorithm: TypeAlias = Literal["gcra", "fixed_window", "sliding_window"]

_MILLISECOND: Final = timedelta(milliseconds=1)
# So many are fewer than 2**63 milliseconds: what is longer than the server allows is left for it to refuse.
_LONGEST_SECONDS: Final = 9_000_000_000_000_000
# Of a key, in a path.
_SHOWN_CHARACTERS: Final = 60


class Encoding(IntEnum):
    """How the bytes of an entry are to be read; the numbers of the wire.

    0 on the wire means BYTES. Any other number raises DecodeError.
    """

    BYTES = 1
    JSON = 2

    @classmethod
    def _missing_(cls, value: object) -> Encoding:
        if value == 0:
            return cls.BYTES
        raise DecodeError(f"The entry has the encoding {value!r}, which this client does not know. Use a newer client.")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key holds. `expires_at` is in UTC by the server's clock; None when the entry does not expire."""

    key: str
    value: Value
    version: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate limit of `limit` a `period`. `burst` is how much GCRA allows at once (None: `limit`)."""

    limit: int
    period: Seconds
    algorithm: Algorithm = "gcra"
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """The verdict of a rate limit; it is true when the call is allowed.

    `remaining` is what could be taken at once now. `retry_after` is in how many seconds the same cost is allowed, 0
    when it is now; `reset_after` is in how many seconds the limit is as if it had never been used.

    Of several limits, `each` has the verdict of each, in their order, and the rest is about all of them: `limit`,
    `remaining` and `reset_after` are those of the one with least left. Of one, `each` is empty.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: float
    reset_after: float
    each: tuple[Throttled, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed


class Codec(Protocol):
    """How values become bytes, and bytes values. It is called from any thread."""

    def encode(self, value: Value) -> tuple[bytes, Encoding]:
        """The bytes of a value, and what they are. Raises EncodeError."""

    def decode(self, data: bytes, encoding: Encoding) -> Value:
        """The value of stored bytes. Raises DecodeError."""


class JSONCodec:
    """Bytes stay bytes, and everything else is JSON.

    It writes what JSON has, and tuples as arrays; dataclasses and pydantic models as objects; dates and times in ISO
    8601; UUIDs and decimals as strings; members of an Enum as their value. It reads what JSON has: what came from
    a dataclass comes back as a dict.
    """

    __slots__ = ()

    def encode(self, value: Value) -> tuple[bytes, Encoding]:
        """The bytes of a value. Raises EncodeError that names the part which cannot be written."""
        if isinstance(value, bytes):
            return value, Encoding.BYTES
        if isinstance(value, bytearray | memoryview):
            return bytes(value), Encoding.BYTES
        try:
            return _dumps(value).encode(), Encoding.JSON
        except (TypeError, ValueError, RecursionError) as error:
            raise _refusal(value, error) from error

    def decode(self, data: bytes, encoding: Encoding) -> Value:
        """The value of stored bytes. Raises DecodeError where JSON is announced and something else is there."""
        if encoding != Encoding.JSON:
            return data
        try:
            return _loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"The entry says that it is JSON, and cannot be read as such: {error}.") from error


def to_ttl_ms(ttl: Seconds | None, *, field: str = "ttl") -> int:
    """Seconds as whole milliseconds, rounded up; 0 for None. Raises InvalidArgument."""
    if ttl is None:
        return 0
    _check_seconds(ttl, field, advice=" To remove an entry, delete it." if field == "ttl" else "")
    if isinstance(ttl, timedelta):
        return -(-ttl // _MILLISECOND)
    if isinstance(ttl, int):
        return ttl * 1_000
    milliseconds = ttl * 1_000
    nearest = round(milliseconds)
    # 1.1 seconds are 1100.0000000000002 milliseconds by the arithmetic of floats: that is no reason to round up.
    close = math.isclose(milliseconds, nearest, rel_tol=1e-15, abs_tol=1e-6)
    return max(1, nearest if close else math.ceil(milliseconds))


@overload
def to_timeout(timeout: Seconds, *, field: str = "timeout") -> float: ...


@overload
def to_timeout(timeout: None, *, field: str = "timeout") -> None: ...


@overload
def to_timeout(timeout: Seconds | None, *, field: str = "timeout") -> float | None: ...


def to_timeout(timeout: Seconds | None, *, field: str = "timeout") -> float | None:
    """Seconds as a float; None stays None. Raises InvalidArgument."""
    if timeout is None:
        return None
    _check_seconds(timeout, field)
    return timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)


def _check_seconds(seconds: object, field: str, *, advice: str = "") -> None:
    """Raises InvalidArgument for what is no length of time, and for one that is not more than 0."""
    number = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidArgument(
            f"{field} is a number of seconds or a timedelta, not {type(seconds).__name__}.", field=field
        )
    # So written that NaN is refused as well.
    if not -_LONGEST_SECONDS <= number <= _LONGEST_SECONDS:
        raise InvalidArgument(f"{field} must be finite, and at most {_LONGEST_SECONDS} seconds.", field=field)
    if number <= 0:
        raise InvalidArgument(f"{field} is {seconds}; it must be more than 0 seconds.{advice}", field=field)


# JSON.


class _Unwritable(TypeError):
    """A part of a value that is not JSON; the message says why, without where."""


def _plain(value: object) -> object:
    """The next simpler form of a value that JSON does not have. Raises _Unwritable."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    # On the class: an instance may answer to any name.
    if callable(getattr(type(value), "model_dump", None)):
        return value.model_dump(mode="json")  # type: ignore[attr-defined]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise _Unwritable(f"{_kind(value)} cannot be written as JSON; {_advice(value)}.")


def _kind(value: object) -> str:
    """The name of a value's type, with its article."""
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"


def _advice(value: object) -> str:
    match value:
        case bytes() | bytearray() | memoryview():
            return "write it as text, such as base64, or give the bytes an entry of their own"
        case set() | frozenset():
            return "make it a list"
        case timedelta():
            return "write its total_seconds()"
        case type():
            return "write an instance of it, or its name"
        case _:
            return "make it a dict, a list, a string or a number first, or give the client a codec that knows it"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode
_loads: Final = json.JSONDecoder(parse_constant=_no_constant).decode


def _refusal(value: object, error: Exception) -> EncodeError:
    """The error for a value that the encoder gave up: it names the part, which the encoder does not."""
    path, sentence = "value", f"it cannot be written as JSON: {error}."
    if isinstance(error, RecursionError):
        sentence = "it is nested too deeply. Give its parts entries of their own."
    else:
        path, sentence = _find_fault(value) or (path, sentence)
    return EncodeError(f"{path}: {sentence}", path=path)


def _find_fault(value: object) -> tuple[str, str] | None:
    """Path of the first part that JSON cannot have, in the encoder's order, and what is wrong with it."""
    names: list[str] = []
    open_ids: set[int] = set()
    # The parts around the present one, each with its own parts that are still to be seen.
    stack: list[tuple[object, Iterator[tuple[str, object]]]] = [(None, iter([("value", value)]))]
    while stack:
        around, parts = stack[-1]
        try:
            step = next(parts, None)
        except (TypeError, ValueError, RecursionError) as error:
            return "".join(names), _sentence(around, error)
        if step is None:
            stack.pop()
            open_ids.discard(id(around))
            if stack:
                names.pop()
            continue
        name, part = step
        names.append(name)
        if id(part) in open_ids:
            return "".join(names), "it contains itself, and JSON has no end then."
        open_ids.add(id(part))
        stack.append((part, _parts(part)))
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """The parts of a value, each with its name. Raises what is wrong with the value itself."""
    if value is None or isinstance(value, str | int | float):
        _dumps(value).encode()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield _key_name(key), item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    else:
        yield "", _plain(value)


def _key_name(key: object) -> str:
    shown = _cut(repr(key))
    if key is not None and not isinstance(key, str | int | float):
        raise _Unwritable(f"its key {shown} is {_kind(key)}; keys of a JSON object are strings.")
    try:
        _dumps(key).encode()
    except ValueError as error:
        raise _Unwritable(f"its key {shown}: {_sentence(key, error)}") from None
    return f".{_cut(key)}" if isinstance(key, str) and key.isidentifier() else f"[{shown}]"


def _cut(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."


def _sentence(value: object, error: Exception) -> str:
    """What is wrong with a value, for which that error was raised."""
    match value:
        case _ if isinstance(error, _Unwritable):
            return str(error)
        case str():
            return "half of a surrogate pair cannot be written in UTF-8."
        case float():
            return f"{value} is no number of JSON; write null or a string."
        case int():
            return "it has too many digits. Write it as a string."
        case _:
            return f"{_kind(value)} could not be turned into JSON: {error}."
