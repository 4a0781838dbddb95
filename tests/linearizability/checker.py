"""Is a history linearizable? The algorithm of Wing and Gong with the memoisation of Lowe. Pure.

A history is linearizable when each operation can be given one moment between its call and its return, no two the same,
so that a single-threaded model that does them in that order gives the very answers that were seen. Keys that are
independent of each other are checked one by one: linearizability is local.

The search keeps the events of the history in time order and tries to do the operations one after another. Any
operation whose call comes before the first return that is left may be next. When the model answers as was seen, the
operation is taken out and the search goes on from the start; when it meets the return of an operation that is not done
yet, it takes the last choice back. A pair (set of operations done, state) that was met before leads to nothing new,
and is not entered again; this is what makes it fast enough.

An operation that was never answered, as by a server that was killed, took effect at some moment between its call and
the moment when it was certainly over, or never.

Literature: J. M. Wing, C. Gong, "Testing and verifying concurrent objects" (1993); G. Lowe, "Testing for
linearizability" (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

# An honest history takes a few steps an operation; this many take about a minute.
MAX_STEPS = 30_000_000

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)
State = TypeVar("State")


class Model(Protocol[State, Asked_contra, Answer_contra]):
    """A single-threaded object. States are immutable and hashable."""

    def initial(self) -> State: ...

    def after(self, state: State, asked: Asked_contra, answer: Answer_contra) -> State | None:
        """The state after an operation that was answered so. None: in this state it would answer otherwise."""

    def after_unanswered(self, state: State, asked: Asked_contra) -> State | None:
        """The state after an operation whose answer nobody saw. None: in this state it changes nothing."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[Asked, Answer]):
    """What was asked and answered, and when, by any clock that all share.

    `answer` is None for an operation that was never answered; `returned` is then the moment from which on it can have
    no effect any more.
    """

    asked: Asked
    called: float
    answer: Answer | None = None
    returned: float = inf


@dataclass(frozen=True, slots=True)
class Violation(Generic[Asked, Answer]):
    """Why a history is not linearizable: the longest order that was found, and what fits nowhere after it."""

    placed: tuple[Operation[Asked, Answer], ...]
    stuck: tuple[Operation[Asked, Answer], ...]

    def __str__(self) -> str:
        rows = [f"  {number:4} {_row(operation)}" for number, operation in enumerate(self.placed, 1)][-12:]
        stuck = [f"       {_row(operation)}" for operation in self.stuck]
        return "\n".join(["not linearizable; the longest order found ends with", *rows, "and none of", *stuck, "fits"])


class Undecided(Exception):
    """The search was given up after too many steps. The history may or may not be linearizable."""


def find_violation(
    model: Model[State, Asked, Answer], history: Sequence[Operation[Asked, Answer]], *, max_steps: int = MAX_STEPS
) -> Violation[Asked, Answer] | None:
    """None when the history is linearizable. Raises Undecided."""
    events = _Events(history)
    state = model.initial()
    done = 0
    entered = {(done, state)}
    choices: list[tuple[int, State]] = []
    unplaced = sum(operation.answer is not None for operation in history)
    longest: list[int] = []
    at = events.first()
    for _ in range(max_steps):
        if not unplaced:
            return None
        number = events.operation[at]
        next_state = None
        if number is not None:
            next_state = _step(model, history[number], state, is_call=events.is_call[at])
        if number is not None and next_state is not None and (done | 1 << number, next_state) not in entered:
            choices.append((number, state))
            state, done = next_state, done | 1 << number
            entered.add((done, state))
            unplaced -= history[number].answer is not None
            events.take_out(number)
            if len(choices) > len(longest):
                longest = [chosen for chosen, _ in choices]
            at = events.first()
        elif number is not None and events.is_call[at]:
            at = events.after[at]
        elif choices:
            number, state = choices.pop()
            done ^= 1 << number
            unplaced += history[number].answer is not None
            events.put_back(number)
            at = events.after[events.call[number]]
        else:
            return _violation(history, longest)
    raise Undecided(f"{len(history)} operations, {max_steps} steps")


def _step(
    model: Model[State, Asked, Answer], operation: Operation[Asked, Answer], state: State, *, is_call: bool
) -> State | None:
    """The state when this operation is next. At the end of an unanswered one it is over and never had an effect."""
    if operation.answer is not None:
        return model.after(state, operation.asked, operation.answer) if is_call else None
    return model.after_unanswered(state, operation.asked) if is_call else state


class _Events:
    """Calls and returns in time order, as a doubly linked list from which operations are taken out and put back.

    Positions count from 1; 0 stands before the first event, and after the last one comes one without an operation.
    Operations must be put back in the reverse order of taking them out.
    """

    def __init__(self, history: Sequence[Operation[Asked, Answer]]) -> None:
        # At the same moment calls come first: then neither operation is before the other.
        ordered = sorted(
            (moment, is_return, number)
            for number, operation in enumerate(history)
            for moment, is_return in ((operation.called, False), (operation.returned, True))
            if not (is_return and moment == inf)
        )
        self.operation: list[int | None] = [None, *(number for _, _, number in ordered), None]
        self.is_call = [False, *(not is_return for _, is_return, _ in ordered), False]
        self.call: dict[int, int] = {}
        self._return: dict[int, int] = {}
        for position, (_, is_return, number) in enumerate(ordered, 1):
            (self._return if is_return else self.call)[number] = position
        self.after = list(range(1, len(ordered) + 3))
        self._before = list(range(-1, len(ordered) + 1))

    def first(self) -> int:
        return self.after[0]

    def take_out(self, number: int) -> None:
        for position in self._positions(number):
            self.after[self._before[position]] = self.after[position]
            self._before[self.after[position]] = self._before[position]

    def put_back(self, number: int) -> None:
        for position in reversed(self._positions(number)):
            self.after[self._before[position]] = position
            self._before[self.after[position]] = position

    def _positions(self, number: int) -> list[int]:
        end = self._return.get(number)
        return [self.call[number]] if end is None else [self.call[number], end]


def _violation(history: Sequence[Operation[Asked, Answer]], order: Sequence[int]) -> Violation[Asked, Answer]:
    left = [operation for number, operation in enumerate(history) if number not in set(order)]
    deadline = min(operation.returned for operation in left)
    return Violation(
        tuple(history[number] for number in order), tuple(each for each in left if each.called <= deadline)
    )


def _row(operation: Operation[Asked, Answer]) -> str:
    answer = "never answered" if operation.answer is None else operation.answer
    return f"{operation.asked} -> {answer}   [{operation.called}, {operation.returned}]"
