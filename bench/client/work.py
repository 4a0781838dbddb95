"""The calls of one caller, and what a good answer to each of them is.

A `Work` begins a call and judges its answer. With an asynchronous library `start` gives an awaitable of the answer,
with a blocking one the answer itself; everything else is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bench.client.script import GROUPS, STEPS, Script
from bench.process import BenchError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Judges the answer to a call that wrote to this group.
Accepts = Callable[[int, object], bool]


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """`start` begins the call with this number; `check` raises BenchError for an answer that it must not have."""

    start: Callable[[int], T]
    check: Callable[[int, object], None]


class Pipeline(Protocol[T_co]):
    """A group of operations, as both libraries have it."""

    def get(self, name: str, /) -> object: ...

    def set(self, name: str, value: bytes, /) -> object: ...

    def execute(self) -> T_co: ...


def reads(get: Callable[[str], T], script: Script) -> Work[T]:
    """Reads of one key a call."""
    keys = [key for (key,) in script.groups]
    values = [value for held in script.before for value in held.values()]

    def check(number: int, answer: object) -> None:
        if answer != values[number % GROUPS]:
            raise BenchError(f"{keys[number % GROUPS]} was read as {answer!r:.80}")

    return Work(lambda number: get(keys[number % GROUPS]), check)


def writes(put: Callable[[str, bytes], T], script: Script, accepts: Accepts) -> Work[T]:
    """Writes of one key a call."""
    pairs = [pair for step in script.steps for pair in step.items()]

    def start(number: int) -> T:
        key, value = pairs[number % STEPS]
        return put(key, value)

    return Work(start, _write_check(script, accepts))


def group_reads(get: Callable[[Sequence[str]], T], script: Script, *, named: bool) -> Work[T]:
    """Reads of a group of keys a call, answered by a dictionary (`named`), or by a list in the order of the keys."""
    groups = script.groups
    expected: list[object] = [dict(held) if named else list(held.values()) for held in script.before]

    def check(number: int, answer: object) -> None:
        if answer != expected[number % GROUPS]:
            raise BenchError(f"{groups[number % GROUPS][0]} and the keys after it were read as {answer!r:.80}")

    return Work(lambda number: get(groups[number % GROUPS]), check)


def group_writes(put: Callable[[dict[str, bytes]], T], script: Script, accepts: Accepts) -> Work[T]:
    """Writes of a group of keys a call."""
    steps = [dict(step) for step in script.steps]
    return Work(lambda number: put(steps[number % STEPS]), _write_check(script, accepts))


def _write_check(script: Script, accepts: Accepts) -> Callable[[int, object], None]:
    def check(number: int, answer: object) -> None:
        if not accepts(number % GROUPS, answer):
            raise BenchError(f"the write of {script.groups[number % GROUPS][0]} was answered with {answer!r:.80}")

    return check


def piped_get(pipeline: Callable[[], Pipeline[T]]) -> Callable[[Sequence[str]], T]:
    """Reads keys through a pipeline."""

    def get(keys: Sequence[str]) -> T:
        recorded = pipeline()
        for key in keys:
            recorded.get(key)
        return recorded.execute()

    return get


def piped_set(pipeline: Callable[[], Pipeline[T]]) -> Callable[[dict[str, bytes]], T]:
    """Writes pairs through a pipeline."""

    def put(pairs: dict[str, bytes]) -> T:
        recorded = pipeline()
        for key, value in pairs.items():
            recorded.set(key, value)
        return recorded.execute()

    return put


class Versions:
    """The versions that one caller was told of: those of a key must grow with each write."""

    def __init__(self, script: Script) -> None:
        self._keys = [list(keys) for keys in script.groups]
        self._known = [[0] * len(keys) for keys in script.groups]

    def one(self, group: int, answer: object) -> bool:
        """For the version of a group of one key."""
        known = self._known[group]
        if not isinstance(answer, int) or answer <= known[0]:
            return False
        known[0] = answer
        return True

    def listed(self, group: int, answer: object) -> bool:
        """For the versions of a group in the order of its keys."""
        known = self._known[group]
        if not isinstance(answer, list) or len(answer) != len(known):
            return False
        if not all(isinstance(new, int) and new > old for new, old in zip(answer, known, strict=True)):
            return False
        self._known[group] = answer
        return True

    def named(self, group: int, answer: object) -> bool:
        """For the versions of a group by key."""
        if not isinstance(answer, dict) or list(answer) != self._keys[group]:
            return False
        return self.listed(group, list(answer.values()))
