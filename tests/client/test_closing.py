"""The end of a client: everyone who waits is answered, nothing stays open, and later calls say what is the matter."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from petra import AsyncClient, Client
from petra.errors import ClientClosed, PetraError, Unavailable
from petra.testing import TestServer
from petra.v1 import storage_pb2 as pb
from tests.client.peer import Peer, agree, refusing
from tests.client.waiting import PATIENCE_S, until
from tests.support.ports import free_port


def everyone(client: AsyncClient) -> list[Awaitable[object]]:
    """One of each method."""
    room = client.object("room")

    async def nothing(tx: Any) -> None:  # noqa: ANN401 - a transaction
        await tx.get("key")

    pipeline = client.pipeline()
    pipeline.get("key")
    return [
        client.get("key"),
        client.get_entry("key"),
        client.get_many(["key"]),
        room.get_entries(["key"]),
        client.set("key", 1),
        client.set_many({"key": 1}),
        client.delete("key"),
        client.delete_many(["key"]),
        anext(client.list()),
        anext(client.list_keys()),
        client.increment("key"),
        client.touch("key", 1),
        client.clear(),
        client.throttle("key", 1, 1),
        client.update("key", lambda value: value),
        room.transact(nothing),
        anext(client.namespaces()),
        anext(client.namespace("other").objects()),
        client.info(),
        client.actors(),
        client.connect(),
    ]


class TestAnswers:
    async def test_whoever_waits_for_a_connection(self) -> None:
        client = AsyncClient(f"127.0.0.1:{free_port()}", timeout=60)
        tasks = [asyncio.ensure_future(call) for call in everyone(client)]
        pipeline = client.pipeline()
        pipeline.increment("key")
        results = asyncio.create_task(pipeline.execute())
        await asyncio.sleep(0)
        await client.close()
        done, late = await asyncio.wait(tasks, timeout=PATIENCE_S)
        assert not late
        for task in done:
            error = task.exception()
            # The one that asked for the connection may have heard first that there is none.
            assert isinstance(error, ClientClosed) or task is tasks[-1], error
            assert isinstance(error, Unavailable)
            assert not error.outcome_unknown
        (result,) = await results
        assert isinstance(result, ClientClosed)

    async def test_whoever_waits_for_an_answer(self) -> None:
        async with Peer() as peer:
            client = AsyncClient(peer.address, timeout=60)
            read = asyncio.create_task(client.get("key"))
            written = asyncio.create_task(client.increment("key"))
            beside = asyncio.create_task(client.info())
            await peer.next()
            await client.close()
            outcomes = await asyncio.wait_for(asyncio.gather(read, written, beside, return_exceptions=True), PATIENCE_S)
            assert [type(outcome) for outcome in outcomes] == [ClientClosed] * 3
            assert [isinstance(outcome, PetraError) and outcome.outcome_unknown for outcome in outcomes] == [
                False,
                True,
                False,
            ]
            assert "not known whether it was applied" in str(outcomes[1])

    async def test_whoever_waits_to_try_again(self) -> None:
        overloaded = pb.OperationError(code=8, reason="OVERLOADED", message="Too much.", retry_after_ms=30_000)
        async with Peer(refusing(overloaded)) as peer:
            client = AsyncClient(peer.address, timeout=600)
            refused = asyncio.create_task(client.increment("key"))
            await until(lambda: bool(peer.messages) and not client._binding.link._in_flight)
            await client.close()
            with pytest.raises(ClientClosed) as caught:
                await asyncio.wait_for(refused, PATIENCE_S)
            assert not caught.value.outcome_unknown

    async def test_threads_that_wait(self) -> None:
        async with Peer() as peer:
            client = Client(peer.address, timeout=60)
            calls: list[Callable[[], object]] = [*[lambda: client.increment("key")] * 3, client.info]
            waiting = [asyncio.create_task(asyncio.to_thread(call)) for call in calls]
            while sum(len(message.ids) for message in peer.messages) < 3:
                await peer.next()
            await asyncio.to_thread(client.close)
            outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), PATIENCE_S)
            assert [type(outcome) for outcome in outcomes] == [ClientClosed] * 4


class TestAfterwards:
    async def test_every_call_says_that_it_is_closed(self, open_client: Callable[..., AsyncClient]) -> None:
        for used in (True, False):
            client = open_client()
            if used:
                await client.set("key", 1)
            await client.close()
            await client.close()
            for call in everyone(client):
                with pytest.raises(ClientClosed, match="The client is closed"):
                    await call
            pipeline = client.pipeline()
            pipeline.get("key")
            try:
                (result,) = await pipeline.execute()
            except ClientClosed as error:
                result = error
            assert isinstance(result, ClientClosed)

    async def test_it_is_closed_once_however_often(self, server: TestServer) -> None:
        client = AsyncClient(server.address)
        await client.get("key")
        await asyncio.gather(*(client.close() for _ in range(3)))

    async def test_another_client_goes_on(self, open_client: Callable[..., AsyncClient]) -> None:
        first, second = open_client(), open_client()
        await asyncio.gather(first.increment("key"), second.increment("key"))
        await first.close()
        assert await second.increment("key") == 3


async def test_one_that_is_closed_while_it_connects_leaves_nothing_open(server: TestServer) -> None:
    """At each tick of it. Open sockets warn when they are collected, which is an error here."""
    for ticks in range(20):
        client = AsyncClient(server.address)
        call = asyncio.create_task(client.get("key"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        await client.close()
        await asyncio.wait((call,))
        assert call.exception() is None or isinstance(call.exception(), ClientClosed)
        del client, call
        await asyncio.sleep(0)
        gc.collect()


class TestLoops:
    def test_a_client_is_for_one_running_loop_at_a_time(self, server: TestServer) -> None:
        client = AsyncClient(server.address, namespace="loops")

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.get("key")
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.info()
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.close()

        async def main() -> None:
            await client.set("key", 1)
            await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
            assert await client.get("key") == 1

        asyncio.run(main())
        # The loop has ended, and so it is free for another.
        assert asyncio.run(client.increment("key")) == 2
        asyncio.run(client.close())
        with pytest.raises(ClientClosed):
            asyncio.run(client.get("key"))

    def test_there_has_to_be_one(self) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            AsyncClient().get("key").send(None)

    async def test_the_blocking_client_works_inside_of_a_running_loop(self, server: TestServer) -> None:
        with Client(server.address, namespace="inside") as client:
            assert client.increment("key") == 1
            assert list(client.list_keys()) == ["key"]
            assert client.update("key", lambda value: value + 1) == 2
            # Also while a task of this loop has a client of its own.
            async with AsyncClient(server.address, namespace="inside") as other:
                task = asyncio.create_task(other.increment("key"))
                await asyncio.sleep(0)
                assert client.get("key") in (2, 3)
                assert await task == 3


async def test_a_blocking_client_that_is_garbage_closes_its_connection() -> None:
    async with Peer(agree) as peer:
        client = Client(peer.address)
        room = client.object("room")
        assert await asyncio.to_thread(client.increment, "key") == 1
        (connection,) = peer.connections
        del client
        gc.collect()
        # Its handles keep it.
        assert await asyncio.to_thread(room.increment, "key") == 1
        assert not connection.lost.done()
        del room
        gc.collect()
        await asyncio.wait_for(connection.lost, PATIENCE_S)
