"""The server is killed in the middle of list changes and puts: what was acknowledged is there, and nothing is half."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petra import AsyncClient
from petra.datastore import Datastore, Store
from petra.errors import Unavailable
from tests.support.server import ServerProcess

ROUNDS = 5
POINTER = "pages:ann"
ADDERS = 6


@dataclass
class Promises:
    """What was acknowledged, and what was sent at all."""

    # Items of the list, by who added them, in order.
    added: dict[int, list[str]] = field(default_factory=lambda: {adder: [] for adder in range(ADDERS)})
    tried: set[str] = field(default_factory=set)
    # The number that both objects of a pair hold, by class: acknowledged, and the last one sent.
    pairs: dict[str, tuple[int, int]] = field(default_factory=lambda: {"PAGE": (0, 0), "LOG": (0, 0)})


@pytest.mark.crash
def test_lists_and_puts_survive_kills(tmp_path: Path) -> None:
    promises, seed = Promises(), random.Random(5)
    for _ in range(ROUNDS):
        with ServerProcess(tmp_path / "data") as server:
            asyncio.run(write_until_killed(server, promises, seed.randrange(5, 150), seed.uniform(0, 0.01)))
    with ServerProcess(tmp_path / "data") as server:
        asyncio.run(check(server, promises))
    assert all(len(items) >= ROUNDS for items in promises.added.values())
    assert all(acknowledged >= ROUNDS for acknowledged, _ in promises.pairs.values())


async def write_until_killed(server: ServerProcess, promises: Promises, answers: int, delay_s: float) -> None:
    """Looks at what is there, writes, and kills the server after so many answers and a little more."""
    await check(server, promises)
    enough, left = asyncio.Event(), answers

    async def repeat(write: Callable[[], Awaitable[None]]) -> None:
        nonlocal left
        while True:
            try:
                await write()
            except Unavailable:
                return
            left -= 1
            if left <= 0:
                enough.set()

    async with AsyncClient(server.address, timeout=30) as client, asyncio.TaskGroup() as tasks:
        store = Datastore(client).auth("ann")
        for adder in range(ADDERS):
            tasks.create_task(repeat(lambda adder=adder: add(store, promises, adder)))  # type: ignore[misc]
        for cls in promises.pairs:
            tasks.create_task(repeat(lambda cls=cls: put_pair(store, promises, cls)))  # type: ignore[misc]
        await enough.wait()
        await asyncio.sleep(delay_s)
        await asyncio.to_thread(server.kill)
        # Who waits for an answer need not wait longer.
        await client.close()


async def add(store: Store, promises: Promises, adder: int) -> None:
    item = f"{adder}-{len(promises.tried)}"
    promises.tried.add(item)
    await store.query_list_add_item(POINTER, item)
    promises.added[adder].append(item)


async def put_pair(store: Store, promises: Promises, cls: str) -> None:
    acknowledged, sent = promises.pairs[cls]
    promises.pairs[cls] = acknowledged, sent + 1
    await store.put_many(cls, {"left": {"n": sent + 1}, "right": {"n": sent + 1}})
    promises.pairs[cls] = sent + 1, sent + 1


async def check(server: ServerProcess, promises: Promises) -> None:
    async with AsyncClient(server.address, timeout=30) as client:
        store = Datastore(client).auth("ann")
        kept = await store.get_list(POINTER)
        assert len(kept) == len(set(kept))
        assert set(kept) <= promises.tried
        for items in promises.added.values():
            assert [item for item in kept if item in set(items)] == items
        for cls, (acknowledged, sent) in promises.pairs.items():
            pair = await store.get_many(cls, ["left", "right"])
            numbers = {each["n"] for each in pair.values()}
            assert len(pair) == (2 if acknowledged else len(pair))
            assert len(pair) in (0, 2)
            assert len(numbers) <= 1
            assert all(acknowledged <= number <= sent for number in numbers)
