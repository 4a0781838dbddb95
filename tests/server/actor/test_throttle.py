"""Rate limits against references in exact fractions, which know nothing of how state is kept."""

from __future__ import annotations

import contextlib
import math
import struct
from fractions import Fraction
from typing import NamedTuple, Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from petra.v1 import storage_pb2 as pb
from petra_server.actor.operations import Algorithm, Throttle, ThrottleReply
from petra_server.actor.throttle import NewState, throttle
from petra_server.errors import Reason, Refusal

GCRA, FIXED, SLIDING = Algorithm.GCRA, Algorithm.FIXED_WINDOW, Algorithm.SLIDING_WINDOW
START_MS = 1_700_000_000_003


def gcra_state(whole_ms: int, remainder: int, limit: int) -> bytes:
    """A value as GCRA keeps it; anyone can write such bytes under a key."""
    return b"\x00RL\x01" + struct.pack(">QII", whole_ms, remainder, limit)


def window_state(period_ms: int, start_ms: int, before: int, count: int) -> bytes:
    """The same of a fixed window."""
    return b"\x00RL\x02" + struct.pack(">QQQQ", period_ms, start_ms, before, count)


class Ask(NamedTuple):
    """A call so many milliseconds after the one before."""

    wait_ms: int
    cost: int
    peek: bool


class Reference(Protocol):
    """A limit that has seen some calls."""

    def available(self, now_ms: int) -> Fraction:
        """How much is there now."""

    def charge(self, now_ms: int, cost: int) -> None: ...


class LeakyBucket:
    """GCRA as the bucket that it is: charges fill it, and it leaks at the pace of the limit."""

    def __init__(self, request: Throttle) -> None:
        self._burst = request.burst
        self._pace = Fraction(request.limit, request.period_ms)
        self._level = Fraction(0)
        self._at_ms = 0

    def available(self, now_ms: int) -> Fraction:
        return self._burst - max(Fraction(0), self._level - (now_ms - self._at_ms) * self._pace)

    def charge(self, now_ms: int, cost: int) -> None:
        self._level = self._burst - self.available(now_ms) + cost
        self._at_ms = now_ms


class Windows:
    """Both kinds of windows, from the list of all charges ever made."""

    def __init__(self, request: Throttle) -> None:
        self._request = request
        self._charges: list[tuple[int, int]] = []

    def available(self, now_ms: int) -> Fraction:
        period_ms = self._request.period_ms
        window = now_ms // period_ms
        present, before = (
            sum(cost for at_ms, cost in self._charges if at_ms // period_ms == one) for one in (window, window - 1)
        )
        if self._request.algorithm is FIXED:
            before = 0
        return self._request.limit - present - before * (1 - Fraction(now_ms % period_ms, period_ms))

    def charge(self, now_ms: int, cost: int) -> None:
        self._charges.append((now_ms, cost))


def reference_of(request: Throttle) -> Reference:
    return LeakyBucket(request) if request.algorithm is GCRA else Windows(request)


class Keeper:
    """Keeps state as an entry with an expiry does."""

    def __init__(self) -> None:
        self.state: NewState | None = None

    def ask(self, request: Throttle, now_ms: int) -> ThrottleReply:
        reply, state = self.look(request, now_ms)
        if state is not None:
            assert state.expires_at_ms > now_ms
            self.state = state
        return reply

    def look(self, request: Throttle, now_ms: int) -> tuple[ThrottleReply, NewState | None]:
        state = self.state
        return throttle(None if state is None or state.expires_at_ms <= now_ms else state.value, request, now_ms)


@st.composite
def requests(draw: st.DrawFn, algorithms: tuple[Algorithm, ...] = tuple(Algorithm)) -> Throttle:
    algorithm = draw(st.sampled_from(algorithms))
    limit = draw(st.integers(1, 12))
    # Small numbers, so that limits rarely divide periods and calls meet at edges.
    period_ms = draw(st.integers(1, 40))
    burst = draw(st.integers(1, 20)) if algorithm is GCRA else limit
    return Throttle(b"k", algorithm, limit, period_ms, burst, 1)


histories = st.lists(st.builds(Ask, st.integers(0, 30), st.integers(1, 4), st.booleans()), min_size=1, max_size=25)


def capacity(request: Throttle) -> int:
    return request.burst if request.algorithm is GCRA else request.limit


def at_cost(request: Throttle, ask: Ask) -> Throttle:
    return request._replace(cost=min(ask.cost, capacity(request)), peek=ask.peek)


@settings(deadline=None, max_examples=300)
@given(requests(), histories)
def test_allowed_and_remaining_are_those_of_the_reference(request: Throttle, history: list[Ask]) -> None:
    keeper, reference, now_ms = Keeper(), reference_of(request), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        asked = at_cost(request, ask)
        allowed = reference.available(now_ms) >= asked.cost
        if allowed and not asked.peek:
            reference.charge(now_ms, asked.cost)
        reply = keeper.ask(asked, now_ms)
        assert reply.allowed == allowed
        assert reply.limit == capacity(request)
        assert reply.remaining == math.floor(reference.available(now_ms))


@settings(deadline=None, max_examples=150)
@given(requests(), histories)
def test_retry_after_is_the_least_wait_after_which_the_same_call_is_allowed(
    request: Throttle, history: list[Ask]
) -> None:
    keeper, now_ms = Keeper(), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        asked = at_cost(request, ask)
        reply = keeper.ask(asked, now_ms)
        if reply.allowed:
            assert reply.retry_after_ms == 0
            continue
        waits = range(reply.retry_after_ms + 1)
        assert [keeper.look(asked, now_ms + wait)[0].allowed for wait in waits] == [False] * reply.retry_after_ms + [
            True
        ]


@settings(deadline=None, max_examples=150)
@given(requests(), histories)
def test_reset_after_is_the_least_wait_after_which_all_is_there_again(request: Throttle, history: list[Ask]) -> None:
    keeper, reference, now_ms = Keeper(), reference_of(request), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        asked = at_cost(request, ask)
        reply = keeper.ask(asked, now_ms)
        if reply.allowed and not asked.peek:
            reference.charge(now_ms, asked.cost)
        full = [reference.available(now_ms + wait) == capacity(request) for wait in range(reply.reset_after_ms + 1)]
        assert full == [False] * reply.reset_after_ms + [True]


@settings(deadline=None, max_examples=150)
@given(requests(), histories, st.integers(1, 4))
def test_peeking_and_being_denied_charge_nothing(request: Throttle, history: list[Ask], cost: int) -> None:
    keeper, now_ms = Keeper(), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        reply = keeper.ask(at_cost(request, ask), now_ms)
        if ask.peek or not reply.allowed:
            before = keeper.state
            asked = at_cost(request, Ask(0, cost, True))
            peeked, state = keeper.look(asked, now_ms)
            assert (state, keeper.state) == (None, before)
            assert keeper.look(asked._replace(peek=False), now_ms)[0].allowed == peeked.allowed


@settings(deadline=None, max_examples=150)
@given(requests((GCRA,)), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4)), min_size=1, max_size=40))
def test_gcra_never_allows_more_than_a_burst_and_the_pace_in_any_stretch(
    request: Throttle, calls: list[tuple[int, int]]
) -> None:
    keeper, now_ms = Keeper(), START_MS
    charged: list[tuple[int, int]] = []
    for wait_ms, cost in calls:
        now_ms += wait_ms
        asked = at_cost(request, Ask(0, cost, False))
        if keeper.ask(asked, now_ms).allowed:
            charged.append((now_ms, asked.cost))
    for first in range(len(charged)):
        for last in range(first, len(charged)):
            stretch_ms = charged[last][0] - charged[first][0]
            total = sum(cost for _, cost in charged[first : last + 1])
            assert total <= request.burst + Fraction(stretch_ms * request.limit, request.period_ms)


@pytest.mark.parametrize(("limit", "period_ms", "burst"), [(3, 10, 2), (7, 1_000, 7), (999, 1_000, 2), (11, 13, 30)])
def test_gcra_keeps_its_pace_exactly_over_long_runs(limit: int, period_ms: int, burst: int) -> None:
    """Asked every millisecond, so that with these bursts nothing is lost to a full bucket."""
    request = Throttle(b"k", GCRA, limit, period_ms, burst, 1)
    keeper, periods = Keeper(), 20_000 // period_ms
    allowed = 0
    for now_ms in range(START_MS, START_MS + periods * period_ms):
        while keeper.ask(request, now_ms).allowed:
            allowed += 1
    # In the last millisecond not all of the last period has flowed yet.
    assert allowed == burst + math.floor(Fraction((periods * period_ms - 1) * limit, period_ms))


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_a_fixed_window_allows_its_limit_and_begins_anew_at_each_multiple_of_the_period(limit: int) -> None:
    request = Throttle(b"k", FIXED, limit, 10, limit, 1)
    keeper = Keeper()
    for window in range(START_MS // 10, START_MS // 10 + 3):
        for now_ms, free in ((window * 10, limit), (window * 10 + 9, 0)):
            assert sum(keeper.ask(request, now_ms).allowed for _ in range(limit + 2)) == free


@settings(deadline=None)
@given(requests((SLIDING,)), st.lists(st.integers(0, 15), max_size=40))
def test_a_sliding_window_never_allows_more_than_its_limit_within_a_fixed_one(
    request: Throttle, waits: list[int]
) -> None:
    keeper, now_ms = Keeper(), START_MS
    counts: dict[int, int] = {}
    for wait_ms in waits:
        now_ms += wait_ms
        window = now_ms // request.period_ms
        counts[window] = counts.get(window, 0) + keeper.ask(request, now_ms).allowed
    assert all(count <= request.limit for count in counts.values())


@settings(deadline=None)
@given(requests(), requests(), histories)
def test_another_algorithm_begins_anew(first: Throttle, second: Throttle, history: list[Ask]) -> None:
    keeper, now_ms = Keeper(), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        keeper.ask(at_cost(first, ask), now_ms)
    if first.algorithm is not second.algorithm:
        assert keeper.look(second, now_ms) == Keeper().look(second, now_ms)


@pytest.mark.parametrize("algorithm", [FIXED, SLIDING])
def test_windows_of_another_period_begin_anew(algorithm: Algorithm) -> None:
    request = Throttle(b"k", algorithm, 5, 10, 5, 3)
    keeper = Keeper()
    keeper.ask(request, START_MS)
    other = request._replace(period_ms=20, peek=True)
    assert keeper.look(other, START_MS) == Keeper().look(other, START_MS)


@pytest.mark.parametrize("algorithm", [FIXED, SLIDING])
@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_windows_keep_what_was_charged_when_the_limit_changes(algorithm: Algorithm, limit: int) -> None:
    keeper = Keeper()
    keeper.ask(Throttle(b"k", algorithm, 5, 10, 5, 4), START_MS)
    reply, _ = keeper.look(Throttle(b"k", algorithm, limit, 10, limit, 1), START_MS)
    assert (reply.allowed, reply.remaining) == (limit > 4, max(0, limit - 4 - (limit > 4)))


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(0, 40))
@example(3, 7, 10, 1)
def test_gcra_keeps_its_arrival_time_when_the_limit_changes(
    limit: int, other_limit: int, period_ms: int, wait_ms: int
) -> None:
    """To less than one part in `other_limit` of a millisecond, and never later than it was."""
    keeper = Keeper()
    keeper.ask(Throttle(b"k", GCRA, limit, period_ms, 1, 1), START_MS)
    arrival_ms = max(START_MS + Fraction(period_ms, limit), Fraction(START_MS + wait_ms))
    other = Throttle(b"k", GCRA, other_limit, period_ms, 100, 1, peek=True)
    reply, _ = keeper.look(other, START_MS + wait_ms)
    left_ms = arrival_ms - START_MS - wait_ms
    assert max(0, math.ceil(left_ms - Fraction(1, other_limit))) <= reply.reset_after_ms <= math.ceil(left_ms)


@settings(deadline=None)
@given(requests(), histories)
def test_state_is_kept_until_it_says_nothing_any_more(request: Throttle, history: list[Ask]) -> None:
    keeper, now_ms = Keeper(), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        keeper.ask(at_cost(request, ask), now_ms)
    if keeper.state is not None:
        value, end_ms = keeper.state
        peek = request._replace(peek=True)
        assert throttle(value, peek, end_ms)[0] == throttle(None, peek, end_ms)[0]


@pytest.mark.parametrize("value", [b"", b"5", b"\x00RL\x01", b"\x00RL\x04" + bytes(32), b"\x00RL\x01" + bytes(17)])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_is_no_state_is_refused(value: bytes, algorithm: Algorithm) -> None:
    with pytest.raises(Refusal) as caught:
        throttle(value, Throttle(b"k", algorithm, 5, 10, 5, 1), START_MS)
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_A_THROTTLE, "key")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(gcra_state(2**64 - 1, 0, 1), id="gcra-never-free-again"),
        pytest.param(gcra_state(START_MS, 0, 0), id="gcra-of-no-limit"),
        pytest.param(gcra_state(START_MS, 3, 3), id="gcra-remainder-of-a-whole"),
        pytest.param(window_state(0, 0, 0, 0), id="window-of-no-time"),
        pytest.param(window_state(10, 15, 0, 0), id="window-that-begins-in-the-middle"),
        pytest.param(window_state(10, 20, 0, 2**64 - 1), id="window-of-more-than-any-limit"),
        pytest.param(window_state(10, 20, 2**64 - 1, 0), id="window-after-more-than-any-limit"),
    ],
)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_only_looks_like_a_state_is_refused(value: bytes, algorithm: Algorithm) -> None:
    with pytest.raises(Refusal) as caught:
        throttle(value, Throttle(b"k", algorithm, 5, 10, 5, 1), START_MS)
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_A_THROTTLE, "key")


@given(
    st.sampled_from(Algorithm),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)
def test_whatever_state_is_found_the_answer_fits_into_its_message(
    algorithm: Algorithm, first: int, second: int, third: int, peek: bool
) -> None:
    request = Throttle(b"k", algorithm, 5, 10, 5, 1, peek)
    for state in (
        gcra_state(first, second % 2**32, third % 2**32),
        window_state(10, second // 10 * 10, first % 2**33, third % 2**33),
        window_state(10, START_MS // 10 * 10, first % 2**33, third % 2**33),
    ):
        with contextlib.suppress(Refusal):
            reply, _ = throttle(state, request, START_MS)
            # Raises ValueError for a number that its field cannot hold.
            pb.ThrottleResponse(
                limit=reply.limit,
                remaining=reply.remaining,
                retry_after_ms=reply.retry_after_ms,
                reset_after_ms=reply.reset_after_ms,
            )


def test_the_largest_limits_fit_into_their_state() -> None:
    most = (1 << 32) - 1
    keeper = Keeper()
    reply = keeper.ask(Throttle(b"k", GCRA, most, 366 * 24 * 3_600_000, most, most), START_MS)
    assert (reply.allowed, reply.remaining, reply.reset_after_ms) == (True, 0, 366 * 24 * 3_600_000)
    for algorithm in (FIXED, SLIDING):
        assert Keeper().ask(Throttle(b"k", algorithm, most, 366 * 24 * 3_600_000, most, most), START_MS).allowed
