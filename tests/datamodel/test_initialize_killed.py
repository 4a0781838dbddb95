"""The server is killed in the middle of `initialize`: each transaction is there whole or not at all, and it goes on."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from petra import AsyncClient
from petra.datamodel import DataModel, ModelDefinition, initialize, migration_history, migration_plan, reconcile
from petra.datamodel.backfill import BATCH
from petra.datamodel.define import read_definition
from petra.datastore import Datastore
from petra.errors import PetraError
from tests.support.server import ServerProcess

ROUNDS = 20
ROWS = BATCH + 20

OLD = read_definition(
    {
        "name": "ITEM",
        "fields": {"title": "string", "owner": "string"},
        "d1": {"table": "items", "sync_fields": ["title"]},
    }
)
NEW = read_definition(
    {
        "name": "ITEM",
        "fields": {"title": "string", "owner": "string", "age": {"type": "int", "default": 7}},
        "d1": {"table": "items", "indexes": ["title", "owner"], "unique": [["title", "owner"]]},
        "seeds": {"strategy": "if_empty", "data": [{"title": "never"}]},
    }
)
SEEDED = read_definition(
    {
        "name": "SEEDED",
        "fields": {"title": "string"},
        "d1": {"table": "seeded", "unique": ["title"]},
        "seeds": {"strategy": "if_empty", "data": [{"title": f"t{number:03}"} for number in range(120)]},
    }
)
MODELS: list[ModelDefinition] = [NEW, SEEDED]


# What is one transaction: all of it is there, or none.
TOGETHER = {"items.owner", "items.age", "items(owner,age)", "seeded", "unique seeded(title)"}


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_initialize_survives_kills(tmp_path: Path) -> None:
    chance = random.Random(7)
    taken, cut = 0.2, 0
    for number in range(ROUNDS):
        with ServerProcess(tmp_path / "data") as server:
            if number:
                asyncio.run(check(server, str(number - 1)))
            seconds = asyncio.run(until_killed(server, str(number), chance.uniform(0, taken)))
            taken = seconds or taken
            cut += seconds is None
    with ServerProcess(tmp_path / "data") as server:
        asyncio.run(check(server, str(ROUNDS - 1)))
    assert cut >= ROUNDS // 4


async def until_killed(server: ServerProcess, name: str, delay: float) -> float | None:
    """Makes a database of the old model, and kills the server while it is brought to the new one.

    Returns how long that took when it was done before, and None when it was cut off.
    """
    async with AsyncClient(server.address, timeout=30) as client:
        datastore = Datastore(client, name)
        await initialize(datastore, [OLD])
        rows = [{"title": f"t{number}", "owner": "o"} for number in range(ROWS)]
        await DataModel.bulk_create(OLD, rows, datastore.auth("ann"))
        began = time.monotonic()
        going = asyncio.create_task(initialize(datastore, MODELS))
        done, _ = await asyncio.wait([going], timeout=delay)
        if done:
            await going
            return time.monotonic() - began
        await asyncio.to_thread(server.kill)
        await client.close()
        with suppress(PetraError):
            await going
        return None


async def check(server: ServerProcess, name: str) -> None:
    async with AsyncClient(server.address, timeout=30) as client:
        datastore = Datastore(client, name)
        plan = await migration_plan(datastore, MODELS)
        assert not plan.refusals
        quick = {step.name for step in plan.steps if not step.long}
        assert not quick or quick == TOGETHER
        # What is recorded is there, and what is there is recorded.
        recorded = {step.id.partition(":")[2] for step in await migration_history(datastore)}
        assert not recorded & {step.name for step in plan.steps}
        assert {"items", *(one for one in plan.present if "(" in one)} <= recorded
        await initialize(datastore, MODELS)
        assert (await migration_plan(datastore, MODELS)).is_empty
        for model in MODELS:
            found = await reconcile(datastore, model)
            assert found.agrees, found.differences
        system = datastore.system()
        assert await DataModel.query(NEW, system).where(owner="o", age=7).count() == ROWS
        assert await DataModel.query(SEEDED, system).count() == 120
