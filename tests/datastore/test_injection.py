"""Strings that are made to break out of where they stand: they are refused, or stored as what they are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra.datastore import NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument
from petra.sync import Client
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer

ATTACKS = [
    "'; DROP TABLE d1_log; --",
    '"; DROP TABLE d1_log; --',
    "' OR '1'='1",
    "1 OR 1=1",
    "id) OR (1=1",
    "id; DELETE FROM d1_log",
    "id/**/OR/**/1",
    "$.a",
    '"] }',
    '", "ann", "',
    "%",
    "_",
    "\\",
    ":user",
    "?1",
    "a\x00b",
    "a\nb",
    "__class__",
    "ann:",
    "main:list:x",
    "d1_log__auth",
    "😀'",
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_comes_out_and_nothing_changes(ann: Store, bob: Store, system: Store, attack: str) -> None:
    mallory = ann.datastore.auth(attack)
    await ann.put("LOG", "l1", {"secret": 1})
    await ann.put("PAGE", "p1", {"secret": 1})
    await ann.query_list_add_item("pages:ann", "p1")
    before = await everything(system)
    for who in (bob, mallory):
        for cls in ("LOG", "PAGE", "SESSION"):
            assert await who.get(cls, attack) is None
            assert await who.get_many(cls, [attack, "l1", "p1"]) == {}
            with pytest.raises(NotFoundOrNoAccess):
                await who.delete(cls, attack)
            with pytest.raises(NotFoundOrNoAccess):
                await who.share(cls, "l1" if cls == "LOG" else "p1", attack)
        assert await who.get_list(attack) == []
        assert await who.query_list_by_pointer("LOG", attack) == []
        for where in ({"secret": attack}, {"id": attack}, {"id": [attack]}, {"id": {"like": attack}}):
            assert await who.D1.query("LOG", where) == []
        for options in ({"where": {attack: 1}}, {"order_by": attack}, {"where": {"a": {attack: 1}}}):
            with suppress(InvalidArgument):
                assert await who.D1.query("LOG", **options) == []
        for cls in (attack, f"LOG{attack}"):
            with pytest.raises(InvalidArgument, match="no storage class"):
                await who.get(cls, "l1")
    assert await everything(system) == before


@pytest.mark.parametrize("attack", ATTACKS)
async def test_it_is_stored_as_what_it_is(ann: Store, bob: Store, attack: str) -> None:
    mallory = ann.datastore.auth(attack)
    for cls in ("LOG", "PAGE", "SESSION"):
        made = await mallory.put(cls, attack, {attack: attack, "plain": attack})
        assert await mallory.get(cls, attack) == made
        assert (made[attack], made["plain"], made["_auth"]) == (attack, attack, [attack])
        assert await ann.get(cls, attack) is None
        assert await mallory.share(cls, attack, "bob") == [attack, "bob"]
        assert await bob.exists(cls, attack)
        assert await mallory.unshare(cls, attack, "bob") == [attack]
    assert [each["id"] for each in await mallory.D1.query("LOG", {"plain": attack})] == [attack]
    assert await mallory.query_list_add_item(attack, attack) is True
    assert await mallory.get_list(attack) == [attack]
    assert await ann.get_list(attack) == []
    assert await mallory.query_list_remove_item(attack, attack) is True
    await mallory.delete("LOG", attack)
    assert await mallory.D1.query("LOG") == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.text(max_size=12), order=st.text(max_size=12), value=st.text(max_size=12), user=st.text(min_size=1))
def test_no_text_finds_the_rows_of_others(
    server: TestServer, namespace: str, field: str, order: str, value: str, user: str
) -> None:
    if user == "ann":
        return
    with Client(server.address, namespace=namespace) as client:
        datastore = BlockingDatastore(client)
        datastore.auth("ann").put("LOG", "l1", {"a": 1})
        mallory = datastore.auth(user)
        for options in ({"where": {field: value}}, {"order_by": order}, {"where": {"a": {field: value}}}):
            with suppress(InvalidArgument):
                assert mallory.D1.query("LOG", **options) == []
        kept = datastore.auth("ann").get("LOG", "l1")
        assert kept is not None
        assert kept["a"] == 1


async def everything(system: Store) -> list[Any]:
    rows = await system.D1.execute("SELECT * FROM d1_log, d1_log__auth")
    schema = await system.D1.execute("SELECT sql FROM sqlite_master ORDER BY name")
    return [
        rows.results,
        schema.results,
        await system.get("PAGE", "p1"),
        await system.get("LIST", "pages:ann"),
    ]
