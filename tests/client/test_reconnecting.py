"""Servers that come late, go in order, come back and have too much to do: callers notice nothing but the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from petra import AsyncClient
from petra.errors import Overloaded, ResourceExhausted
from petra.testing import TestServer
from tests.client.waiting import until
from tests.support.inprocess import running_server
from tests.support.ports import free_port


async def test_a_call_made_before_the_server_is_there(open_client: Callable[..., AsyncClient]) -> None:
    port = free_port()
    client = open_client(address=f"127.0.0.1:{port}", timeout=60)
    calls = [asyncio.create_task(client.increment("visits")) for _ in range(3)]
    calls += [asyncio.create_task(client.object("room").increment("visits"))]
    refused = asyncio.create_task(client.connect())
    await asyncio.wait((refused,))
    assert "refused the connection" in str(refused.exception())
    assert not any(call.done() for call in calls)
    with TestServer(listen=f"127.0.0.1:{port}"):
        assert sorted(await asyncio.gather(*calls)) == [1, 1, 2, 3]
        assert (await client.info()).writable
        await client.close()


async def test_a_graceful_restart_loses_nothing_and_nobody_sees_it(open_client: Callable[..., AsyncClient]) -> None:
    with TestServer() as server:
        client = open_client(address=server.address, timeout=60)
        stop = asyncio.Event()
        counts = [0] * 12

        async def count(number: int) -> None:
            while not stop.is_set():
                await client.increment(f"count-{number}")
                counts[number] += 1

        tasks = [asyncio.create_task(count(number)) for number in range(len(counts))]
        for _ in range(3):
            goal = sum(counts) + 100
            await until(lambda: sum(counts) >= goal)  # noqa: B023 - awaited before the next one
            await asyncio.to_thread(server.restart)
        stop.set()
        await asyncio.gather(*tasks)
        keys = [f"count-{number}" for number in range(len(counts))]
        assert list((await client.get_many(keys)).values()) == counts
        await client.close()


async def test_an_idle_client_finds_the_server_again(open_client: Callable[..., AsyncClient]) -> None:
    with TestServer() as server:
        client = open_client(address=server.address, timeout=60)
        for number in range(1, 4):
            assert await client.increment("count") == number
            assert (await client.info()).writable
            await asyncio.to_thread(server.restart)
        assert [entry.value async for entry in client.list()] == [3]
        await client.close()


async def test_a_listing_goes_on_over_a_restart(open_client: Callable[..., AsyncClient]) -> None:
    with TestServer() as server:
        client = open_client(address=server.address, timeout=60)
        names = [f"{number:02}" for number in range(30)]
        await client.set_many(dict.fromkeys(names, 0))
        seen = []
        async for key in client.list_keys(page_size=7):
            seen.append(key)
            if key == "10":
                await asyncio.to_thread(server.restart)
        assert seen == names
        await client.close()


class TestOverload:
    async def test_it_is_waited_out(self) -> None:
        """The mailbox of an actor holds two, and there are fifty."""
        async with running_server(max_mailbox_items=2) as server, AsyncClient(server.address, timeout=60) as client:
            room = client.object("room")
            actor = server.actor_of("", "room", "count")
            server.hold_actor(actor)
            calls = [asyncio.create_task(room.increment("count")) for _ in range(50)]
            # Beside the two that wait in the mailbox, all have been refused and will try again.
            await until(lambda: client._binding._link is not None)
            link = client._binding.link
            await until(lambda: len(link._retries) == 48)
            server.release_actor(actor)
            assert sorted(await asyncio.gather(*calls)) == list(range(1, 51))

    async def test_who_has_no_time_is_told(self) -> None:
        async with running_server(max_mailbox_items=1) as server, AsyncClient(server.address, timeout=60) as client:
            room = client.object("room")
            actor = server.actor_of("", "room", "count")
            server.hold_actor(actor)
            calls = [asyncio.create_task(room.increment("count", timeout=0.02)) for _ in range(3)]
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            error = done.pop().exception()
            assert isinstance(error, Overloaded)
            assert error.retry_after
            assert not error.outcome_unknown
            server.release_actor(actor)
            await asyncio.wait(calls)
            assert await room.get("count", 0) <= 1


class TestSmallLimits:
    """A server may take less in a message than is usual. The client learns it, and its callers never do."""

    async def test_of_operations(self) -> None:
        async with running_server(max_batch_items=10) as server, AsyncClient(server.address, timeout=60) as client:
            assert sorted(await asyncio.gather(*(client.increment("count") for _ in range(300)))) == [*range(1, 301)]
            pipeline = client.pipeline()
            for number in range(300):
                pipeline.set(f"{number}", number)
            assert all(isinstance(version, int) for version in await pipeline.execute())
            assert await client.get_many([f"{number}" for number in range(300)]) == {f"{n}": n for n in range(300)}

    async def test_of_bytes(self) -> None:
        limits: dict[str, Any] = {
            "max_message_bytes": 64 << 10,
            "max_value_bytes": 32 << 10,
            "max_page_bytes": 32 << 10,
        }
        async with running_server(**limits) as server, AsyncClient(server.address, timeout=60) as client:
            items = {f"{number}-" + "x" * 1_000: "y" * (1_020 if number % 50 else 30_000) for number in range(300)}
            await asyncio.gather(*(client.set(key, value) for key, value in items.items()))
            assert sorted(await asyncio.gather(*(client.increment("count") for _ in range(300)))) == [*range(1, 301)]
            for key, value in items.items():
                assert await client.get(key) == value
            # What is too large by itself is refused, and harms nobody.
            large, small = await asyncio.gather(
                client.set("large", bytes(100_000)), client.increment("count"), return_exceptions=True
            )
            assert isinstance(large, ResourceExhausted)
            assert small == 301
