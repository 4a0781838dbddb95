"""A load process: callers that share one client, each awaiting one call at a time.

The callers first make calls that do not count, so that connections stand and code is warm. Then all begin together,
and the processor time of this process and of the server is taken from there to the end of the last call.
Started as `python -m bench.client.load SETTINGS` with settings in JSON; prints the figures in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from bench.client.library import Load, library
from bench.client.work import Work
from bench.process import cpu_seconds
from bench.runs import percentile


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do, where, and how long. `server_pid` is the process whose processor time is taken."""

    load: Load
    address: str
    server_pid: int
    value_bytes: int
    seconds: float
    warm_up_seconds: float

    @classmethod
    def from_json(cls, text: str) -> Settings:
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "load": Load(**fields["load"])})


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it: keys a second, the time of a call, processor time for each key, and the calls of each caller."""

    rate: float
    p50_ms: float
    p99_ms: float
    client_us: float
    server_us: float
    calls: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Turns:
    """What one caller did: from when to when, and the seconds of each call."""

    began: float
    ended: float
    durations: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Cpu:
    """Processor time, in seconds."""

    client: float
    server: float

    @classmethod
    def now(cls, server_pid: int) -> _Cpu:
        return cls(time.process_time(), cpu_seconds(server_pid))


async def _turns(work: Work[Awaitable[object]], first: int, seconds: float) -> _Turns:
    """Makes calls one after the other, the first with this number."""
    clock = time.perf_counter
    durations: list[float] = []
    number = first
    began = now = clock()
    until = began + seconds
    while now < until:
        answer = await work.start(number)
        durations.append(clock() - now)
        work.check(number, answer)
        number += 1
        now = clock()
    return _Turns(began, now, durations)


def _blocking_turns(work: Work[object], first: int, seconds: float) -> _Turns:
    """The same as `_turns` in a thread."""
    clock = time.perf_counter
    durations: list[float] = []
    number = first
    began = now = clock()
    until = began + seconds
    while now < until:
        answer = work.start(number)
        durations.append(clock() - now)
        work.check(number, answer)
        number += 1
        now = clock()
    return _Turns(began, now, durations)


async def run_tasks(settings: Settings) -> Figures:
    """The callers are tasks of one event loop."""
    load = settings.load
    # The callers and this coroutine, which takes the processor time once all of them are warm.
    barrier = asyncio.Barrier(load.callers + 1)

    async def caller(work: Work[Awaitable[object]]) -> tuple[int, _Turns]:
        warm = await _turns(work, 0, settings.warm_up_seconds)
        await barrier.wait()
        await barrier.wait()
        return len(warm.durations), await _turns(work, len(warm.durations), settings.seconds)

    scripts = load.scripts(settings.value_bytes)
    async with library(load.library).asynchronous(settings.address, load, scripts) as works:
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(caller(work)) for work in works]
            await barrier.wait()
            before = _Cpu.now(settings.server_pid)
            await barrier.wait()
        after = _Cpu.now(settings.server_pid)
    return _figures(load, [task.result() for task in callers], before, after)


def run_threads(settings: Settings) -> Figures:
    """The callers are threads."""
    load = settings.load
    barrier = threading.Barrier(load.callers + 1)
    taken: list[_Cpu] = []

    def caller(work: Work[object]) -> tuple[int, _Turns]:
        try:
            warm = _blocking_turns(work, 0, settings.warm_up_seconds)
            barrier.wait()
            barrier.wait()
            return len(warm.durations), _blocking_turns(work, len(warm.durations), settings.seconds)
        except BaseException:
            # The others must not wait for this one.
            barrier.abort()
            raise

    scripts = load.scripts(settings.value_bytes)
    with library(load.library).blocking(settings.address, load, scripts) as works:
        with ThreadPoolExecutor(load.callers) as threads:
            callers = [threads.submit(caller, work) for work in works]
            # A caller that failed has broken the barrier; its own error says why.
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait()
                taken.append(_Cpu.now(settings.server_pid))
                barrier.wait()
        taken.append(_Cpu.now(settings.server_pid))
    failed = [error for future in callers if (error := future.exception()) is not None]
    for error in failed:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    before, after = taken
    return _figures(load, [future.result() for future in callers], before, after)


def _figures(load: Load, made: Sequence[tuple[int, _Turns]], before: _Cpu, after: _Cpu) -> Figures:
    durations = sorted(duration for _, turns in made for duration in turns.durations)
    span = max(turns.ended for _, turns in made) - min(turns.began for _, turns in made)
    keys = len(durations) * load.group
    return Figures(
        rate=keys / span,
        p50_ms=percentile(durations, 0.50) * 1000,
        p99_ms=percentile(durations, 0.99) * 1000,
        client_us=(after.client - before.client) / keys * 1e6,
        server_us=(after.server - before.server) / keys * 1e6,
        calls=[warm + len(turns.durations) for warm, turns in made],
    )


def main(text: str) -> None:
    """Does what the settings say."""
    settings = Settings.from_json(text)
    figures = run_threads(settings) if settings.load.threads else asyncio.run(run_tasks(settings))
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main(sys.argv[1])
