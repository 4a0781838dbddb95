"""Reading and writing single entries, with both trees of the client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from petra import AsyncClient, Encoding, Entry, JSONCodec
from petra.errors import DecodeError, EncodeError, InvalidArgument, VersionConflict
from petra.testing import TestServer

KEYS = [
    "a",
    "ä",
    "日本語",
    "nul\0inside",
    "\0",
    "\U0001f600",
    "e\u0301",
    "line\nbreak",
    "x" * 2048,
    "ä" * 1024,
    "a/b:c d",
]


class TestGet:
    async def test_an_absent_key_is_none_or_the_default(self, client: AsyncClient) -> None:
        assert await client.get("absent") is None
        assert await client.get("absent", 7) == 7
        assert await client.get_entry("absent") is None

    async def test_a_null_that_is_stored_is_no_default(self, client: AsyncClient) -> None:
        await client.set("null", None)
        assert await client.get("null", "default") is None
        entry = await client.get_entry("null")
        assert entry is not None
        assert entry.value is None

    @pytest.mark.parametrize("value", [0, "", False, [], {}, b"", 1.5, "ä\0", {"a": [1, None]}, b"\0\xff", -(2**70)])
    async def test_values_come_back_as_they_were(self, client: AsyncClient, value: object) -> None:
        await client.set("key", value)
        read = await client.get("key")
        assert read == value
        assert type(read) is type(value)

    async def test_an_entry_has_its_version_and_expiry(self, client: AsyncClient, server: TestServer) -> None:
        version = await client.set("key", [1], ttl=1.5)
        expiry = server.clock.now + timedelta(seconds=1.5)
        assert await client.get_entry("key") == Entry("key", [1], version, expiry)
        assert expiry.tzinfo is UTC

    @pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key[:10]))
    async def test_any_key_that_is_unicode_is_a_key_of_its_own(self, client: AsyncClient, key: str) -> None:
        await client.set(key, "this one")
        await client.set("neighbour", "that one")
        assert await client.get(key) == "this one"
        assert await client.get_many([key]) == {key: "this one"}
        entry = await client.get_entry(key)
        assert entry is not None
        assert entry.key == key
        assert [entry.key async for entry in client.list(prefix=key)] == [key]
        assert await client.delete(key)
        assert await client.get(key) is None
        assert await client.get("neighbour") == "that one"


class TestSet:
    async def test_versions_grow_also_over_a_deletion(self, client: AsyncClient) -> None:
        versions = [await client.set("key", 1), await client.set("key", 2)]
        await client.delete("key")
        versions.append(await client.set("key", 3))
        assert versions == sorted(set(versions))

    @pytest.mark.parametrize("ttl", [2, 2.0, timedelta(seconds=2)])
    async def test_an_entry_is_gone_to_the_millisecond(
        self, client: AsyncClient, server: TestServer, ttl: float | timedelta
    ) -> None:
        await client.set("key", 1, ttl=ttl)
        server.clock.advance(1.999)
        assert await client.get("key") == 1
        server.clock.advance(0.001)
        assert await client.get("key") is None
        assert await client.get_entry("key") is None
        assert await client.get_many(["key"]) == {}
        assert [entry async for entry in client.list()] == []
        assert not await client.delete("key")

    async def test_an_old_expiry_is_removed_unless_it_is_to_be_kept(
        self, client: AsyncClient, server: TestServer
    ) -> None:
        await client.set("kept", 1, ttl=60)
        await client.set("removed", 1, ttl=60)
        await client.set("kept", 2, keep_ttl=True)
        await client.set("removed", 2)
        server.clock.advance(60)
        assert await client.get_many(["kept", "removed"]) == {"removed": 2}

    async def test_a_version_that_is_not_the_present_one_is_a_conflict(self, client: AsyncClient) -> None:
        first = await client.set("key", "first")
        second = await client.set("key", "second", if_version=first)
        with pytest.raises(VersionConflict, match="version") as caught:
            await client.set("key", "third", if_version=first)
        assert (caught.value.version, caught.value.key) == (second, "key")
        assert not caught.value.outcome_unknown
        assert await client.get("key") == "second"

    async def test_only_where_nothing_is(self, client: AsyncClient, server: TestServer) -> None:
        first = await client.set("key", "first", if_absent=True, ttl=1)
        with pytest.raises(VersionConflict) as caught:
            await client.set("key", "second", if_absent=True)
        assert caught.value.version == first
        with pytest.raises(VersionConflict):
            await client.set("key", "second", if_version=0)
        server.clock.advance(1)
        await client.set("key", "third", if_absent=True)
        with pytest.raises(VersionConflict) as caught:
            await client.set("gone", "x", if_version=first)
        assert caught.value.version == 0

    @pytest.mark.parametrize("durability", ["fsync", "buffered", None])
    async def test_either_durability(self, open_client: Callable[..., AsyncClient], durability: str | None) -> None:
        client = open_client(durability=durability)
        await client.set("key", 1)
        await client.set("other", 2, durability="fsync")
        await client.set("third", 3, durability="buffered")
        assert await client.get_many(["key", "other", "third"]) == {"key": 1, "other": 2, "third": 3}

    async def test_what_cannot_be_written_is_refused_by_its_path(self, client: AsyncClient) -> None:
        with pytest.raises(EncodeError) as caught:
            await client.set("key", {"orders": [{}, {"owner": {1}}]})
        assert caught.value.path == "value.orders[1].owner"
        assert await client.get("key") is None


class TestDelete:
    async def test_it_says_whether_there_was_an_entry(self, client: AsyncClient) -> None:
        await client.set("key", 1)
        assert await client.delete("key") is True
        assert await client.delete("key") is False

    async def test_only_the_version_that_was_seen(self, client: AsyncClient) -> None:
        old = await client.set("key", 1)
        new = await client.set("key", 2)
        with pytest.raises(VersionConflict) as caught:
            await client.delete("key", if_version=old)
        assert (caught.value.version, caught.value.key) == (new, "key")
        assert await client.delete("key", if_version=new, durability="buffered")


class TestHandles:
    async def test_namespaces_and_objects_are_apart(self, client: AsyncClient) -> None:
        elsewhere = client.namespace(f"{client.name}-2")
        places = [client, elsewhere, client.object("room"), client.object("other"), elsewhere.object("room")]
        for number, place in enumerate(places):
            await place.set("key", number)
        assert [await place.get("key") for place in places] == [0, 1, 2, 3, 4]
        assert await client.clear() == 1
        assert await client.object("room").clear() == 1
        assert [await place.get("key") for place in places] == [None, 1, None, 3, 4]

    async def test_they_have_names_and_say_where_they_are(self, client: AsyncClient, server: TestServer) -> None:
        assert client.namespace("ns").name == "ns"
        assert client.namespace("default").name == "default"
        room = client.namespace("ns").object("room")
        assert room.name == "room"
        assert repr(room).endswith(f"Object {server.address}, namespace='ns', object='room'>")

    async def test_the_default_namespace_has_one_name(self, open_client: Callable[..., AsyncClient]) -> None:
        by_default, by_name = open_client(namespace="default"), open_client().namespace("default")
        await by_default.object("handles").set("key", 1)
        assert await by_name.object("handles").get("key") == 1
        await by_name.object("handles").clear()


class Shouting:
    """Text in capitals, marked as bytes."""

    def encode(self, value: str) -> tuple[bytes, Encoding]:
        return value.upper().encode(), Encoding.BYTES

    def decode(self, data: bytes, encoding: Encoding) -> str:
        assert encoding is Encoding.BYTES
        return data.decode()


class TestCodec:
    async def test_a_codec_writes_and_reads_everywhere(self, open_client: Callable[..., AsyncClient]) -> None:
        client = open_client(codec=Shouting())
        room = client.namespace(client.name).object("room")
        for place in (client, room):
            await place.set("a", "one")
            await place.set_many({"b": "two"})
            assert await place.get_many(["a", "b"]) == {"a": "ONE", "b": "TWO"}
            assert [entry.value async for entry in place.list()] == ["ONE", "TWO"]
            assert await place.update("a", lambda value: f"{value} more") == "ONE more"
            pipeline = place.pipeline()
            pipeline.get("a")
            assert await pipeline.execute() == ["ONE MORE"]

    async def test_what_another_codec_wrote_is_no_harm_to_others(self, open_client: Callable[..., AsyncClient]) -> None:
        class Broken(JSONCodec):
            def encode(self, value: object) -> tuple[bytes, Encoding]:
                return b"{", Encoding.JSON

        await open_client(codec=Broken()).set("broken", 0)
        client = open_client()
        await client.set("sound", 1)
        with pytest.raises(DecodeError):
            await client.get("broken")
        with pytest.raises(DecodeError):
            await client.get_many(["sound", "broken"])
        assert await client.get("sound") == 1

    async def test_what_it_raises_is_raised(self, open_client: Callable[..., AsyncClient]) -> None:
        class Picky(JSONCodec):
            def encode(self, value: object) -> tuple[bytes, Encoding]:
                raise InvalidArgument("Not that one.", field="value")

        with pytest.raises(InvalidArgument, match="Not that one"):
            await open_client(codec=Picky()).set("key", 1)


async def test_the_moment_of_expiry_is_exact() -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    with TestServer(now=moment) as server:
        async with AsyncClient(server.address) as client:
            await client.set("key", 1, ttl=0.001)
            entry = await client.get_entry("key")
            assert entry is not None
            assert entry.expires_at == moment + timedelta(milliseconds=1)
