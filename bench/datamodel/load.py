"""A load process: tasks that share one client, each with one operation under way at a time.

They first do operations that do not count, so that connections stand and code is warm. Then all begin together.
Started as `python -m bench.datamodel.load SETTINGS` with settings in JSON; prints the figures in JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from bench.datamodel import work
from bench.datamodel.work import Articles
from bench.process import BenchError, tree_cpu_seconds
from bench.runs import percentile


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do. `records` are the articles that were filled in, and `first` the number of the first new one."""

    library: str
    operation: str
    address: str
    server_pid: int
    tasks: int
    connections: int
    records: int
    first: int
    seed: int
    seconds: float
    warm_up_seconds: float

    @classmethod
    def from_json(cls, text: str) -> Settings:
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Figures:
    """Operations a second, their times, processor time for each; and how many there were, the first ones included."""

    rate: float
    p50_ms: float
    p99_ms: float
    client_us: float
    server_us: float
    calls: int


class _Caller:
    """One task's operations, by a chance of its own. Tasks share the articles out, so that updates never meet."""

    def __init__(self, articles: Articles, settings: Settings, number: int) -> None:
        self._articles = articles
        self._settings = settings
        self._number = number
        self._random = random.Random(settings.seed * settings.tasks + number)
        self._made = 0
        self._projects = work.projects_of(settings.records)
        self.next: Callable[[], Awaitable[None]] = getattr(self, f"_{settings.operation}")

    def _own(self) -> int:
        share = self._settings.records // self._settings.tasks
        return self._random.randrange(share) * self._settings.tasks + self._number

    async def _create(self) -> None:
        await self._articles.create(self._settings.first + self._made * self._settings.tasks + self._number)
        self._made += 1

    async def _get(self) -> None:
        number = self._own()
        title = await self._articles.get(work.article_id(number))
        if title != work.title(number):
            raise BenchError(f"article {number} has the title {title!r}")

    async def _update(self) -> None:
        number = self._own()
        if await self._articles.update(work.article_id(number)) < 1:
            raise BenchError(f"an update of article {number} was lost")

    async def _page(self) -> None:
        project, status = self._random.randrange(self._projects), self._random.choice(work.STATUSES)
        fault = work.fault_of(await self._articles.page(project, status), project, status)
        if fault is not None:
            raise BenchError(f"the page of {status} articles of project {project}: {fault}")


async def measured(settings: Settings) -> Figures:
    """Does the work."""
    # The callers and this coroutine, which takes the processor time once all of them are warm.
    barrier = asyncio.Barrier(settings.tasks + 1)
    durations: list[float] = []
    clock = time.perf_counter

    async def repeated(caller: _Caller, seconds: float, into: list[float]) -> int:
        done, now = 0, clock()
        until = now + seconds
        while now < until:
            began = now
            await caller.next()
            now = clock()
            into.append(now - began)
            done += 1
        return done

    async def call(caller: _Caller) -> int:
        warm = await repeated(caller, settings.warm_up_seconds, [])
        await barrier.wait()
        await barrier.wait()
        return warm + await repeated(caller, settings.seconds, durations)

    async with work.library(settings.library).opened(
        settings.address, settings.connections, work.projects_of(settings.records)
    ) as articles:
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(call(_Caller(articles, settings, each))) for each in range(settings.tasks)]
            await barrier.wait()
            began, client, server = clock(), time.process_time(), tree_cpu_seconds(settings.server_pid)
            await barrier.wait()
        span, client = clock() - began, time.process_time() - client
        server = tree_cpu_seconds(settings.server_pid) - server
    durations.sort()
    return Figures(
        rate=len(durations) / span,
        p50_ms=percentile(durations, 0.50) * 1000,
        p99_ms=percentile(durations, 0.99) * 1000,
        client_us=client / len(durations) * 1e6,
        server_us=server / len(durations) * 1e6,
        calls=sum(task.result() for task in callers),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measured(Settings.from_json(sys.argv[1]))))))
