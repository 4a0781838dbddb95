"""A client process: several tasks that read and write the same few keys, and write down what they saw and when.

It talks to the test that started it over a pipe: it gets the address of each new server, and tells how far it is and
in the end its whole history.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from petra.v1 import storage_pb2 as pb
from tests.crash.line import Line
from tests.linearizability.checker import Operation
from tests.linearizability.register import (
    Absent,
    Answer,
    Asked,
    Conflict,
    Delete,
    Deleted,
    Found,
    Get,
    Increment,
    Set,
)
from tests.support.refusals import Refusal

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tests.support.pipelines import Outcome, Request

Step = Operation[Asked, Answer]
# The object and the key. Flat keys and keys of an object take different ways through the server.
Place = tuple[str, str]

# How often a client tells how far it is, in operations.
REPORT_EVERY: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one client process does. `number` keeps its values apart from those of the others."""

    number: int
    seed: str
    places: tuple[Place, ...]
    unary_tasks: int
    pipeline_tasks: int
    operations_a_task: int


@dataclass(frozen=True, slots=True)
class Report:
    """So many more operations are done."""

    operations: int


@dataclass(frozen=True, slots=True)
class Finished:
    history: dict[Place, list[Step]]


def run_client(work: Work, pipe: Connection[Report | Finished, str]) -> None:
    """The whole life of the process."""
    asyncio.run(_Client(work, pipe).run())


@dataclass
class _Task:
    random: random.Random
    width: int
    line: Line | None = None
    # The newest version seen of each place, for conditions that have a chance.
    versions: dict[Place, int] = field(default_factory=dict)


class _Client:
    def __init__(self, work: Work, pipe: Connection[Report | Finished, str]) -> None:
        self._work = work
        self._pipe = pipe
        self._history: dict[Place, list[Step]] = {place: [] for place in work.places}
        self._unreported = 0
        self._values = 0
        # The server that is up now; changed by the pipe's reader.
        self._address = ""
        self._changed = asyncio.Condition()
        self._readers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read_address)
        work = self._work
        widths = [1] * work.unary_tasks + [4] * work.pipeline_tasks
        async with asyncio.TaskGroup() as tasks:
            for number, width in enumerate(widths):
                tasks.create_task(self._work_off(_Task(random.Random(f"{work.seed}/{number}"), width)))
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.send(Finished(self._history))

    def _read_address(self) -> None:
        reader = asyncio.create_task(self._set_address(self._pipe.recv()))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _set_address(self, address: str) -> None:
        async with self._changed:
            self._address = address
            self._changed.notify_all()

    async def _work_off(self, task: _Task) -> None:
        left, known_address = self._work.operations_a_task, ""
        while left > 0:
            async with self._changed:
                await self._changed.wait_for(lambda: self._address != known_address)  # noqa: B023 - awaited at once
                known_address = self._address
            async with Line(known_address) as line:
                alive = True
                while alive and left > 0:
                    alive = await self._one_message(task, line)
                    left -= task.width

    async def _one_message(self, task: _Task, line: Line) -> bool:
        """Asks once and writes it down. False when the server is gone."""
        asked = [self._choose(task) for _ in range(task.width)]
        called = monotonic_ns()
        requests = [_request(place, each) for place, each in asked]
        outcomes = [await line.ask(requests[0])] if task.width == 1 else await line.ask_together(requests)
        returned = monotonic_ns()
        for (place, each), outcome in zip(asked, outcomes, strict=True):
            if outcome is not None:
                answer = _answer(each, outcome)
                self._history[place].append(Operation(each, called, answer, returned))
                if isinstance(answer, Found | Conflict):
                    task.versions[place] = answer.version
            elif not isinstance(each, Get):
                self._history[place].append(Operation(each, called))
        self._report(len(asked))
        return None not in outcomes

    def _choose(self, task: _Task) -> tuple[Place, Asked]:
        place = task.random.choice(self._work.places)
        if_version = task.versions.get(place, 0)
        self._values += 1
        value = (self._work.number * 1_000_000 + self._values) * 1000
        choices: list[tuple[int, Asked]] = [
            (35, Get()),
            (20, Set(value)),
            (20, Set(value, if_version)),
            (5, Set(value, 0)),
            (5, Delete()),
            (5, Delete(if_version)),
            (10, Increment(1)),
        ]
        return place, task.random.choices([each for _, each in choices], [weight for weight, _ in choices])[0]

    def _report(self, operations: int) -> None:
        self._unreported += operations
        if self._unreported >= REPORT_EVERY:
            self._pipe.send(Report(self._unreported))
            self._unreported = 0


def _request(place: Place, asked: Asked) -> Request:
    name, key = place
    match asked:
        case Get():
            return pb.GetRequest(object=name, key=key)
        case Set(value, if_version):
            data = str(value).encode()
            return pb.SetRequest(object=name, key=key, value=data, encoding=pb.ENCODING_JSON, if_version=if_version)
        case Delete(if_version):
            return pb.DeleteRequest(object=name, key=key, if_version=if_version)
        case Increment(delta):
            return pb.IncrementRequest(object=name, key=key, delta=delta)


def _answer(asked: Asked, outcome: Outcome) -> Answer:
    match asked, outcome:
        case Get(), pb.GetResponse():
            entry = outcome.entry
            return Found(int(entry.value), entry.version) if outcome.HasField("entry") else Absent()
        case Set(value), pb.SetResponse():
            return Found(value, outcome.version)
        case Increment(), pb.IncrementResponse():
            return Found(outcome.value, outcome.version)
        case Delete(), pb.DeleteResponse():
            return Deleted(outcome.deleted)
        case _, Refusal(reason="VERSION_CONFLICT"):
            return Conflict(int(outcome.metadata["version"]))
        case _:
            raise AssertionError(f"{asked} was answered with {outcome}")
