"""What the arguments of the methods may be, and their numbers on the wire. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from petra.errors import InvalidArgument
from petra.v1 import storage_pb2 as pb
from petra.values import Algorithm, Durability, Seconds, to_timeout

_DURABILITIES: Final[Mapping[str, pb.Durability]] = {
    "fsync": pb.DURABILITY_FSYNC,
    "buffered": pb.DURABILITY_BUFFERED,
}
_ALGORITHMS: Final[Mapping[str, pb.Algorithm]] = {
    "gcra": pb.ALGORITHM_GCRA,
    "fixed_window": pb.ALGORITHM_FIXED_WINDOW,
    "sliding_window": pb.ALGORITHM_SLIDING_WINDOW,
}
assert set(_DURABILITIES) == set(get_args(Durability))
assert set(_ALGORITHMS) == set(get_args(Algorithm))


def durability_number(durability: Durability | None) -> pb.Durability:
    """The number on the wire; 0, the method's own default, for None."""
    if durability is None:
        return pb.DURABILITY_UNSPECIFIED
    try:
        return _DURABILITIES[durability]
    except (KeyError, TypeError):
        raise InvalidArgument(f'durability is "fsync" or "buffered", not {durability!r}.', field="durability") from None


def algorithm_number(algorithm: Algorithm) -> pb.Algorithm:
    try:
        return _ALGORITHMS[algorithm]
    except (KeyError, TypeError):
        raise InvalidArgument(
            f'algorithm is "gcra", "fixed_window" or "sliding_window", not {algorithm!r}.', field="algorithm"
        ) from None


def checked_key(key: str, field: str = "key") -> str:
    """A key or a bound of keys, when it can be sent. The server knows its length limits, and refuses an empty key."""
    if not isinstance(key, str):
        raise InvalidArgument(f"{field} is a str, not {type(key).__name__}: {key!r}.", field=field)
    if not key.isascii():
        _check_unicode(key, field)
    return key


def unique_keys(keys: Iterable[str]) -> list[str]:
    """The keys in their order, each once."""
    if isinstance(keys, str):
        # Its characters would be taken for keys.
        raise InvalidArgument(f"keys are several: give [{keys!r}], or call the method for one key.", field="keys")
    return list(dict.fromkeys(map(checked_key, keys)))


def checked_name(name: str, field: str) -> str:
    """The name of a namespace or an object, which is a str that is not empty."""
    if not isinstance(name, str):
        raise InvalidArgument(f"The name of the {field} is a str, not {type(name).__name__}.", field=field)
    if not name:
        raise InvalidArgument(f"The name of the {field} is empty. Give it one character at least.", field=field)
    _check_unicode(name, field)
    return name


def _check_unicode(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{field} {text!r} holds half of a surrogate pair, so it is no Unicode text and has no bytes.", field=field
        ) from None


def namespace_name(name: str) -> str:
    """The name on the wire, where the default namespace is the empty string."""
    checked_name(name, "namespace")
    return "" if name == "default" else name


def version_number(version: int, field: str = "if_version") -> int:
    return _whole(version, field, 0, (1 << 64) - 1)


def int64(number: int, field: str) -> int:
    return _whole(number, field, -(1 << 63), (1 << 63) - 1)


def uint32(number: int, field: str) -> int:
    return _whole(number, field, 0, (1 << 32) - 1)


def positive_uint32(number: int, field: str) -> int:
    """As `uint32`, where 0 on the wire stands for something else."""
    return _whole(number, field, 1, (1 << 32) - 1)


def client_timeout(timeout: Seconds, field: str) -> float:
    """A time-out of the client itself, in seconds: there has to be one."""
    seconds = to_timeout(timeout, field=field)
    if seconds is None:
        raise InvalidArgument(f"{field} is a number of seconds or a timedelta: no call waits for ever.", field=field)
    return seconds


def _whole(number: int, field: str, least: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidArgument(f"{field} is an int, not {type(number).__name__}.", field=field)
    if not least <= number <= most:
        raise InvalidArgument(f"{field} is {number}; it must be from {least} to {most}.", field=field)
    return number
