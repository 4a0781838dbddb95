"""The store of py-key-value-aio on a real server. Its own tests for stores run in `make integrations`."""

from __future__ import annotations

import asyncio

import pytest
from key_value.aio.errors import SerializationError

from petra import AsyncClient
from petra.errors import ClientClosed
from petra.integrations.key_value import PetraStore
from petra.testing import TestServer

LONG = "x" * 3_000


async def test_values_of_two_stores_are_the_same(location: str) -> None:
    async with PetraStore(location) as one, PetraStore(location) as other:
        await one.put("theme", {"dark": True}, collection="ann")
        await one.put_many(["a", "b"], [{"n": 1}, {"n": 2}])
        assert await other.get("theme", collection="ann") == {"dark": True}
        assert await other.get_many(["b", "c", "a"]) == [{"n": 2}, None, {"n": 1}]
        assert await other.delete_many(["a", "c"]) == 1
        assert await one.get("a") is None


async def test_entries_expire_on_the_server(location: str, server: TestServer) -> None:
    async with PetraStore(location) as store:
        await store.put("short", {}, ttl=60)
        await store.put_many(["many"], [{}], ttl=60)
        await store.put("long", {})
        server.clock.advance(59.9)
        assert sorted(await store.keys()) == ["long", "many", "short"]
        server.clock.advance(0.1)
        assert await store.keys() == ["long"]


async def test_names_of_any_length_are_enumerated(location: str) -> None:
    async with PetraStore(location) as store:
        keys, collections = ["a", f"{LONG}1", f"{LONG}2"], ["b", f"{LONG}3"]
        for collection in collections:
            for key in keys:
                await store.put(key, {"key": key}, collection=collection)
        for collection in collections:
            assert sorted(await store.keys(collection)) == sorted(keys)
            assert len(await store.keys(collection, limit=2)) == 2
            assert await store.get(keys[1], collection=collection) == {"key": keys[1]}
        assert sorted(await store.collections()) == sorted(collections)
        assert len(await store.collections(limit=1)) == 1


async def test_a_collection_and_a_store_are_destroyed(location: str) -> None:
    async with PetraStore(location) as store:
        for collection in ("one", "two", "three"):
            await store.put("key", {}, collection=collection)
        assert await store.destroy_collection("one")
        assert not await store.destroy_collection("one")
        assert sorted(await store.collections()) == ["three", "two"]
        assert await store.destroy()
        assert await store.collections() == []


async def test_many_are_put_together_or_not_at_all(location: str) -> None:
    """Also where another reads meanwhile: both values are of the same put."""
    async with PetraStore(location) as store:
        await store.put_many(["a", "b"], [{"n": 0}, {"n": 0}])

        async def put(number: int) -> None:
            await store.put_many(["a", "b"], [{"n": number}, {"n": number}])

        async def read() -> None:
            first, second = await store.get_many(["a", "b"])
            assert first == second

        await asyncio.gather(*(each for number in range(50) for each in (put(number), read())))


async def test_a_client_of_yours_stays_open(server: TestServer, petra_namespace: str) -> None:
    async with AsyncClient(server.address, namespace=petra_namespace) as client:
        async with PetraStore(client=client, default_collection="mine") as store:
            await store.put("key", {"n": 1})
        assert [name async for name in client.objects()] == ["mine"]
    own = PetraStore(server.address)
    async with own:
        await own.get("key")
    with pytest.raises(ClientClosed):
        await own.get("key")


async def test_what_is_no_json_is_refused_as_elsewhere(location: str) -> None:
    async with PetraStore(location) as store:
        with pytest.raises(SerializationError):
            await store.put("key", {"when": object()})
