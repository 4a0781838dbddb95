"""A client process of a workload: it loads its share of the records, and then does its share of the operations.

Started as `python -m bench.ycsb.client SETTINGS` with settings in JSON. It prints `ready` and waits for a line on its
standard input before each of the two, so that all clients begin together, and at the end writes what it did and what
it was told to the file that the settings name, and prints `done`. On the way it holds every read against what this
client knew when it asked.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.ycsb.check import Unknown, Written
from bench.ycsb.distributions import Zipfian, latest, scramble
from bench.ycsb.store import Entry, Failed, PipelineStore, Store, UnaryStore
from bench.ycsb.workloads import (
    FIELD_BYTES,
    FIELDS,
    MOST_SCANNED,
    WORKLOADS,
    Kind,
    Layout,
    Record,
    Requests,
    pack,
    place,
    record_key,
    unpack,
)

# Ids of writes are unique over all clients: the client's number stands above this bit.
_WRITE_BITS = 40

# A read-modify-write that loses so often in a row does not get anywhere.
_ATTEMPTS = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """One client's part. `index` is its number of `clients`."""

    address: str
    transport: str
    workload: str
    layout: str
    records: int
    operations: int
    index: int
    clients: int
    in_flight: int
    seed: int
    report: str


@dataclass(slots=True)
class Report:
    """What a client did and was told; begin and end are of the system's monotonic clock."""

    loading: tuple[float, float] = (0.0, 0.0)
    working: tuple[float, float] = (0.0, 0.0)
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {str(kind): [] for kind in Kind})
    written: list[tuple[int, int, int]] = field(default_factory=list)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    conflicts: int = 0


def open_store(transport: str, address: str) -> Store:
    """A store of the transport's kind. Needs a running event loop."""
    return PipelineStore(address) if transport == "pipeline" else UnaryStore(address)


class Client:
    """Does one client's operations, so many at a time, and keeps the report."""

    def __init__(self, settings: Settings) -> None:
        self.report = Report()
        self._settings = settings
        self._store: Store = open_store(settings.transport, settings.address)
        self._workload = WORKLOADS[settings.workload]
        self._layout = Layout(settings.layout)
        self._random = random.Random(settings.seed)
        self._kinds = list(self._workload.mix)
        self._shares = list(self._workload.mix.values())
        self._zipfian = Zipfian(settings.records)
        self._left = settings.operations
        self._writes = settings.index << _WRITE_BITS
        # The records that this client inserted, in the order of their acknowledgements.
        self._inserted: list[int] = []
        self._next_insert = settings.records + settings.index
        # For each record the newest version that this client was told of: no later read may show an older one.
        self._known: dict[int, int] = {}
        # And when it was told so, counted in such events.
        self._known_at: dict[int, int] = {}
        self._events = 0
        self._loaded_keys: list[str] = []

    async def load(self) -> None:
        """Writes this client's share of the records, always by the pipeline, which is faster."""
        settings = self._settings
        numbers = iter(range(settings.index, settings.records, settings.clients))
        measured, self._store = self._store, open_store("pipeline", settings.address)
        began = time.monotonic()
        await asyncio.gather(*(self._load_from(numbers) for _ in range(settings.in_flight)))
        self.report.loading = (began, time.monotonic())
        await self._store.close()
        self._store = measured

    async def _load_from(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._write(number, counter=0)

    async def work(self) -> None:
        """Does this client's share of the operations, and closes the store."""
        began = time.monotonic()
        await asyncio.gather(*(self._work() for _ in range(self._settings.in_flight)))
        self.report.working = (began, time.monotonic())
        await self._store.close()

    def prepare(self) -> None:
        """Does what costs time and is no part of the work."""
        if Kind.SCAN in self._workload.mix:
            self._loaded_keys = sorted(record_key(number) for number in range(self._settings.records))

    async def _work(self) -> None:
        while self._left > 0:
            self._left -= 1
            (kind,) = self._random.choices(self._kinds, self._shares)
            began = time.perf_counter()
            try:
                await self._operate(kind)
            except Failed as failure:
                self.report.failures.append(f"{kind}: {failure}")
            else:
                self.report.latencies_ms[kind].append((time.perf_counter() - began) * 1000)

    async def _operate(self, kind: Kind) -> None:
        match kind:
            case Kind.READ:
                await self._read(self._choose())
            case Kind.UPDATE:
                await self._write(self._choose(), counter=0)
            case Kind.INSERT:
                await self._insert()
            case Kind.SCAN:
                await self._scan(self._choose(), self._random.randint(1, MOST_SCANNED))
            case Kind.READ_MODIFY_WRITE:
                await self._read_modify_write(self._choose())

    def _choose(self) -> int:
        """The number of a record that is there."""
        records = self._settings.records
        if self._workload.requests is Requests.ZIPFIAN:
            return scramble(self._zipfian.rank(self._random.random()), records)
        # A client knows what it inserted itself, so that is what is latest to it.
        items = records + len(self._inserted)
        self._zipfian.grow(items)
        item = latest(self._zipfian.rank(self._random.random()), items)
        return item if item < records else self._inserted[item - records]

    async def _read(self, number: int) -> Entry:
        known = self._known.get(number, 1)
        entry = await self._store.get(*place(self._layout, number))
        if entry is None:
            self.report.wrong.append(f"record {number} was not found")
            raise Failed("not found")
        self._hold(number, known, entry)
        return entry

    def _hold(self, number: int, known: int, entry: Entry) -> None:
        """Takes note of what was read, and of anything wrong with it."""
        if entry.version < known:
            self.report.wrong.append(f"record {number}: version {known} was known, version {entry.version} was read")
        if unpack(entry.value).number != number:
            self.report.wrong.append(f"record {number}: a read gave record {unpack(entry.value).number}")
        self._learn(number, entry.version)

    def _learn(self, number: int, version: int) -> None:
        if version > self._known.get(number, 0):
            self._events += 1
            self._known[number] = version
            self._known_at[number] = self._events

    async def _write(self, number: int, *, counter: int) -> None:
        write, value = self._value(number, counter)
        try:
            version = await self._store.set(*place(self._layout, number), value)
        except Failed:
            self.report.unknown.append((number, write))
            raise
        self._acknowledged(number, version, write)

    def _value(self, number: int, counter: int) -> tuple[int, bytes]:
        """The id of a new write of the record, and its value."""
        self._writes += 1
        return self._writes, pack(Record(number, counter, self._writes), self._random.randbytes(FIELDS * FIELD_BYTES))

    def _acknowledged(self, number: int, version: int, write: int) -> None:
        self.report.written.append((number, version, write))
        self._learn(number, version)

    async def _insert(self) -> None:
        number = self._next_insert
        self._next_insert += self._settings.clients
        await self._write(number, counter=0)
        self._inserted.append(number)

    async def _scan(self, number: int, length: int) -> None:
        asked_at = self._events
        object_name, start = place(self._layout, number)
        entries = await self._store.scan(object_name, start, length)
        keys = [entry.key for entry in entries]
        if not keys or keys[0] != start or keys != sorted(set(keys)) or len(keys) > length:
            self.report.wrong.append(f"a scan of {length} from record {number} is out of order or of place")
            return
        # What was loaded and never deleted must be in every scan that passes it.
        first = bisect.bisect_left(self._loaded_keys, start)
        end = bisect.bisect_right(self._loaded_keys, keys[-1]) if len(keys) == length else len(self._loaded_keys)
        if not set(self._loaded_keys[first:end]) <= set(keys):
            self.report.wrong.append(f"a scan of {length} from record {number} leaves records out")
        for entry in entries:
            found = unpack(entry.value).number
            if record_key(found) != entry.key:
                self.report.wrong.append(f"a scan gave record {found} under another key")
            known_then = self._known_at.get(found, 0) <= asked_at
            self._hold(found, self._known.get(found, 1) if known_then else 1, entry)

    async def _read_modify_write(self, number: int) -> None:
        entry = await self._read(number)
        for _ in range(_ATTEMPTS):
            write, value = self._value(number, unpack(entry.value).counter + 1)
            try:
                answer = await self._store.replace(*place(self._layout, number), entry.version, value)
            except Failed:
                self.report.unknown.append((number, write))
                raise
            if isinstance(answer, int):
                self._acknowledged(number, answer, write)
                return
            # The answer brings what is there now, so that trying again needs no read.
            self.report.conflicts += 1
            self._hold(number, entry.version, answer)
            entry = answer
        raise Failed(f"record {number}: {_ATTEMPTS} conflicts in a row")


def read_report(path: Path) -> Report:
    """A report that a client wrote."""
    return Report(**json.loads(path.read_text(encoding="utf-8")))


def told(reports: Iterable[Report]) -> tuple[list[Written], list[Unknown]]:
    """All writes of the reports."""
    written = [Written(*one) for report in reports for one in report.written]
    return written, [Unknown(*one) for report in reports for one in report.unknown]


async def _do(settings: Settings) -> Report:
    client = Client(settings)
    client.prepare()
    await _go()
    await client.load()
    await _go()
    await client.work()
    return client.report


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def _main(settings: Settings) -> None:
    report = asyncio.run(_do(settings))
    Path(settings.report).write_text(json.dumps(asdict(report)), encoding="utf-8")
    print("done", flush=True)


if __name__ == "__main__":
    _main(Settings(**json.loads(sys.argv[1])))
