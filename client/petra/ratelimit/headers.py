"""The fields of HTTP that tell clients of a limit: draft-ietf-httpapi-ratelimit-headers-10, and Retry-After. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from petra.values import RateLimit, Throttled, to_timeout

Headers = list[tuple[bytes, bytes]]


def headers_of(name: str, limits: Sequence[RateLimit], verdict: Throttled) -> Headers:
    """The fields for an answer, in the order of the limits; with Retry-After when it is a refusal.

    Times are in whole seconds, rounded up: who waits so long does not come too early.
    """
    each = verdict.each or (verdict,)
    names = [name] if len(limits) == 1 else [f"{name}-{_seconds(to_timeout(limit.period))}" for limit in limits]
    if len(set(names)) < len(names):
        # Periods may be alike, of two algorithms or in whole seconds.
        names = [f"{own}-{number}" for number, own in enumerate(names, 1)]
    policies = [
        f"{_text(own)};q={limit.limit};w={_seconds(to_timeout(limit.period))}"
        for own, limit in zip(names, limits, strict=True)
    ]
    states = [
        f"{_text(own)};r={state.remaining};t={_seconds(state.reset_after)}"
        for own, state in zip(names, each, strict=True)
    ]
    headers = [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(states).encode()),
    ]
    if not verdict:
        headers.append((b"retry-after", str(_seconds(verdict.retry_after)).encode()))
    return headers


def _seconds(seconds: float) -> int:
    return math.ceil(seconds)


def _text(name: str) -> str:
    """A string as structured fields (RFC 9651) write it. They have ASCII only."""
    shown = "".join(character if " " <= character <= "~" else "?" for character in name)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
