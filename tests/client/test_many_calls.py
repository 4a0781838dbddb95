"""Ten thousand concurrent calls on one client, with random cancellations: none lost, none crossed, no memory kept."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from petra import AsyncClient
from petra._transport.calls import Call
from petra._transport.link import Link
from tests.support.server import ServerProcess

CALLS = 10_000
# Between the counts of two tasks, so that none can pass for another's.
FAR = 1_000
# What remains after a warm-up of the same size: buffers that keep their size, caches of the interpreter.
KEPT_BYTES = 1 << 20


def living() -> Counter[str]:
    """The calls and futures that are not garbage, by their kinds."""
    gc.collect()
    kinds = (Call, asyncio.Future)
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))


def leftovers(link: Link) -> dict[str, int]:
    """How many calls the link still knows of, by where."""
    collections: dict[str, Iterable[object]] = {
        "pending": link._pending,
        "in flight": link._in_flight,
        "retries": link._retries,
        "incoming": link._incoming,
        "waiters": link._admission._waiters,
        "deadlines": link._deadlines._queue,
    }
    counts = {name: len(list(collection)) for name, collection in collections.items()}
    return {**counts, "live calls": link._admission.calls, "live bytes": link._admission.bytes}


async def round_of_calls(client: AsyncClient, chance: random.Random, before: list[int]) -> int:
    """Each task counts under a key of its own and reads it back; a third are cancelled somewhere in between.

    Returns how many were not.
    """

    async def work(number: int) -> bool:
        count = await client.increment(f"key-{number}", initial=number * FAR)
        assert count == number * FAR + before[number] + 1
        assert await client.get(f"key-{number}") == count
        return True

    tasks = [asyncio.create_task(work(number)) for number in range(CALLS)]
    victims = set(chance.sample(tasks, CALLS // 3))
    waiting = list(victims)
    chance.shuffle(waiting)
    while waiting:
        # Some at once, before anything is sent, and the rest while answers come in.
        for task in waiting[-chance.randrange(1, 200) :]:
            task.cancel()
            waiting.remove(task)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task in victims:
            assert outcome is True or isinstance(outcome, asyncio.CancelledError), outcome
        else:
            assert outcome is True, outcome
    sums = await client.get_many([f"key-{number}" for number in range(CALLS)])
    for number, task in enumerate(tasks):
        counted = sums.get(f"key-{number}", number * FAR) - number * FAR - before[number]
        # One that was cancelled may have been on its way.
        assert counted == 1 or (counted == 0 and task in victims)
        before[number] += counted
    return sum(outcome is True for outcome in outcomes)


@pytest.mark.slow
async def test_none_lost_none_crossed_and_memory_back_where_it_was(tmp_path: Path) -> None:
    chance = random.Random(3)
    with ServerProcess(tmp_path / "data") as server:
        async with AsyncClient(server.address, timeout=60) as client:
            await check_rounds(client, chance)


async def check_rounds(client: AsyncClient, chance: random.Random) -> None:
    counts = [0] * CALLS
    # Of other tests in this process.
    others = living()
    # What this leaves behind is there for good: buffers, and caches of the interpreter.
    assert await round_of_calls(client, chance, counts) >= CALLS - CALLS // 3
    # Whom the loop is just waking holds what it waited for.
    await asyncio.sleep(0)
    link = client._binding._link
    assert link is not None
    assert not any(leftovers(link).values()), leftovers(link)
    counted = living()
    assert (counted - others).total() < 100
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await round_of_calls(client, chance, counts)
        await asyncio.sleep(0)
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not any(leftovers(link).values()), leftovers(link)
    assert not living() - counted
    assert peak - before > 4 * KEPT_BYTES
    assert after - before < KEPT_BYTES, (before, after, peak)
