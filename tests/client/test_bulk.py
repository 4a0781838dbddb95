"""Many entries in one call, with both trees of the client: flat keys over many actors, and an object's in one step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from petra import AsyncClient
from petra.errors import InvalidArgument, VersionConflict
from petra.objects import AsyncEntries
from petra.testing import TestServer

# More than the server takes in one request.
MANY = [f"key-{number:05}" for number in range(2_500)]
FEW = MANY[:1_000]


@pytest.fixture(params=["flat", "object"])
def entries(request: pytest.FixtureRequest, client: AsyncClient) -> AsyncEntries:
    """Flat keys, or an object."""
    return client if request.param == "flat" else client.object("room")


class TestAnywhere:
    async def test_written_read_and_removed(self, entries: AsyncEntries) -> None:
        items = {key: {"of": key} for key in FEW}
        versions = await entries.set_many(items)
        assert list(versions) == FEW
        assert await entries.get_many(FEW) == items
        read = await entries.get_entries(FEW)
        assert {key: entry.version for key, entry in read.items()} == versions
        assert all(read[key].key == key and read[key].value == items[key] for key in FEW)
        assert await entries.delete_many([*FEW, "absent"]) == len(FEW)
        assert await entries.get_many(FEW) == {}

    async def test_in_the_order_of_the_keys_once_each_and_without_the_absent(self, entries: AsyncEntries) -> None:
        await entries.set_many({"b": 2, "a": 1, "null": None, "c": b"3"})
        asked = ["c", "absent", "a", "null", "c", "b", "a"]
        expected = {"c": b"3", "a": 1, "null": None, "b": 2}
        for keys in (asked, tuple(asked), iter(asked)):
            found = await entries.get_many(keys)
            assert (found, list(found)) == (expected, list(expected))
        assert list(await entries.get_entries(dict.fromkeys(asked))) == list(expected)
        assert await entries.delete_many(iter(asked)) == 4

    async def test_nothing_asked_is_nothing_done(self, entries: AsyncEntries) -> None:
        assert await entries.get_many([]) == {}
        assert await entries.get_entries(()) == {}
        assert await entries.set_many({}) == {}
        assert await entries.delete_many(iter(())) == 0

    async def test_a_ttl_is_that_of_each(self, entries: AsyncEntries, server: TestServer) -> None:
        await entries.set_many({"a": 1, "b": 2}, ttl=1)
        await entries.set_many({"b": 3})
        server.clock.advance(0.999)
        assert await entries.get_many(["a", "b"]) == {"a": 1, "b": 3}
        server.clock.advance(0.001)
        assert await entries.get_many(["a", "b"]) == {"b": 3}

    @pytest.mark.parametrize("durability", ["fsync", "buffered"])
    async def test_either_durability(self, open_client: Callable[..., AsyncClient], durability: str) -> None:
        room = open_client(durability=durability).object("room")
        await room.set_many({"a": 1, "b": 2})
        await room.set_many({"c": 3}, durability="buffered")
        assert await room.delete_many(["a"], durability="fsync") == 1
        assert await room.get_many(["a", "b", "c"]) == {"b": 2, "c": 3}

    async def test_large_values_are_parted(self, entries: AsyncEntries) -> None:
        items = {f"large-{number}": bytes([number]) * 700_000 for number in range(5)}
        await entries.set_many(items)
        assert await entries.get_many(items) == items

    async def test_one_bad_value_and_nothing_is_written(self, entries: AsyncEntries) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await entries.set_many({"good": 1, "bad": {1, 2}})
        assert caught.value.field == "value"
        assert await entries.get_many(["good", "bad"]) == {}


class TestFlat:
    async def test_more_keys_than_a_request_may_have(self, client: AsyncClient) -> None:
        items = {key: number for number, key in enumerate(MANY)}
        assert list(await client.set_many(items)) == MANY
        assert await client.get_many(reversed(MANY)) == items
        assert len(await client.get_entries(MANY)) == len(MANY)
        assert await client.delete_many(MANY) == len(MANY)

    async def test_conditions_need_an_object(self, client: AsyncClient) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await client.set_many({"a": 1}, if_versions={"a": 0})
        assert caught.value.reason == "INVALID_CONDITION"
        assert await client.get("a") is None


class TestObject:
    async def test_it_is_all_or_nothing(self, client: AsyncClient) -> None:
        room = client.object("room")
        versions = await room.set_many({"a": 1, "b": 1}, if_versions={"a": 0})
        await room.set("b", 2)
        with pytest.raises(VersionConflict) as caught:
            await room.set_many({"a": 3, "b": 3, "c": 3}, if_versions=versions)
        assert caught.value.key == "b"
        assert caught.value.version > versions["b"]
        assert await room.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}

    async def test_more_than_a_request_may_have_is_refused_as_a_whole(self, client: AsyncClient) -> None:
        room = client.object("room")
        with pytest.raises(InvalidArgument) as caught:
            await room.set_many(dict.fromkeys(MANY, 0))
        assert caught.value.reason == "BATCH_TOO_LARGE"
        for call in (room.get_many(MANY), room.delete_many(MANY)):
            with pytest.raises(InvalidArgument):
                await call
        assert [key async for key in room.list_keys()] == []

    async def test_a_condition_on_what_is_not_written_is_refused(self, client: AsyncClient) -> None:
        with pytest.raises(InvalidArgument, match="'other'") as caught:
            await client.object("room").set_many({"a": 1}, if_versions={"other": 0})
        assert caught.value.field == "if_versions"
