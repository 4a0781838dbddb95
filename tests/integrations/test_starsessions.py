"""The store of starsessions on a real server. The library's own tests run in `make integrations`."""

from __future__ import annotations

import pytest

from petra import AsyncClient
from petra.errors import ClientClosed
from petra.integrations.starsessions import PetraStore
from petra.testing import TestServer


async def test_a_session_lives_as_long_as_it_says(location: str, server: TestServer) -> None:
    async with PetraStore(location, browser_session=3_600) as store:
        assert await store.write("an-id", b"data", lifetime=600, ttl=60) == "an-id"
        await store.write("browser", b"data", lifetime=0, ttl=0)
        await store.write("over", b"data", lifetime=600, ttl=-1)
        server.clock.advance(59)
        assert await store.read("an-id", lifetime=600) == b"data"
        assert await store.read("over", lifetime=600) == b""
        server.clock.advance(1)
        assert await store.read("an-id", lifetime=600) == b""
        assert await store.read("browser", lifetime=0) == b"data"
        server.clock.advance(3_540)
        assert await store.read("browser", lifetime=0) == b""


async def test_a_removed_session_is_gone(location: str) -> None:
    async with PetraStore(location) as store:
        await store.write("an-id", b"data", lifetime=60, ttl=60)
        await store.remove("an-id")
        await store.remove("an-id")
        assert await store.read("an-id", lifetime=60) == b""


async def test_the_storage_tells_nobody_the_ids(location: str, server: TestServer) -> None:
    async with PetraStore(location) as store, AsyncClient(server.address, namespace=location.split("=")[1]) as client:
        await store.write("an-id", b"data", lifetime=60, ttl=60)
        (entry,) = [entry async for entry in client.list()]
        assert "an-id" not in entry.key
        assert await store.read(entry.key, lifetime=60) == b""


async def test_a_client_of_yours_stays_open(server: TestServer) -> None:
    async with AsyncClient(server.address) as client:
        async with PetraStore(client=client):
            pass
        await client.info()
    own = PetraStore(server.address)
    await own.aclose()
    with pytest.raises(ClientClosed):
        await own.read("an-id", lifetime=60)
