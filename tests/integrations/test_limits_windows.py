"""The windows of `limits`, without a server: what they let in, by what the library says of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.integrations.limits.windows import MovingWindow, SlidingWindow, WindowFull

EXPIRY = 10
# Steps of time in milliseconds, and how many come then.
VISITS = st.lists(st.tuples(st.integers(0, 15_000), st.integers(1, 4)), max_size=60)


@given(VISITS, st.integers(1, 12))
def test_no_ten_seconds_have_more_than_a_moving_window_allows(visits: list[tuple[int, int]], limit: int) -> None:
    window, now, came = MovingWindow(), 1_000_000, list[tuple[int, int]]()
    for step, amount in visits:
        now += step
        before = sum(count for moment, count in came if moment >= now - EXPIRY * 1_000)
        try:
            window = window.enter(now, limit, EXPIRY, amount)
        except WindowFull:
            assert before + amount > limit
        else:
            assert before + amount <= limit
            came.append((now, amount))
        inside = [(moment, count) for moment, count in came if moment >= now - EXPIRY * 1_000]
        began = inside[0][0] if inside else now
        assert window.state(now, EXPIRY) == (began / 1_000, sum(count for _, count in inside))
        assert MovingWindow.load(window.dump()) == window


def test_a_moving_window_ends_after_its_last_millisecond() -> None:
    window = MovingWindow().enter(20_000, 1, EXPIRY, 1)
    with pytest.raises(WindowFull):
        window.enter(30_000, 1, EXPIRY, 1)
    assert window.enter(30_001, 1, EXPIRY, 1).hits == ((30_001, 1),)


def test_a_clock_that_is_behind_lets_nobody_in_early() -> None:
    window = MovingWindow().enter(20_000, 2, EXPIRY, 1).enter(12_000, 2, EXPIRY, 1)
    with pytest.raises(WindowFull):
        window.enter(29_999, 2, EXPIRY, 1)
    assert window.enter(30_001, 2, EXPIRY, 2).count() == 2


def test_a_sliding_window_weighs_the_one_before() -> None:
    window = SlidingWindow(0)
    for _ in range(4):
        window = window.enter(5_000, 4, EXPIRY, 1)
    with pytest.raises(WindowFull):
        window.enter(9_999, 4, EXPIRY, 1)
    # A quarter of the next window has gone by: three quarters of the four count.
    assert window.state(12_500, EXPIRY) == (4, 7.5, 0, 17.5)
    window = window.enter(12_500, 4, EXPIRY, 1)
    with pytest.raises(WindowFull):
        window.enter(12_500, 4, EXPIRY, 1)
    assert window.state(40_000, EXPIRY) == (0, 0.0, 0, 20.0)
    assert SlidingWindow.load(window.dump(), 0) == window


@given(VISITS, st.integers(1, 12))
def test_a_sliding_window_never_counts_more_than_its_limit(visits: list[tuple[int, int]], limit: int) -> None:
    window, now = SlidingWindow(1_000_000), 1_000_000
    for step, amount in visits:
        now += step
        before, left, current, _ = window.state(now, EXPIRY)
        room = limit - int(before * left / EXPIRY) - current
        try:
            window = window.enter(now, limit, EXPIRY, amount)
        except WindowFull:
            assert amount > room
        else:
            assert amount <= room
        assert window.current <= limit
        assert window.previous <= limit
