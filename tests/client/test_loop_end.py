"""A client that nobody closes leaves no socket behind: its link ends with the event loop, or with the client."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from petra import AsyncClient
from petra.errors import ClientClosed
from petra.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 30


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    with TestServer() as server:
        yield server


def open_connections() -> list[asyncio.Transport]:
    """What is connected in this thread. The server's connections are not asyncio's."""
    transports = [thing for thing in gc.get_objects() if isinstance(thing, asyncio.Transport)]
    return [transport for transport in transports if not transport.is_closing()]


def test_a_client_left_open_is_closed_with_its_loop_and_works_on_the_next(server: TestServer) -> None:
    client = AsyncClient(server.address)

    async def count() -> int:
        return await client.increment("rounds")

    assert [asyncio.run(count()) for _ in range(3)] == [1, 2, 3]
    # A socket that was left open warns now, which is an error here.
    gc.collect()


def test_a_client_is_closed_with_its_loop_while_calls_wait(server: TestServer) -> None:
    outcomes: list[BaseException] = []

    async def wait(client: AsyncClient, sent: asyncio.Event) -> None:
        try:
            sent.set()
            await client.get("key", timeout=PATIENCE_S)
        except BaseException as error:
            outcomes.append(error)
            raise

    async def main() -> None:
        client, sent = AsyncClient(server.address), asyncio.Event()
        waiting = asyncio.create_task(wait(client, sent))
        await sent.wait()
        assert not waiting.done()

    asyncio.run(main())
    gc.collect()
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]


def test_a_client_that_is_garbage_closes_its_connection(server: TestServer) -> None:
    async def main() -> None:
        client = AsyncClient(server.address)
        await client.get("key")
        (connection,) = open_connections()
        del client
        gc.collect()
        async with asyncio.timeout(PATIENCE_S):
            while not connection.is_closing():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_closed_client_stays_closed(server: TestServer) -> None:
    async def main() -> None:
        client = AsyncClient(server.address)
        await client.get("key")
        await asyncio.gather(client.close(), client.close())
        await client.close()
        with pytest.raises(ClientClosed):
            await client.get("key")

    asyncio.run(main())
