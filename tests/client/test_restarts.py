"""The server is killed and started again under load: what was acknowledged is there, and nothing took effect twice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from petra import AsyncClient, Client, PetraError
from petra.errors import DeadlineExceeded, Unavailable
from tests.support.ports import free_port
from tests.support.server import ServerProcess

pytestmark = [pytest.mark.crash, pytest.mark.slow]

KILLS = 5
COUNTERS = 4
TASKS = 24


class Load:
    """What the callers were told."""

    def __init__(self) -> None:
        # Increments of each counter that were acknowledged, and those whose outcome nobody was told.
        self.counted: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        # The last write of each writer that was acknowledged, and those after it that may have been applied.
        self.written: dict[str, int] = {}
        self.doubted: dict[str, set[int]] = {}
        self.acknowledged = 0

    def increment_failed(self, counter: str, error: PetraError) -> None:
        assert isinstance(error, Unavailable | DeadlineExceeded), repr(error)
        if error.outcome_unknown:
            self.unknown[counter] += 1

    def write_failed(self, key: str, number: int, error: PetraError) -> None:
        assert isinstance(error, Unavailable | DeadlineExceeded), repr(error)
        if error.outcome_unknown:
            self.doubted.setdefault(key, set()).add(number)

    def check(self, counters: dict[str, int], values: dict[str, int]) -> None:
        for name in (f"counter-{index}" for index in range(COUNTERS)):
            least = self.counted[name]
            assert least <= counters.get(name, 0) <= least + self.unknown[name], name
        for key, number in self.written.items():
            assert values[key] == number or values[key] in self.doubted.get(key, set()), key


async def count(client: AsyncClient, load: Load, stop: asyncio.Event, seed: int) -> None:
    chance = random.Random(seed)
    while not stop.is_set():
        name = f"counter-{chance.randrange(COUNTERS)}"
        try:
            await client.increment(name)
        except PetraError as error:
            load.increment_failed(name, error)
        else:
            load.counted[name] += 1
            load.acknowledged += 1


async def write(client: AsyncClient, load: Load, stop: asyncio.Event, writer: int) -> None:
    key, number = f"writer-{writer}", 0
    while not stop.is_set():
        number += 1
        try:
            await client.set(key, number)
        except PetraError as error:
            load.write_failed(key, number, error)
        else:
            load.written[key] = number
            load.doubted.pop(key, None)
            load.acknowledged += 1


def kill_and_start(server: ServerProcess, done: Callable[[], int], times: int) -> None:
    """Lets the load do some work before, between and after the kills."""
    for remaining in range(times, -1, -1):
        goal = done() + 300
        pause = threading.Event()
        while done() < goal:
            pause.wait(0.01)
        if remaining:
            server.kill()
            server.start()


@pytest.mark.parametrize("patient", [True, False], ids=["patient", "impatient"])
def test_under_asyncio_each_increment_counts_once(tmp_path: Path, patient: bool) -> None:
    """Callers with patience never see an error; those without see typed ones that say when the outcome is unknown."""
    address = f"127.0.0.1:{free_port()}"
    server = ServerProcess(tmp_path / "data", "--listen", address)
    load = Load()

    async def scenario() -> None:
        async with AsyncClient(address, timeout=60 if patient else 0.2) as client:
            await client.connect()
            stop = asyncio.Event()
            tasks = [asyncio.create_task(count(client, load, stop, seed)) for seed in range(TASKS)]
            tasks += [asyncio.create_task(write(client, load, stop, writer)) for writer in range(TASKS)]
            await asyncio.to_thread(kill_and_start, server, lambda: load.acknowledged, KILLS)
            stop.set()
            await asyncio.gather(*tasks)
        async with AsyncClient(address, timeout=30) as client:
            names = [f"counter-{index}" for index in range(COUNTERS)]
            load.check(await client.get_many(names), await client.get_many(load.written))

    with server:
        asyncio.run(scenario())
    if patient:
        assert not load.unknown
        assert not load.doubted


def test_with_threads_each_increment_counts_once(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    server = ServerProcess(tmp_path / "data", "--listen", address)
    stop = threading.Event()
    counts = [0] * 8
    failures: list[PetraError] = []

    def visit(client: Client, index: int) -> None:
        while not stop.is_set():
            try:
                client.increment("visits")
            except PetraError as error:
                failures.append(error)
            counts[index] += 1

    with server, Client(address, timeout=60) as client:
        threads = [threading.Thread(target=visit, args=(client, index)) for index in range(len(counts))]
        for thread in threads:
            thread.start()
        kill_and_start(server, lambda: sum(counts), KILLS)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert client.get("visits") == sum(counts)
