"""Listings, with both trees of the client: bounds, order, pages, and what happens meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra import AsyncClient, Client
from petra.errors import InvalidArgument, VersionConflict
from petra.objects import AsyncEntries
from petra.testing import TestServer

NAMES = ["a", "b", "ba", "bb", "bc", "c", "z", "ä", "日", "\uffff", "\U0001f600"]


@pytest.fixture(params=["flat", "object"])
def entries(request: pytest.FixtureRequest, client: AsyncClient) -> AsyncEntries:
    """Flat keys, which are merged over the actors, or an object's."""
    return client if request.param == "flat" else client.object("room")


async def keys(entries: AsyncEntries, **options: Any) -> list[str]:  # noqa: ANN401 - those of list_keys
    return [key async for key in entries.list_keys(**options)]


class TestBounds:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, NAMES),
            ({"prefix": "b"}, ["b", "ba", "bb", "bc"]),
            ({"prefix": "absent"}, []),
            ({"start": "bb"}, NAMES[3:]),
            ({"start": "b\0"}, NAMES[2:]),
            ({"start_after": "bb"}, NAMES[4:]),
            ({"end": "bb"}, NAMES[:3]),
            ({"start": "ba", "end": "c"}, ["ba", "bb", "bc"]),
            ({"start_after": "ba", "end": "c", "reverse": True}, ["bc", "bb"]),
            ({"prefix": "b", "start_after": "ba"}, ["bb", "bc"]),
            ({"start": "c", "end": "b"}, []),
            ({"reverse": True}, NAMES[::-1]),
            ({"limit": 3}, NAMES[:3]),
            ({"limit": 3, "reverse": True}, NAMES[:-4:-1]),
            ({"limit": 0}, []),
            ({"limit": 100}, NAMES),
            ({"limit": 5, "page_size": 2}, NAMES[:5]),
            ({"limit": 4, "page_size": 4}, NAMES[:4]),
            ({"page_size": 1}, NAMES),
            ({"page_size": 2, "reverse": True}, NAMES[::-1]),
            ({"page_size": len(NAMES)}, NAMES),
        ],
        ids=str,
    )
    async def test_what_they_mean(self, entries: AsyncEntries, options: dict[str, Any], expected: list[str]) -> None:
        assert sorted(NAMES, key=str.encode) == NAMES
        await entries.set_many({name: name for name in reversed(NAMES)})
        assert await keys(entries, **options) == expected
        listed = [entry async for entry in entries.list(**options)]
        assert [(entry.key, entry.value) for entry in listed] == [(name, name) for name in expected]

    async def test_entries_have_versions_and_expiries_also_without_values(
        self, entries: AsyncEntries, server: TestServer
    ) -> None:
        version = await entries.set("key", {"large": "x" * 1000}, ttl=9)
        (entry,) = [entry async for entry in entries.list()]
        assert entry == await entries.get_entry("key")
        assert entry.version == version
        server.clock.advance(9)
        assert await keys(entries) == []

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"start": "a", "start_after": "b"}, "start_after"),
            ({"limit": -1}, "limit"),
            ({"limit": True}, "limit"),
            ({"page_size": 0}, "page_size"),
            ({"page_size": 10_001}, "page_size"),
            ({"page_size": 1.5}, "page_size"),
            ({"prefix": 1}, "prefix"),
            ({"start": b"a"}, "start"),
            ({"start_after": None}, "start_after"),
            ({"end": "\udc00"}, "end"),
            ({"timeout": 0}, "timeout"),
        ],
        ids=str,
    )
    async def test_bad_ones_are_refused_by_name(
        self, entries: AsyncEntries, options: dict[str, Any], field: str
    ) -> None:
        for listing in (entries.list, entries.list_keys):
            with pytest.raises(InvalidArgument) as caught:
                _ = [entry async for entry in listing(**options)]
            assert caught.value.field == field


class TestPages:
    async def test_several_pages_make_one_listing(self, entries: AsyncEntries) -> None:
        names = [f"{number:04}" for number in range(1_000)]
        await entries.set_many(dict.fromkeys(names, 0))
        await entries.set_many({f"{number:04}": 0 for number in range(1_000, 1_500)})
        everything = [f"{number:04}" for number in range(1_500)]
        assert await keys(entries) == everything
        assert await keys(entries, page_size=7, limit=100, reverse=True) == everything[:-101:-1]

    async def test_pages_end_where_bytes_do(self, entries: AsyncEntries) -> None:
        """A page holds 4 MiB at most, whatever its size in entries."""
        items = {f"large-{number}": bytes([number]) * (1 << 20) for number in range(9)}
        for key, value in items.items():
            await entries.set(key, value)
        assert {entry.key: entry.value async for entry in entries.list()} == items

    @pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
    async def test_what_is_there_throughout_is_seen_exactly_once(self, entries: AsyncEntries, reverse: bool) -> None:
        names = [f"{number:02}" for number in range(40)]
        await entries.set_many(dict.fromkeys(names, 0))
        removed = set(names[1::4])
        seen: list[str] = []
        async for key in entries.list_keys(page_size=3, reverse=reverse):
            seen.append(key)
            number = int(key[:2])
            # Between pages some are removed and others added, on both sides of where the listing is.
            if not number % 5:
                await entries.set_many({f"{near:02}+": 1 for near in range(max(0, number - 6), number + 6)})
                await entries.delete_many([name for name in removed if abs(int(name) - number) < 6])
        kept = [name for name in names if name not in removed]
        assert sorted(seen, reverse=reverse) == seen
        assert len(set(seen)) == len(seen)
        assert [key for key in seen if key in kept] == kept[:: -1 if reverse else 1]

    async def test_it_can_be_left_in_the_middle(self, entries: AsyncEntries) -> None:
        await entries.set_many({f"{number}": 0 for number in range(10)})
        async for key in entries.list_keys(page_size=2):
            if key == "3":
                break
        assert await entries.get("3") == 0

    async def test_what_is_listed_can_be_changed_by_its_version(self, entries: AsyncEntries) -> None:
        await entries.set_many({f"{number}": number for number in range(5)})
        await entries.set("3", 30)
        async for entry in entries.list(page_size=2):
            await entries.set(entry.key, entry.value + 1, if_version=entry.version)
            with pytest.raises(VersionConflict):
                await entries.delete(entry.key, if_version=entry.version)
        assert [entry.value async for entry in entries.list()] == [1, 2, 3, 31, 5]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bounds_as_a_sorted_list_has_them(server: TestServer, data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
    names = data.draw(st.lists(text.filter(bool), unique=True, max_size=12))
    bounds: dict[str, Any] = data.draw(st.fixed_dictionaries({"prefix": text, "end": text, "reverse": st.booleans()}))
    bounds[data.draw(st.sampled_from(["start", "start_after"]))] = data.draw(text)
    page_size, limit = data.draw(st.integers(1, 5)), data.draw(st.none() | st.integers(0, 9))
    with Client(server.address, namespace="listing") as client:
        for entries in (client, client.object("room")):
            entries.clear()
            entries.set_many(dict.fromkeys(names, 0))
            expected = [name for name in sorted(names, key=str.encode) if _within(name, **bounds)]
            if bounds["reverse"]:
                expected.reverse()
            found = list(entries.list_keys(**bounds, page_size=page_size, limit=limit))
            assert found == expected[:limit]


def _within(name: str, prefix: str, end: str, reverse: bool, start: str = "", start_after: str = "") -> bool:
    raw = name.encode()
    return (
        name.startswith(prefix)
        and raw >= start.encode()
        and (not start_after or raw > start_after.encode())
        and (not end or raw < end.encode())
    )
