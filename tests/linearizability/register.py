"""The model of one key: a value, and a version that only grows, also across removal. Pure.

The versions that a server gives out are its own affair as long as they grow, so after a write that was never answered
the version is known only by its bound, until an answer names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Get:
    pass


@dataclass(frozen=True, slots=True)
class Set:
    """`if_version` 0 means that the key must be absent, None that there is no condition."""

    value: int
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Increment:
    delta: int


@dataclass(frozen=True, slots=True)
class Found:
    """An entry: the answer of Get, Set and Increment, each with the value that the key has then."""

    value: int
    version: int


@dataclass(frozen=True, slots=True)
class Absent:
    """No entry: the answer of Get."""


@dataclass(frozen=True, slots=True)
class Deleted:
    was_there: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """The condition did not hold. `version` is the present one, 0 for absent."""

    version: int


Asked = Get | Set | Delete | Increment
Answer = Found | Absent | Deleted | Conflict


class Entry(NamedTuple):
    """`value` None: absent. `version` None: greater than `above`, and otherwise unknown."""

    value: int | None
    version: int | None
    above: int


class Register:
    """A model for checker.find_violation."""

    def initial(self) -> Entry:
        return Entry(None, 0, 0)

    def after(self, state: Entry, asked: Asked, answer: Answer) -> Entry | None:
        match asked, answer:
            case Get(), Absent():
                return state if state.value is None else None
            case Get(), Found(value, version):
                return _pinned(state, version) if state.value == value else None
            case ((Set(_, int(wanted)) | Delete(int(wanted))), Conflict(version)):
                return _pinned(state, version) if version != wanted else None
            case Set(value, if_version), Found(written, version):
                return _written(_meeting(state, if_version), value, version) if written == value else None
            case Increment(delta), Found(total, version):
                return _written(state, total, version) if total == (state.value or 0) + delta else None
            case Delete(if_version), Deleted(was_there):
                if was_there != (state.value is not None):
                    return None
                return _removed(_meeting(state, if_version))
            case _:
                return None

    def after_unanswered(self, state: Entry, asked: Asked) -> Entry | None:
        match asked:
            case Set(value, if_version):
                met = _meeting(state, if_version)
                return None if met is None else Entry(value, None, met.above)
            case Increment(delta):
                return Entry((state.value or 0) + delta, None, state.above)
            case Delete(if_version) if state.value is not None:
                return _removed(_meeting(state, if_version))
            case _:
                return None


def _pinned(state: Entry, version: int) -> Entry | None:
    """The state, now that its version is known to be this one. None: it is another one."""
    if state.version is not None:
        return state if state.version == version else None
    return Entry(state.value, version, version) if version > state.above else None


def _meeting(state: Entry, if_version: int | None) -> Entry | None:
    """The state if it meets the condition."""
    return state if if_version is None else _pinned(state, if_version)


def _written(state: Entry | None, value: int, version: int) -> Entry | None:
    return Entry(value, version, version) if state is not None and version > state.above else None


def _removed(state: Entry | None) -> Entry | None:
    return None if state is None else Entry(None, 0, state.above)
