"""What a plan asks of a thread's object, and who asks it: for threads and for coroutines.

A plan is a generator. It yields a step, finds the answer in the step when it goes on, and returns what it was made
for; so what is to be done stands in one place for both clients, and waits for nothing itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from petra import AsyncObject, AsyncTransaction, Object, Transaction
from petra.integrations.langgraph.records import without_piece

T = TypeVar("T")

# A server takes 1,024 keys a request unless it is set otherwise.
_KEYS_AT_ONCE: Final = 500


@dataclass(slots=True)
class Read:
    """The values of keys. Absent ones are left out."""

    keys: Sequence[str]
    found: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Scan:
    """All entries whose keys begin with a prefix."""

    prefix: str
    found: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class ScanKeys:
    """All keys that begin with a prefix, in their order."""

    prefix: str
    found: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LastKey:
    """The last key that begins with a prefix; None when there is none."""

    prefix: str
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Writes entries, all in one atomic step. Of `once`, those that are there already stay as they are."""

    items: Mapping[str, bytes]
    once: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remove:
    """Removes entries, many at a time, in their order."""

    keys: Sequence[str]


Step: TypeAlias = Read | Scan | ScanKeys | LastKey | Write | Remove
Plan: TypeAlias = Generator[Step, None, T]


def carry_out(plan: Plan[T], thread: Object) -> T:
    """Does what a plan asks, and returns what it returns."""
    while True:
        try:
            step = next(plan)
        except StopIteration as end:
            returned: T = end.value
            return returned
        match step:
            case Read():
                step.found = thread.get_many(step.keys)
            case Scan():
                step.found = {entry.key: entry.value for entry in thread.list(prefix=step.prefix)}
            case ScanKeys():
                step.found = list(thread.list_keys(prefix=step.prefix))
            case LastKey():
                step.found = next(iter(thread.list_keys(prefix=step.prefix, reverse=True, limit=1)), None)
            case Write():
                _write(thread, step)
            case Remove():
                _remove(thread, step)


async def carry_out_async(plan: Plan[T], thread: AsyncObject) -> T:
    """As `carry_out`, for coroutines."""
    while True:
        try:
            step = next(plan)
        except StopIteration as end:
            returned: T = end.value
            return returned
        match step:
            case Read():
                step.found = await thread.get_many(step.keys)
            case Scan():
                step.found = {entry.key: entry.value async for entry in thread.list(prefix=step.prefix)}
            case ScanKeys():
                step.found = [key async for key in thread.list_keys(prefix=step.prefix)]
            case LastKey():
                last = [key async for key in thread.list_keys(prefix=step.prefix, reverse=True, limit=1)]
                step.found = last[0] if last else None
            case Write():
                await _write_async(thread, step)
            case Remove():
                await _remove_async(thread, step)


def _write(thread: Object, write: Write) -> None:
    def change(transaction: Transaction) -> None:
        present = transaction.get_many(write.once) if write.once else {}
        for key, value in _to_write(write, present).items():
            transaction.set(key, value)

    if write.once:
        thread.transact(change)
    elif write.items:
        thread.set_many(write.items)


async def _write_async(thread: AsyncObject, write: Write) -> None:
    async def change(transaction: AsyncTransaction) -> None:
        present = await transaction.get_many(write.once) if write.once else {}
        for key, value in _to_write(write, present).items():
            transaction.set(key, value)

    if write.once:
        await thread.transact(change)
    elif write.items:
        await thread.set_many(write.items)


def _to_write(write: Write, present: Mapping[str, bytes]) -> dict[str, bytes]:
    missing = {key: value for key, value in write.once.items() if without_piece(key) not in present}
    return {**write.items, **missing}


def _remove(thread: Object, remove: Remove) -> None:
    for keys in _portions(remove.keys):
        thread.delete_many(keys)


async def _remove_async(thread: AsyncObject, remove: Remove) -> None:
    for keys in _portions(remove.keys):
        await thread.delete_many(keys)


def _portions(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE)]
