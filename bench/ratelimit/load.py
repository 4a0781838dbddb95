"""A load process: tasks that share one limiter, each awaiting one check at a time, over keys that they share.

The tasks first make checks that do not count; then all begin together. At the end every key must have been charged as
often as it was allowed. Started as `python -m bench.ratelimit.load SETTINGS` with settings in JSON; prints the figures
in JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.process import BenchError, cpu_seconds
from bench.ratelimit.limiters import Algorithm, Limiter, limiter
from bench.runs import percentile


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do, where, and how long. `server_pid` is the process whose processor time is taken."""

    library: str
    address: str
    server_pid: int
    algorithm: Algorithm
    durable: bool
    # Keys of another sample are other ones.
    prefix: str
    tasks: int
    keys: int
    seconds: float
    warm_up_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Checks a second, the time of a check, and processor time for each."""

    rate: float
    p50_ms: float
    p99_ms: float
    client_us: float
    server_us: float


async def measure(settings: Settings) -> Figures:
    """Raises BenchError when a check was denied, or charged more or less than once."""
    keys = [f"{settings.prefix}:{number}" for number in range(settings.keys)]
    allowed: Counter[str] = Counter()
    async with limiter(settings.library, settings.address, settings.algorithm, durable=settings.durable) as made:
        await _all_tasks(made, settings, keys, allowed, settings.warm_up_seconds)
        client, server, began = time.process_time(), cpu_seconds(settings.server_pid), time.perf_counter()
        durations = await _all_tasks(made, settings, keys, allowed, settings.seconds)
        took = time.perf_counter() - began
        client, server = time.process_time() - client, cpu_seconds(settings.server_pid) - server
        for key in keys:
            if (charged := await made.charged(key)) != allowed[key]:
                raise BenchError(f"{settings.library}: {key} was allowed {allowed[key]} times, and charged {charged}")
    durations.sort()
    calls = len(durations)
    return Figures(
        calls / took,
        percentile(durations, 0.5) * 1_000,
        percentile(durations, 0.99) * 1_000,
        client / calls * 1e6,
        server / calls * 1e6,
    )


async def _all_tasks(
    made: Limiter, settings: Settings, keys: list[str], allowed: Counter[str], seconds: float
) -> list[float]:
    """The seconds of every check."""
    durations: list[float] = []
    clock = time.perf_counter
    until = clock() + seconds

    async def task(number: int) -> None:
        # They begin at different keys, so that they meet at some.
        for key in itertools.cycle(keys[number * 7 % len(keys) :] + keys[: number * 7 % len(keys)]):
            began = clock()
            if not await made.check(key):
                raise BenchError(f"{settings.library} has denied {key}")
            now = clock()
            durations.append(now - began)
            allowed[key] += 1
            if now >= until:
                return

    async with asyncio.TaskGroup() as group:
        for number in range(settings.tasks):
            group.create_task(task(number))
    return durations


def main(text: str) -> None:
    """Prints the figures of the settings."""
    fields: dict[str, Any] = json.loads(text)
    print(json.dumps(asdict(asyncio.run(measure(Settings(**fields))))))


if __name__ == "__main__":
    main(sys.argv[1])
