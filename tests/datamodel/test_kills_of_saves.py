"""The server is killed in the middle of saves: objects and rows agree, and what was acknowledged is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petra import AsyncClient
from petra.datamodel import Bound, DataModel, Models, define, reconcile
from petra.datastore import Datastore
from petra.errors import Unavailable
from tests.datamodel.agreement import make_tables, stored
from tests.support.server import ServerProcess

ROUNDS = 20
WRITERS = 4
MODEL = define(
    {
        "name": "ITEM",
        "fields": {"owner": "string", "n": {"type": "int", "required": True, "default": 0}, "body": "text"},
        "kv": {"key_pattern": "item:{owner}:{id}"},
        "d1": {"table": "items", "indexes": ["n"], "unique": [["owner", "n"]]},
    },
    registry=Models(),
)


@dataclass
class Promises:
    """What was acknowledged to each writer, by id: the number in the record, None when it was purged."""

    kept: dict[str, int | None] = field(default_factory=dict)
    # What was sent last and not acknowledged: it may be there or not.
    doubtful: dict[str, int | None] = field(default_factory=dict)
    writes: int = 0


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_saves_survive_kills_whole(tmp_path: Path) -> None:
    promises, seed = Promises(), random.Random(11)
    with ServerProcess(tmp_path / "data") as server:
        asyncio.run(prepare(server))
    for _ in range(ROUNDS):
        with ServerProcess(tmp_path / "data") as server:
            asyncio.run(write_until_killed(server, promises, seed.randrange(5, 60), seed.uniform(0, 0.01)))
    with ServerProcess(tmp_path / "data") as server:
        asyncio.run(check(server, promises))
    assert promises.writes >= ROUNDS * 5


async def prepare(server: ServerProcess) -> None:
    async with AsyncClient(server.address, timeout=30) as client:
        await make_tables(Datastore(client), MODEL)


async def check(server: ServerProcess, promises: Promises) -> None:
    async with AsyncClient(server.address, timeout=30) as client:
        values = await stored(client.object("main"), MODEL)
        reconciliation = await reconcile(Datastore(client), MODEL)
        assert reconciliation.agrees, reconciliation
    numbers = {record_id: value["n"] for record_id, value in values.items()}
    for record_id, number in promises.kept.items():
        allowed = {number, promises.doubtful.get(record_id, number)}
        assert numbers.get(record_id) in allowed, record_id
    unknown = numbers.keys() - promises.kept.keys()
    assert all(numbers[record_id] == promises.doubtful.get(record_id) for record_id in unknown)
    # What is there now counts: the doubt is over.
    promises.kept = dict(numbers)  # type: ignore[arg-type]
    promises.doubtful.clear()


async def write_until_killed(server: ServerProcess, promises: Promises, answers: int, delay_s: float) -> None:
    """Looks at what is there, writes, and kills the server after so many answers and a little more."""
    await check(server, promises)
    enough, left = asyncio.Event(), answers

    async def repeat(writer: Callable[[], Awaitable[None]]) -> None:
        nonlocal left
        while True:
            try:
                await writer()
            except Unavailable:
                return
            left -= 1
            if left <= 0:
                enough.set()

    async with AsyncClient(server.address, timeout=30) as client, asyncio.TaskGroup() as tasks:
        datastore = Datastore(client)
        for number in range(WRITERS):
            items = DataModel.using(MODEL, datastore.auth(f"user{number}"))
            chance = random.Random(f"{number}-{answers}")
            tasks.create_task(repeat(lambda items=items, chance=chance: write(items, chance, promises)))  # type: ignore[misc]
        await enough.wait()
        await asyncio.sleep(delay_s)
        await asyncio.to_thread(server.kill)
        await client.close()


async def write(items: Bound[DataModel], chance: random.Random, promises: Promises) -> None:
    """Makes, changes, moves, shares, deletes or purges a record; each is noted before and after."""
    promises.writes += 1
    user = items.store.user_id
    listing = await items.query().order_by("id").with_data().limit(5).list()
    record = chance.choice(listing.data) if listing.data and chance.random() < 0.7 else None
    if record is None:
        record = items.new(owner=user, n=promises.writes, body="x" * chance.choice([10, 10, 100_000]))
        await noted(record, promises.writes, promises, record.save)
        return
    match chance.randrange(5):
        case 0:
            await noted(record, None, promises, record.purge)
        case 1:
            record.set({"owner": f"{user}-{promises.writes}", "n": promises.writes})
            await noted(record, promises.writes, promises, record.save)
        case 2:
            await noted(record, record.get("n"), promises, lambda: record.share(f"guest{promises.writes % 3}"))
        case 3:
            await noted(record, record.get("n"), promises, record.delete)
        case _:
            record.set("n", promises.writes)
            await noted(record, promises.writes, promises, record.save)


async def noted(
    record: DataModel, number: int | None, promises: Promises, operation: Callable[[], Awaitable[object]]
) -> None:
    record_id = record.get("id")
    promises.doubtful[record_id] = number
    await operation()
    promises.kept[record_id] = number
    promises.doubtful.pop(record_id, None)
