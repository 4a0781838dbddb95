"""Writers that know what a server must have kept of their writes, whenever it was killed. Pure, but for what they ask.

Each writer has keys that no other writer touches, in cells: the keys of one cell are always written together, by
one atomic request, and so all hold the number of the same write. After a restart a cell must hold the last write that
was answered, or one of the later ones that were not, whole.

Then every write that was not answered is sent once more, under its request id: what was done answers as it did and
changes nothing, what was not is done now. After that nothing is open.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from petra.v1 import storage_pb2 as pb
from tests.support.refusals import Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.crash.line import Line
    from tests.support.pipelines import Outcome, Request

KEYS: Final = 5
# Answered writes that are sent again after a restart.
_REPEATS: Final = 8

# Number and version of each key that is there.
Contents = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Write:
    """`number` is what the keys of the cell hold once this is done; None: they are gone."""

    cell: tuple[str, ...]
    number: int | None
    request: Request


@dataclass
class Writer(ABC):
    """One stream of writes. After a crash comes `recover`; then it may go on."""

    name: str
    random: random.Random
    # The writes that were answered, by cell: only the last one counts.
    _last: dict[tuple[str, ...], Write] = field(default_factory=dict)
    # Those that were not, in the order in which they were sent.
    _open: list[Write] = field(default_factory=list)
    # The newest version that was given to each key. It only grows, also when the key goes and comes back.
    _versions: dict[str, int] = field(default_factory=dict)
    _answered: deque[tuple[Write, Outcome]] = field(default_factory=lambda: deque(maxlen=_REPEATS))
    _number: int = 0
    answers: int = 0
    # Writes that nobody had an answer to, and that were done all the same.
    done_unanswered: int = 0

    @abstractmethod
    def next_writes(self) -> list[Write]:
        """What to send next, together."""

    @property
    def object_name(self) -> str:
        """Empty: flat keys."""
        return self.name

    @property
    def keys(self) -> list[str]:
        return [f"{self.name}-{index}" for index in range(KEYS)]

    async def write(self, line: Line) -> bool:
        """Writes once. False when not everything was answered."""
        writes = self.next_writes()
        requests = [write.request for write in writes]
        alone = len(requests) == 1
        outcomes = [await line.ask(requests[0])] if alone else await line.ask_together(requests)
        for write, outcome in zip(writes, outcomes, strict=True):
            if outcome is None:
                self._open.append(write)
            else:
                self._take(write, outcome)
        return not self._open

    async def recover(self, line: Line) -> None:
        """After a restart. Raises AssertionError when something is there that must not be, or is not that must."""
        before = await self._look(line)
        self._check(before)
        for write, outcome in self._answered:
            if not isinstance(write.request, pb.ClearRequest):
                again = await line.ask(write.request)
                assert again == outcome, f"{write} was answered {outcome}, and after the restart {again}"
        assert await self._look(line) == before, f"{self.name}: repeated requests changed {before}"
        still_open, self._open = self._open, []
        for write in still_open:
            self.done_unanswered += _holds(before, write)
            settled = await line.ask(write.request)
            assert settled is not None, "the server died again"
            self._take(write, settled)
        self._check(await self._look(line))

    async def _look(self, line: Line) -> Contents:
        """What the keys hold, by both ways of reading many."""
        many = await line.ask(pb.GetManyRequest(object=self.object_name, keys=self.keys))
        listed = await line.ask(pb.ListRequest(object=self.object_name, prefix=f"{self.name}-"))
        assert isinstance(many, pb.GetManyResponse), many
        assert isinstance(listed, pb.ListResponse), listed
        assert list(many.entries) == list(listed.entries)
        return {entry.key: (int(entry.value.split()[0]), entry.version) for entry in many.entries}

    def _check(self, contents: Contents) -> None:
        for cell in {write.cell for write in [*self._last.values(), *self._open]}:
            last, later = self._last.get(cell), [write for write in self._open if write.cell == cell]
            held = {key: contents[key] for key in cell if key in contents}
            numbers = {number for number, _ in held.values()}
            assert len(held) in (0, len(cell)), f"a part of {cell} is there: {held}"
            assert len(numbers) <= 1, f"{cell} holds parts of several writes: {held}"
            number = next(iter(numbers), None)
            if number == (last and last.number):
                for key, (_, version) in held.items():
                    assert version == self._versions[key], f"{key} has another version than was answered"
                continue
            assert number in [write.number for write in later], (
                f"{cell} holds {number}; {last} was answered, {later} not"
            )
            for key, (_, version) in held.items():
                assert version > self._versions.get(key, 0), f"the version of {key} went back"

    def _take(self, write: Write, outcome: Outcome) -> None:
        """An answer."""
        assert not isinstance(outcome, Refusal), f"{write} was refused: {outcome}"
        assert all(earlier.cell != write.cell for earlier in self._open), "an answer overtook another one on its key"
        for key, version in zip(write.cell, _versions(outcome), strict=False):
            assert version > self._versions.get(key, 0), f"{key} got version {version} after {self._versions[key]}"
            self._versions[key] = version
        self._last[write.cell] = write
        self._answered.append((write, outcome))
        self.answers += 1

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _value(self, number: int) -> bytes:
        """The number, and padding so that the directory grows."""
        return b"%d %s" % (number, self.random.randbytes(self.random.choice((10, 100, 2000))).hex().encode())

    def _id(self) -> bytes:
        return self.random.randbytes(16)


class KeyWriter(Writer):
    """Writes and removes single flat keys: one a time by unary calls, or `width` at once through a pipeline."""

    width: int = 1

    @property
    def object_name(self) -> str:
        return ""

    def next_writes(self) -> list[Write]:
        return [self._next_write() for _ in range(self.width)]

    def _next_write(self) -> Write:
        key, number = self.random.choice(self.keys), self._next_number()
        if self.random.random() < 0.1:
            return Write((key,), None, pb.DeleteRequest(key=key, request_id=self._id()))
        return Write((key,), number, pb.SetRequest(key=key, value=self._value(number), request_id=self._id()))


class PipelineWriter(KeyWriter):
    width = 12


class Counter(Writer):
    """Counts, so that a write that is done twice shows."""

    def next_writes(self) -> list[Write]:
        key, number = self.keys[0], self._next_number()
        request = pb.IncrementRequest(object=self.name, key=key, delta=1, request_id=self._id())
        return [Write((key,), number, request)]


class ObjectWriter(Writer):
    """Writes and removes all keys of an object: SetMany, Transact, Clear, DeleteMany."""

    def next_writes(self) -> list[Write]:
        write = self.random.choices(
            [self._set_many, self._transact, self._clear, self._delete_many], weights=[4, 4, 1, 1]
        )[0]
        return [write()]

    def _items(self, number: int) -> list[pb.SetItem]:
        return [pb.SetItem(key=key, value=self._value(number)) for key in self.keys]

    def _set_many(self) -> Write:
        number = self._next_number()
        request = pb.SetManyRequest(object=self.name, items=self._items(number), request_id=self._id())
        return Write(tuple(self.keys), number, request)

    def _transact(self) -> Write:
        """On the condition that the first key is as this writer left it."""
        number, cell = self._next_number(), tuple(self.keys)
        last = self._last.get(cell)
        version = self._versions[cell[0]] if last is not None and last.number is not None else 0
        request = pb.TransactRequest(
            object=self.name,
            conditions=[pb.Condition(key=cell[0], version=version)],
            operations=[pb.Operation(set=item) for item in self._items(number)],
            request_id=self._id(),
        )
        return Write(cell, number, request)

    def _clear(self) -> Write:
        return Write(tuple(self.keys), None, pb.ClearRequest(object=self.name))

    def _delete_many(self) -> Write:
        request = pb.DeleteManyRequest(object=self.name, keys=self.keys, request_id=self._id())
        return Write(tuple(self.keys), None, request)


def _versions(outcome: Outcome) -> Sequence[int]:
    """The versions that an answer names, in the order of its keys."""
    match outcome:
        case pb.SetResponse() | pb.IncrementResponse():
            return [outcome.version]
        case pb.SetManyResponse():
            return outcome.versions
        case pb.TransactResponse():
            assert outcome.committed, f"the condition of a transaction did not hold: {outcome.conflicts}"
            return [result.set.version for result in outcome.results]
        case _:
            return []


def _holds(contents: Contents, write: Write) -> bool:
    number, _ = contents.get(write.cell[0], (None, 0))
    return number is not None and number == write.number
