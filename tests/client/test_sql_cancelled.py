"""SQL that nobody waits for any more: the server ends it, and its object is free long before its time-out."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from petra import AsyncClient, AsyncTransaction
from petra.errors import PetraError
from petra.testing import TestServer

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
# Less than the server lets statements run.
PATIENCE = 20


async def wait_until_it_runs(client: AsyncClient, statements: int) -> None:
    """Until the server has begun so many statements since it was started."""
    async with asyncio.timeout(PATIENCE):
        while await statements_begun(client) < statements:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def statements_begun(client: AsyncClient) -> int:
    return sum([actor.statements for actor in await client.actors()])


async def test_a_cancelled_call_ends_at_the_server(server: TestServer) -> None:
    async with AsyncClient(server.address, namespace=uuid4().hex) as client:
        room = client.object("room")
        await room.sql.execute("CREATE TABLE t (a)")
        begun = await statements_begun(client)
        running = asyncio.create_task(room.sql.batch(["INSERT INTO t VALUES (1)", ENDLESS], timeout=600))
        await wait_until_it_runs(client, begun + 2)
        running.cancel()
        assert await room.sql.one("SELECT count(*) FROM t", timeout=PATIENCE) == (0,)


async def test_a_cancelled_transaction_ends_at_the_server(server: TestServer) -> None:
    async def work(tx: AsyncTransaction) -> None:
        tx.set("key", 1)
        tx.sql.execute(ENDLESS)

    async with AsyncClient(server.address, namespace=uuid4().hex) as client:
        room = client.object("room")
        begun = await statements_begun(client)
        running = asyncio.create_task(room.transact(work, timeout=600))
        await wait_until_it_runs(client, begun + 1)
        running.cancel()
        assert await room.get("key", timeout=PATIENCE) is None


async def test_what_a_lost_client_began_ends(server: TestServer) -> None:
    async with AsyncClient(server.address, namespace=uuid4().hex) as client:
        begun = await statements_begun(client)
        lost = AsyncClient(server.address, namespace="lost")
        running = asyncio.create_task(lost.object("room").sql.execute(ENDLESS, timeout=600))
        await wait_until_it_runs(client, begun + 1)
        await lost.close()
        with pytest.raises(PetraError):
            await running
        room = client.namespace("lost").object("room")
        assert await room.sql.one("SELECT 1", timeout=PATIENCE) == (1,)
