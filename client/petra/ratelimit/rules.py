"""What a limiter is made of: its limits, its keys, and its refusal. Pure; both trees use it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from petra.errors import InvalidArgument, PetraError
from petra.values import Algorithm, RateLimit, Seconds, Throttled

# Where limiters keep their state: "ratelimit:<name>:<key>".
PREFIX = "ratelimit:"
# Longer keys are kept by their SHA-256: they may come from strangers, and the server takes 2,048 bytes.
_LONGEST_KEY_BYTES = 512


class RateLimited(PetraError):
    """The limit does not allow it now. Try again after `verdict.retry_after` seconds; nothing was charged.

    `key` is what the limit was checked for, and `verdict` the answer.
    """

    def __init__(self, key: str, verdict: Throttled) -> None:
        super().__init__(f"The rate limit of {key!r} is used up. Try again in {verdict.retry_after:.3g} s.")
        self.key = key
        self.verdict = verdict

    def __reduce__(self) -> tuple[type[RateLimited], tuple[str, Throttled]]:
        return type(self), (self.key, self.verdict)


def limits_of(
    limit: int | None,
    period: Seconds | None,
    algorithm: Algorithm,
    burst: int | None,
    limits: Iterable[RateLimit | tuple[int, Seconds]],
) -> tuple[RateLimit, ...]:
    """The limits that a limiter was asked for, in one way or the other. Raises InvalidArgument."""
    several = tuple(
        each if isinstance(each, RateLimit) else RateLimit(each[0], each[1], algorithm=algorithm) for each in limits
    )
    if several:
        if limit is not None or period is not None or burst is not None:
            raise InvalidArgument("Give limit and period, or limits, not both.", field="limits")
        return several
    if limit is None or period is None:
        raise InvalidArgument("A rate limit needs limit and period, or limits.", field="limit")
    return (RateLimit(limit, period, algorithm=algorithm, burst=burst),)


def prefix_of(name: str) -> str:
    """Where the limiter of that name keeps its state. Raises InvalidArgument."""
    if ":" in name:
        raise InvalidArgument(f"The name of a limiter has no colon in it, and {name!r} has.", field="name")
    return f"{PREFIX}{name}:"


def key_of(prefix: str, key: str) -> str:
    """Where the state of `key` is."""
    try:
        if len(key.encode()) <= _LONGEST_KEY_BYTES:
            return prefix + key
    except UnicodeEncodeError:
        # Half of a surrogate pair is no text that the server takes.
        pass
    return f"{prefix}sha256={sha256(key.encode(errors='surrogatepass')).hexdigest()}"
