"""Rate limits: (state, request, now) -> (answer, new state). Pure, and exact: all arithmetic is on integers.

GCRA (ITU-T I.371, annex A; the virtual scheduling algorithm) keeps the theoretical arrival time. An allowed charge
moves it on by cost * period / limit, and a charge is allowed while it stays within burst * period / limit of now.
That time is kept as whole milliseconds and a remainder in 1/limit of a millisecond, so nothing is rounded while the
limit stays the same.

The fixed window counts in windows that begin at multiples of the period. The sliding window counts the same way and
adds the part of the window before that still lies within the last period, as if its charges were spread evenly.

On disk, big-endian, after the four bytes of the mark: GCRA: time (8), remainder (4), limit (4); windows: period (8),
start of the window (8), count of the window before (8), count (8). Several limits under one key are a mark of their
own, and for each its period (8) and what it would be alone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from petra_server.actor.operations import Algorithm, Throttle, ThrottleAll, ThrottleAllReply, ThrottleReply
from petra_server.errors import Reason, Refusal

# The longest that a limit may take to be free again: 100 years. Requests are checked against it.
MAX_BUSY_MS = 100 * 366 * 24 * 3_600_000
_LARGEST_COUNT = 2**32

_MARKS = {algorithm: b"\x00RL" + bytes((algorithm,)) for algorithm in Algorithm}
# Of several limits; no algorithm has this number.
_SEVERAL = b"\x00RL\xff"
_MARK_BYTES = 4
_PERIOD = struct.Struct(">Q")
_GCRA = struct.Struct(">QII")
_WINDOW = struct.Struct(">QQQQ")
_STATE_BYTES = {
    Algorithm.GCRA: _MARK_BYTES + _GCRA.size,
    Algorithm.FIXED_WINDOW: _MARK_BYTES + _WINDOW.size,
    Algorithm.SLIDING_WINDOW: _MARK_BYTES + _WINDOW.size,
}
_ALGORITHMS = {mark: algorithm for algorithm, mark in _MARKS.items()}


class NewState(NamedTuple):
    """What to keep, and until when it matters."""

    value: bytes
    expires_at_ms: int


def throttle(state: bytes | None, request: Throttle, now_ms: int) -> tuple[ThrottleReply, NewState | None]:
    """Decides one call. The state is None when nothing must be written.

    Raises Refusal NOT_A_THROTTLE when `state` was not made here.
    """
    if state is not None and not _is_state(state, now_ms) and _parts(state, now_ms) is None:
        raise _not_a_throttle()
    return _decide(state, request, now_ms)


def throttle_all(state: bytes | None, request: ThrottleAll, now_ms: int) -> tuple[ThrottleAllReply, NewState | None]:
    """As `throttle`, of several limits. State of a single one begins anew."""
    parts: dict[tuple[Algorithm, int], bytes] = {}
    if state is not None and not _is_state(state, now_ms):
        found = _parts(state, now_ms)
        if found is None:
            raise _not_a_throttle()
        parts = found
    asked = [(parts.get((limit.algorithm, limit.period_ms)), limit) for limit in request.limits]
    replies = [_decide(part, limit._replace(peek=True), now_ms)[0] for part, limit in asked]
    if request.peek or not all(reply.allowed for reply in replies):
        return ThrottleAllReply(tuple(replies)), None
    charged = [(limit, *_decide(part, limit, now_ms)) for part, limit in asked]
    value = [_SEVERAL]
    expires_at_ms = 0
    for limit, _, new in charged:
        # What is allowed is charged at least 1, so there is always something to keep.
        assert new is not None
        value += [_PERIOD.pack(limit.period_ms), new.value]
        expires_at_ms = max(expires_at_ms, new.expires_at_ms)
    return ThrottleAllReply(tuple(reply for _, reply, _ in charged)), NewState(b"".join(value), expires_at_ms)


def _decide(state: bytes | None, request: Throttle, now_ms: int) -> tuple[ThrottleReply, NewState | None]:
    # State of another algorithm begins anew.
    if state is not None and not state.startswith(_MARKS[request.algorithm]):
        state = None
    if request.algorithm is Algorithm.GCRA:
        return _gcra(state, request, now_ms)
    return _window(state, request, now_ms, sliding=request.algorithm is Algorithm.SLIDING_WINDOW)


def _not_a_throttle() -> Refusal:
    return Refusal(
        Reason.NOT_A_THROTTLE,
        "The key holds something else than the state of a rate limit. Use another key, or delete it first.",
        field="key",
    )


def _parts(value: bytes, now_ms: int) -> dict[tuple[Algorithm, int], bytes] | None:
    """The states of several limits by algorithm and period; None when the value was not made here."""
    if not value.startswith(_SEVERAL):
        return None
    parts: dict[tuple[Algorithm, int], bytes] = {}
    at = _MARK_BYTES
    while at < len(value):
        algorithm = _ALGORITHMS.get(value[at + _PERIOD.size : at + _PERIOD.size + _MARK_BYTES])
        if algorithm is None:
            return None
        (period_ms,) = _PERIOD.unpack_from(value, at)
        at += _PERIOD.size
        part = value[at : at + _STATE_BYTES[algorithm]]
        if not _is_state(part, now_ms):
            return None
        parts[algorithm, period_ms] = part
        at += len(part)
    return parts


def _is_state(value: bytes, now_ms: int) -> bool:
    """Whether a value was made here of a single limit. Anyone can write anything under a key: it is looked at well."""
    for algorithm, size in _STATE_BYTES.items():
        if value.startswith(_MARKS[algorithm]) and len(value) == size:
            if algorithm is Algorithm.GCRA:
                whole_ms, remainder, limit = _GCRA.unpack_from(value, _MARK_BYTES)
                return bool(limit and remainder < limit and whole_ms <= now_ms + 2 * MAX_BUSY_MS)
            period, start, before, count = _WINDOW.unpack_from(value, _MARK_BYTES)
            return bool(period and start % period == 0 and max(before, count) <= _LARGEST_COUNT)
    return False


def _gcra(state: bytes | None, request: Throttle, now_ms: int) -> tuple[ThrottleReply, NewState | None]:
    # All times below in units of 1/limit of a millisecond, in which one charge takes exactly `period_ms`.
    limit, period = request.limit, request.period_ms
    now = now_ms * limit
    arrival = now
    if state is not None:
        whole_ms, remainder, state_limit = _GCRA.unpack_from(state, _MARK_BYTES)
        arrival = max(now, whole_ms * limit + remainder * limit // state_limit)
    tolerance = request.burst * period
    charged = arrival + request.cost * period
    allowed = charged - now <= tolerance
    after = charged if allowed and not request.peek else arrival
    reply = ThrottleReply(
        allowed=allowed,
        limit=request.burst,
        remaining=max(0, (tolerance - (after - now)) // period),
        retry_after_ms=0 if allowed else _ceil_div(charged - tolerance - now, limit),
        reset_after_ms=_ceil_div(after - now, limit),
    )
    if after == arrival:
        return reply, None
    whole_ms, remainder = divmod(after, limit)
    value = _MARKS[Algorithm.GCRA] + _GCRA.pack(whole_ms, remainder, limit)
    return reply, NewState(value, _ceil_div(after, limit))


def _window(
    state: bytes | None, request: Throttle, now_ms: int, *, sliding: bool
) -> tuple[ThrottleReply, NewState | None]:
    limit, period, cost = request.limit, request.period_ms, request.cost
    start = now_ms - now_ms % period
    before, count = _window_counts(state, period, start)
    if not sliding:
        before = 0
    left_of_window = start + period - now_ms
    # In units of 1/period of a charge.
    room = limit * period - before * left_of_window - count * period
    allowed = cost * period <= room
    charged = cost if allowed and not request.peek else 0
    after = count + charged
    reply = ThrottleReply(
        allowed=allowed,
        limit=limit,
        remaining=max(0, room // period - charged),
        retry_after_ms=0 if allowed else _window_retry_ms(request, before, count, left_of_window, sliding=sliding),
        reset_after_ms=_window_reset_ms(before, after, left_of_window, period, sliding=sliding),
    )
    if not charged:
        return reply, None
    value = _MARKS[request.algorithm] + _WINDOW.pack(period, start, before, after)
    return reply, NewState(value, start + period * (2 if sliding else 1))


def _window_counts(state: bytes | None, period: int, start: int) -> tuple[int, int]:
    """The counts of the window before and of this one."""
    if state is None:
        return 0, 0
    state_period, state_start, before, count = _WINDOW.unpack_from(state, _MARK_BYTES)
    if state_period != period:
        return 0, 0
    if state_start == start:
        return before, count
    return (count, 0) if state_start == start - period else (0, 0)


def _window_retry_ms(request: Throttle, before: int, count: int, left_of_window: int, *, sliding: bool) -> int:
    """After how long a denied call is allowed when nobody else charges."""
    if not sliding:
        return left_of_window
    limit, period, cost = request.limit, request.period_ms, request.cost
    spare = limit - cost - count
    if spare >= 0 and before:
        # Still in this window: before * (what is left of it then) <= spare * period.
        return left_of_window - spare * period // before
    # In the next window, whose window before is this one: count * (what is left of it then) <= (limit - cost) * period.
    within_next = max(0, period - (limit - cost) * period // count) if count else 0
    return left_of_window + within_next


def _window_reset_ms(before: int, count: int, left_of_window: int, period: int, *, sliding: bool) -> int:
    if count:
        return left_of_window + (period if sliding else 0)
    return left_of_window if before else 0


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
