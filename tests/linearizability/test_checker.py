"""The checker on histories whose verdict is known, and against brute force over all orders."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linearizability.checker import Operation, Undecided, find_violation
from tests.linearizability.register import (
    Absent,
    Answer,
    Asked,
    Conflict,
    Delete,
    Deleted,
    Entry,
    Found,
    Get,
    Increment,
    Register,
    Set,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Step = Operation[Asked, Answer]


def op(asked: Asked, answer: Answer | None, called: float, returned: float = inf) -> Step:
    return Operation(asked, called, answer, returned)


GOOD: dict[str, list[Step]] = {
    "nothing": [],
    "one after another": [
        op(Set(1), Found(1, 5), 0, 1),
        op(Get(), Found(1, 5), 2, 3),
        op(Delete(), Deleted(True), 4, 5),
        op(Get(), Absent(), 6, 7),
        op(Delete(), Deleted(False), 8, 9),
    ],
    "a read beside a write sees it": [op(Set(1), Found(1, 1), 0, 9), op(Get(), Found(1, 1), 1, 2)],
    "a read beside a write does not see it": [op(Set(1), Found(1, 1), 0, 9), op(Get(), Absent(), 1, 2)],
    "the read that came last in time goes first": [
        op(Get(), Found(2, 2), 0, 10),
        op(Set(2), Found(2, 2), 1, 9),
        op(Set(1), Found(1, 1), 0, 8),
        op(Get(), Found(1, 1), 5, 6),
    ],
    "writes at once, in the order of their versions": [
        op(Set(1), Found(1, 8), 0, 9),
        op(Set(2), Found(2, 7), 0, 9),
        op(Get(), Found(1, 8), 10, 11),
    ],
    "one of two conditional writes wins": [
        op(Set(1, 0), Found(1, 1), 0, 9),
        op(Set(2, 0), Conflict(1), 0, 9),
    ],
    "increments": [
        op(Increment(1), Found(2, 2), 0, 9),
        op(Increment(1), Found(1, 1), 0, 9),
        op(Get(), Found(2, 2), 10, 11),
    ],
    "an unanswered write that was": [op(Set(1), None, 0), op(Get(), Found(1, 3), 5, 6)],
    "an unanswered write that was not": [op(Set(1), None, 0), op(Get(), Absent(), 5, 6)],
    "an unanswered write that came late": [
        op(Set(1), None, 0),
        op(Get(), Absent(), 5, 6),
        op(Get(), Found(1, 3), 7, 8),
    ],
    "unanswered writes of which some were": [
        op(Increment(1), None, 0),
        op(Increment(1), None, 0),
        op(Increment(1), None, 0),
        op(Get(), Found(2, 9), 5, 6),
    ],
    "a condition that names the version of an unanswered write": [
        op(Set(1), None, 0),
        op(Set(2, 4), Found(2, 5), 5, 6),
    ],
}

BAD: dict[str, list[Step]] = {
    "stale read": [
        op(Set(1), Found(1, 1), 0, 1),
        op(Set(2), Found(2, 2), 2, 3),
        op(Get(), Found(1, 1), 4, 5),
    ],
    "lost update": [
        op(Increment(1), Found(1, 1), 0, 1),
        op(Increment(1), Found(1, 2), 0, 9),
    ],
    "two conditional writes win": [op(Set(1, 0), Found(1, 1), 0, 9), op(Set(2, 0), Found(2, 2), 0, 9)],
    "reads that go back": [
        op(Set(1), Found(1, 1), 0, 1),
        op(Set(2), Found(2, 2), 2, 20),
        op(Get(), Found(2, 2), 3, 4),
        op(Get(), Found(1, 1), 5, 6),
    ],
    "a value that nobody wrote": [op(Set(1), Found(1, 1), 0, 1), op(Get(), Found(7, 1), 0, 9)],
    "a version that nobody gave": [op(Set(1), Found(1, 1), 0, 1), op(Get(), Found(1, 2), 2, 3)],
    "a version that goes back": [
        op(Set(1), Found(1, 5), 0, 1),
        op(Set(2), Found(2, 4), 2, 3),
    ],
    "a version that begins anew after a removal": [
        op(Set(1), Found(1, 5), 0, 1),
        op(Delete(), Deleted(True), 2, 3),
        op(Set(2), Found(2, 1), 4, 5),
    ],
    "a conflict that was none": [op(Set(1), Found(1, 5), 0, 1), op(Set(2, 5), Conflict(5), 2, 3)],
    "an acknowledged write that a crash took back": [
        op(Set(1), Found(1, 1), 0, 1),
        op(Set(2), Found(2, 2), 2, 3),
        op(Set(3), None, 4, 5),
        op(Get(), Found(1, 1), 6, 7),
    ],
    "a dirty read that a crash took back": [
        op(Set(1), Found(1, 1), 0, 1),
        op(Set(2), None, 2, 5),
        op(Get(), Found(2, 2), 3, 4),
        op(Get(), Found(1, 1), 6, 7),
    ],
    "an unanswered write after its end": [
        op(Set(1), None, 0, 4),
        op(Get(), Absent(), 5, 6),
        op(Get(), Found(1, 3), 7, 8),
    ],
    "an unanswered write that was twice": [op(Increment(1), None, 0), op(Get(), Found(2, 9), 5, 6)],
    "an unanswered write before its call": [op(Get(), Found(1, 3), 0, 1), op(Set(1), None, 2)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_good_history_is_found_good(history: list[Step]) -> None:
    assert find_violation(Register(), history) is None
    assert find_violation(Register(), history[::-1]) is None


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_a_bad_history_is_found_bad(history: list[Step]) -> None:
    assert find_violation(Register(), history) is not None
    assert find_violation(Register(), history[::-1]) is not None


def test_a_violation_shows_the_order_and_what_does_not_fit() -> None:
    history = BAD["stale read"]
    violation = find_violation(Register(), history)
    assert violation is not None
    assert violation.placed == tuple(history[:2])
    assert violation.stuck == (history[2],)
    assert "Get() -> Found(value=1, version=1)" in str(violation)


def test_many_operations_at_once_are_decided_by_memory() -> None:
    history = [op(Increment(1), Found(total, total), 0, 9) for total in range(1, 13)]
    assert find_violation(Register(), history, max_steps=20_000) is None
    assert find_violation(Register(), [*history, op(Get(), Found(11, 11), 10, 11)], max_steps=20_000) is not None


def test_a_search_that_takes_too_long_is_given_up() -> None:
    history = [op(Increment(1), None, 0) for _ in range(30)]
    with pytest.raises(Undecided):
        find_violation(Register(), [*history, op(Get(), Found(31, 99), 10, 11)], max_steps=1000)


def brute_force_finds_order(history: Sequence[Step]) -> bool:
    """Tries every order of every choice of the unanswered operations."""
    answered = [each for each in history if each.answer is not None]
    unanswered = [each for each in history if each.answer is None]
    choices = chain.from_iterable(combinations(unanswered, size) for size in range(len(unanswered) + 1))
    return any(_runs(order) for chosen in choices for order in permutations([*answered, *chosen]))


def _runs(order: Sequence[Step]) -> bool:
    if any(later.returned < earlier.called for earlier, later in combinations(order, 2)):
        return False
    model = Register()
    state: Entry | None = model.initial()
    for each in order:
        if state is None:
            return False
        if each.answer is None:
            state = model.after_unanswered(state, each.asked)
        else:
            state = model.after(state, each.asked, each.answer)
    return state is not None


_versions = st.integers(0, 4)
_values = st.integers(1, 2)
_asked = st.one_of(
    st.just(Get()),
    st.builds(Set, _values, st.none() | _versions),
    st.builds(Delete, st.none() | _versions),
    st.builds(Increment, st.just(1)),
)
_answers = st.one_of(
    st.builds(Found, st.integers(1, 3), st.integers(1, 4)),
    st.just(Absent()),
    st.builds(Deleted, st.booleans()),
    st.builds(Conflict, _versions),
)


def _answer(state: Entry, asked: Asked, version: int) -> Answer:
    """What a single-threaded server answers whose next version is this one."""
    model = Register()
    candidates: Iterator[Answer] = chain(
        (Absent(), Deleted(True), Deleted(False), Conflict(state.version or 0)),
        (Found(value, known) for value in range(12) for known in (state.version or 0, version)),
    )
    return next(answer for answer in candidates if model.after(state, asked, answer) is not None)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Histories of a server that is right, drawn out in time, with answers lost and now and then one made up."""
    model = Register()
    state = model.initial()
    history = []
    for number, asked in enumerate(draw(st.lists(_asked, max_size=6))):
        answer = _answer(state, asked, number + 1)
        state = model.after(state, asked, answer) or state
        called, returned = number * 4 - draw(st.integers(0, 9)), number * 4 + draw(st.integers(0, 9))
        lost, endless, false = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 9)) == 0
        if false:
            answer = draw(_answers)
        history.append(op(asked, None if lost else answer, called, inf if lost and endless else returned))
    return history


@settings(max_examples=400, deadline=None)
@given(histories())
def test_the_verdict_is_that_of_brute_force(history: list[Step]) -> None:
    assert (find_violation(Register(), history) is None) == brute_force_finds_order(history)
