"""Lists of keys: each item once, in order, and nothing lost however many change them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from petra import AsyncClient, Client
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from petra.values import Value

POINTER = "projects:ann"


async def test_items_are_kept_once_and_in_order(ann: Store) -> None:
    assert [await ann.query_list_add_item(POINTER, item) for item in ("b", "a", "b", "c", "a")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert await ann.get_list(POINTER) == ["b", "a", "c"]


async def test_items_are_removed(ann: Store) -> None:
    for item in ("a", "b", "c"):
        await ann.query_list_add_item(POINTER, item)
    assert await ann.query_list_remove_item(POINTER, "b") is True
    assert await ann.query_list_remove_item(POINTER, "b") is False
    assert await ann.get_list(POINTER) == ["a", "c"]
    await ann.query_list_add_item(POINTER, "b")
    assert await ann.get_list(POINTER) == ["a", "c", "b"]
    assert await ann.query_list_clear(POINTER) == 3
    assert await ann.query_list_clear(POINTER) == 0
    assert await ann.get_list(POINTER) == []


async def test_a_list_that_is_not_there(ann: Store, client: AsyncClient) -> None:
    assert await ann.get_list(POINTER) == []
    assert await ann.query_list_by_pointer("PROJECT", POINTER) == []
    assert await ann.query_list_remove_item(POINTER, "a") is False
    assert await ann.query_list_clear(POINTER) == 0
    assert [key async for key in client.list_keys()] == []


async def test_a_pointer_leads_to_objects(ann: Store, bob: Store) -> None:
    for number in range(5):
        await ann.put("PROJECT", f"p{number}", {"number": number})
    await bob.put("PROJECT", "theirs", {"number": 9})
    for item in ("p3", "missing", "p1", "theirs", "p4", "p0"):
        await ann.query_list_add_item(POINTER, item)

    async def numbers(**options: int) -> list[int]:
        return [each["number"] for each in await ann.query_list_by_pointer("PROJECT", POINTER, **options)]

    assert await numbers() == [3, 1, 4, 0]
    assert await numbers(limit=3) == [3, 1]
    assert await numbers(limit=2, offset=4) == [4, 0]
    assert await numbers(limit=0) == []
    assert await numbers(offset=9) == []
    for options in ({"limit": -1}, {"offset": -1}, {"limit": True}):
        with pytest.raises(InvalidArgument, match="whole number"):
            await numbers(**options)


async def test_a_long_list_leads_to_all_of_its_objects(ann: Store) -> None:
    keys = [f"p{number}" for number in range(1_500)]
    await ann.put("LIST", POINTER, {"items": keys})
    for first in range(0, len(keys), 500):
        await ann.put_many("PROJECT", {key: {"key": key} for key in keys[first : first + 500]})
    assert [each["key"] for each in await ann.query_list_by_pointer("PROJECT", POINTER)] == keys


async def test_a_pointer_leads_to_rows(ann: Store) -> None:
    await ann.put_many("LOG", {"l1": {"n": 1}, "l2": {"n": 2}})
    for item in ("l2", "l1"):
        await ann.query_list_add_item("logs:ann", item)
    assert [each["n"] for each in await ann.query_list_by_pointer("LOG", "logs:ann")] == [2, 1]


async def test_a_list_is_seen_by_whom_it_names(ann: Store, bob: Store) -> None:
    await ann.query_list_add_item(POINTER, "a")
    assert await bob.get_list(POINTER) == []
    assert await bob.query_list_remove_item(POINTER, "a") is False
    assert await bob.query_list_clear(POINTER) == 0
    with pytest.raises(NotFoundOrNoAccess):
        await bob.query_list_add_item(POINTER, "b")
    assert await ann.get_list(POINTER) == ["a"]
    assert await ann.share("LIST", POINTER, "bob") == ["ann", "bob"]
    await bob.query_list_add_item(POINTER, "b")
    assert await ann.get_list(POINTER) == await bob.get_list(POINTER) == ["a", "b"]
    assert await bob.get("LIST", POINTER) == {"items": ["a", "b"], "_auth": ["ann", "bob"]}


async def test_lists_of_the_system(ann: Store, system: Store) -> None:
    await system.query_list_add_item("all", "a")
    assert await system.get_list("all") == ["a"]
    assert await ann.get_list("all") == []
    await ann.query_list_add_item(POINTER, "a")
    await system.query_list_add_item(POINTER, "b")
    assert await ann.get_list(POINTER) == ["a", "b"]


@pytest.mark.parametrize("wrong", ["", None, 7])
async def test_pointers_and_items_are_strings(ann: Store, wrong: Value) -> None:
    for attempt in (
        ann.query_list_add_item(wrong, "a"),
        ann.query_list_add_item(POINTER, wrong),
        ann.query_list_remove_item(POINTER, wrong),
        ann.get_list(wrong),
    ):
        with pytest.raises(InvalidArgument):
            await attempt
    assert await ann.get_list(POINTER) == []


async def test_100_who_add_at_once_lose_nothing(server: TestServer, namespace: str) -> None:
    async with (
        AsyncClient(server.address, namespace=namespace) as one,
        AsyncClient(server.address, namespace=namespace) as other,
    ):
        stores = [Datastore(one).auth("ann"), Datastore(other).auth("ann")]
        wanted = [f"item-{number}" for number in range(100)]
        added = await asyncio.gather(
            *(stores[index % 2].query_list_add_item(POINTER, item) for index, item in enumerate(wanted))
        )
        assert all(added)
        kept = await stores[0].get_list(POINTER)
    assert sorted(kept) == sorted(wanted)


def test_100_threads_that_add_at_once_lose_nothing(server: TestServer, namespace: str) -> None:
    wanted = [f"item-{number}" for number in range(100)]
    with Client(server.address, namespace=namespace) as client, ThreadPoolExecutor(100) as threads:
        store = BlockingDatastore(client).auth("ann")
        assert all(threads.map(lambda item: store.query_list_add_item(POINTER, item), wanted))
        assert sorted(store.get_list(POINTER)) == sorted(wanted)


async def test_those_who_add_and_those_who_remove_at_once(ann: Store) -> None:
    old = [f"old-{number}" for number in range(25)]
    new = [f"new-{number}" for number in range(25)]
    for item in old:
        await ann.query_list_add_item(POINTER, item)
    await asyncio.gather(
        *(ann.query_list_add_item(POINTER, item) for item in new),
        *(ann.query_list_remove_item(POINTER, item) for item in old[::2]),
    )
    kept = await ann.get_list(POINTER)
    assert kept[: len(old[1::2])] == old[1::2]
    assert sorted(kept[len(old[1::2]) :]) == sorted(new)


async def test_one_item_that_many_add_at_once_is_there_once(ann: Store) -> None:
    added = await asyncio.gather(*(ann.query_list_add_item(POINTER, "same") for _ in range(20)))
    assert sum(added) == 1
    assert await ann.get_list(POINTER) == ["same"]
