"""The server is killed under SQL and started again: what was acknowledged is there, and nothing was done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from petra import AsyncClient, AsyncSql, AsyncTransaction
from tests.client.test_restarts import KILLS, TASKS, kill_and_start
from tests.support.ports import free_port
from tests.support.server import ServerProcess

pytestmark = [pytest.mark.crash, pytest.mark.slow]

OBJECTS = 4


class Load:
    """What each task was told: how many of its rows there are."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.acknowledged = [0] * TASKS


async def insert(client: AsyncClient, load: Load, task: int) -> None:
    """Rows without a key of their own, so that one which is inserted twice is seen."""
    sql = client.object(f"room-{task % OBJECTS}").sql
    while not load.stop.is_set():
        number = load.acknowledged[task] + 1
        row = await sql.one("INSERT INTO t (task, number) VALUES (?, ?) RETURNING number", (task, number))
        assert row == (number,)
        load.acknowledged[task] = number


async def insert_with_a_count(client: AsyncClient, load: Load, task: int) -> None:
    """A row and a key beside it, in one transaction."""
    room = client.object(f"room-{task % OBJECTS}")

    async def work(tx: AsyncTransaction) -> None:
        tx.increment(f"count-{task}")
        tx.sql.execute("INSERT INTO t (task, number) VALUES (?, ?)", (task, load.acknowledged[task] + 1))

    while not load.stop.is_set():
        await room.transact(work)
        load.acknowledged[task] += 1


async def check(client: AsyncClient, sql: AsyncSql, load: Load, name: str) -> None:
    assert await sql.one("PRAGMA integrity_check") == ("ok",)
    numbers: dict[int, list[int]] = {}
    async for row in sql.query("SELECT task, number FROM t ORDER BY task, number"):
        numbers.setdefault(row["task"], []).append(row["number"])
    for task, found in numbers.items():
        assert found == list(range(1, load.acknowledged[task] + 1)), task
        if task % 2:
            assert await client.object(name).get(f"count-{task}") == len(found)


def test_each_statement_takes_effect_once(tmp_path: Path) -> None:
    """Callers with patience never see an error, and the server never does anything twice."""
    address = f"127.0.0.1:{free_port()}"

    async def scenario(server: ServerProcess) -> None:
        async with AsyncClient(address, timeout=60) as client:
            names = [f"room-{index}" for index in range(OBJECTS)]
            for name in names:
                await client.object(name).sql.execute("CREATE TABLE t (task INT, number INT)")
            load = Load()
            works = [insert_with_a_count if task % 2 else insert for task in range(TASKS)]
            tasks = [asyncio.create_task(work(client, load, task)) for task, work in enumerate(works)]
            await asyncio.to_thread(kill_and_start, server, lambda: sum(load.acknowledged), KILLS)
            load.stop.set()
            await asyncio.gather(*tasks)
            for name in names:
                await check(client, client.object(name).sql, load, name)

    with ServerProcess(tmp_path / "data", "--listen", address) as server:
        asyncio.run(scenario(server))
