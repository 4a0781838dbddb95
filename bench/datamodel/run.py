"""`bench datamodel`: operations of a data model on 100,000 records, beside SQLModel on PostgreSQL doing the same."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from typing import Protocol

from bench import report
from bench.datamodel import work
from bench.datamodel.load import Figures, Settings
from bench.datamodel.work import Articles, Totals
from bench.peers.postgres import PostgresServer
from bench.petra import PetraServer
from bench.process import BenchError, Unavailable, run
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Outcome, Sample, Target, hold

NAME = "datamodel"

PETRA = "petra"
SQLMODEL = "sqlmodel"
_NEEDED = ("sqlmodel", "sqlalchemy", "asyncpg", "greenlet")
# The load process has to start, and may wait for a slow server.
_PATIENCE_S = 120.0
# Of this process, which fills tables and counts what is in them.
_CONNECTIONS = 4

_TITLES = {
    work.PAGE: "filtered, ordered page of 20 with its count",
    work.GET: "get by id",
    work.UPDATE: "read, change and save",
    work.CREATE: "create",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. `connections` are those of the pool to PostgreSQL.

    `sql_cache_mib` is the server's setting sql_cache_bytes in MiB, 0 for its default; one database may take a quarter.
    """

    rounds: int
    seconds: float
    records: int
    only: Sequence[str] = ()
    alone: bool = False
    tasks: int = 64
    connections: int = 20
    sql_cache_mib: int = 0

    @property
    def warm_up_seconds(self) -> float:
        """How long each load process does what does not count."""
        return self.seconds / 2


class _Server(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def pid(self) -> int: ...


@dataclass
class _Side:
    """A library with its server, and what there must be in it."""

    library: str
    server: _Server
    totals: Totals = field(default_factory=lambda: Totals(0, 0))
    samples: int = 0

    def opened(self, options: Options) -> AbstractAsyncContextManager[Articles]:
        """Its articles, for this process."""
        projects = work.projects_of(options.records)
        return work.library(self.library).opened(self.server.address, _CONNECTIONS, projects)


def measure(options: Options, folders: Folders) -> list[Outcome]:
    """Holds the contests, prints their tables and writes the results. BenchError for an answer that is wrong."""
    with contextlib.ExitStack() as running:
        petra = running.enter_context(PetraServer(folders.scratch / "petra", *_settings(options)))
        sides, skipped, versions = [_Side(PETRA, petra)], list[str](), dict[str, Json]()
        if not options.alone:
            try:
                postgres = running.enter_context(_postgres(folders, options))
                sides.append(_Side(SQLMODEL, postgres))
                versions = {"postgresql": postgres.version()}
                versions |= {name: importlib.metadata.version(name) for name in _NEEDED}
            except Unavailable as missing:
                skipped.append(str(missing))
                say(f"SKIPPED: {missing}")
        for side in sides:
            say(f"  {side.library}: {options.records:,} records")
            asyncio.run(_fill(side, options))
        operations = [name for name in work.OPERATIONS if not options.only or name in options.only]
        outcomes = [hold(_contest(name, sides, options), options.rounds, say) for name in operations]
        for outcome in outcomes:
            print(report.outcome_table(outcome), end="\n\n")
        for reason in skipped:
            print(f"SKIPPED: {reason}")
        figures: dict[str, Json] = {outcome.contest.name: report.outcome_json(outcome) for outcome in outcomes}
        beside: dict[str, Json] = {"skipped": skipped, "versions": versions, "durability": PostgresServer.durability}
        report.write_results(NAME, {**asdict(options)}, folders, beside | figures)
    return outcomes


def _settings(options: Options) -> list[str]:
    """Those of the server that are not its defaults."""
    if not options.sql_cache_mib:
        return []
    mib = options.sql_cache_mib
    return ["--sql-cache-bytes", f"{mib}MiB", "--sql-memory-bytes", f"{2 * mib}MiB"]


def _postgres(folders: Folders, options: Options) -> PostgresServer:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)}. They are in the dependency group `bench`")
    return PostgresServer(folders.scratch / "postgres", max_connections=options.connections + 20)


async def _fill(side: _Side, options: Options) -> None:
    async with side.opened(options) as articles:
        await articles.prepare()
        await articles.fill(0, options.records)
        await articles.settle()
        side.totals = await articles.totals()
    if side.totals != Totals(options.records, 0):
        raise BenchError(f"{side.library} holds {side.totals} after {options.records} articles were written")


def _contest(operation: str, sides: Sequence[_Side], options: Options) -> Contest:
    return Contest(
        name=operation,
        title=f"{_TITLES[operation]}, {options.tasks} tasks",
        unit="operations/s",
        contestants=[Contestant(side.library, functools.partial(_sample, side, operation, options)) for side in sides],
        baseline=SQLMODEL,
        targets=[Target(PETRA, 1.0)],
        compared=("p50_ms",),
    )


def _sample(side: _Side, operation: str, options: Options) -> Sample:
    """Runs a load process, and counts what there is then."""
    side.samples += 1
    settings = Settings(
        library=side.library,
        operation=operation,
        address=side.server.address,
        server_pid=side.server.pid,
        tasks=options.tasks,
        connections=options.connections,
        records=options.records,
        first=options.records + side.samples * 10_000_000,
        seed=side.samples,
        seconds=options.seconds,
        warm_up_seconds=options.warm_up_seconds,
    )
    command = [sys.executable, "-m", "bench.datamodel.load", json.dumps(asdict(settings))]
    told = json.loads(run(command, timeout_s=options.seconds + options.warm_up_seconds + _PATIENCE_S))
    figures = Figures(**told)
    wanted = work.expected(side.totals, {operation: figures.calls})
    side.totals = asyncio.run(_totals(side, options))
    if side.totals != wanted:
        raise BenchError(f"{side.library} holds {side.totals}, and {wanted} was acknowledged")
    beside: Mapping[str, float] = {
        "p50_ms": figures.p50_ms,
        "p99_ms": figures.p99_ms,
        "cpu_us": figures.server_us,
        "client_us": figures.client_us,
    }
    return Sample(rate=figures.rate, beside=beside)


async def _totals(side: _Side, options: Options) -> Totals:
    async with side.opened(options) as articles:
        return await articles.totals()
