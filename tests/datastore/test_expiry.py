"""How long objects live, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from petra import AsyncClient
from petra.datastore import Datastore, StorageClass, StorageClasses, Store
from petra.testing import TestServer


async def test_an_object_with_a_time_to_live(ann: Store, server: TestServer) -> None:
    for cls in ("CACHE", "PAGE"):
        await ann.put(cls, "short", {}, ttl=10)
        await ann.put_many(cls, {"longer": {}}, ttl=timedelta(seconds=20))
        await ann.put(cls, "ever", {})
        server.clock.advance(10)
        assert list(await ann.get_many(cls, ["short", "longer", "ever"])) == ["longer", "ever"]
        assert await ann.exists(cls, "short") is False
        server.clock.advance(10)
        assert list(await ann.get_many(cls, ["short", "longer", "ever"])) == ["ever"]


async def test_a_put_begins_anew_and_a_share_does_not(ann: Store, bob: Store, server: TestServer) -> None:
    await ann.put("CACHE", "put", {}, ttl=10)
    await ann.put("CACHE", "shared", {}, ttl=10)
    server.clock.advance(6)
    await ann.put("CACHE", "put", {}, ttl=10)
    await ann.share("CACHE", "shared", "bob")
    server.clock.advance(4)
    assert await ann.exists("CACHE", "put")
    assert await bob.get("CACHE", "shared") is None
    server.clock.advance(6)
    assert not await ann.exists("CACHE", "put")


async def test_a_put_without_a_time_to_live_stays(ann: Store, server: TestServer) -> None:
    await ann.put("CACHE", "key", {}, ttl=10)
    await ann.put("CACHE", "key", {})
    server.clock.advance(10)
    assert await ann.exists("CACHE", "key")


async def test_the_default_of_a_class(open_datastore: Callable[..., Datastore], server: TestServer) -> None:
    classes = StorageClasses([StorageClass("TOKEN", "token", placement="sharded", ttl=60)])
    ann = open_datastore(classes=classes).auth("ann")
    await ann.put("TOKEN", "default", {})
    await ann.put_many("TOKEN", {"many": {}})
    await ann.put("TOKEN", "own", {}, ttl=90)
    server.clock.advance(59)
    assert len(await ann.get_many("TOKEN", ["default", "many", "own"])) == 3
    server.clock.advance(1)
    assert list(await ann.get_many("TOKEN", ["default", "many", "own"])) == ["own"]


async def test_what_has_expired_belongs_to_nobody(ann: Store, bob: Store, server: TestServer) -> None:
    await ann.put("CACHE", "key", {"by": "ann"}, ttl=10)
    server.clock.advance(10)
    made = await bob.put("CACHE", "key", {"by": "bob"})
    assert made == {"by": "bob", "_auth": ["bob"]}
    assert await ann.get("CACHE", "key") is None


async def test_a_list_keeps_the_expiry_that_it_was_given(ann: Store, client: AsyncClient, server: TestServer) -> None:
    await ann.put("LIST", "recent:ann", {"items": ["a"]}, ttl=10)
    await ann.query_list_add_item("recent:ann", "b")
    assert await ann.get_list("recent:ann") == ["a", "b"]
    server.clock.advance(10)
    assert await ann.get_list("recent:ann") == []
    await ann.query_list_add_item("recent:ann", "c")
    entry = await client.get_entry("main:list:recent:ann")
    assert entry is not None
    assert entry.expires_at is None
