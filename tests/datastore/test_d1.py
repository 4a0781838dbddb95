"""Rows: what queries find, and raw SQL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import petra.datastore.conditions as conditions
from petra.datastore import D1Result, NotFoundOrNoAccess, StorageClasses, Store
from petra.errors import InvalidArgument, SqlConstraint, SqlError
from petra.sql import Statement
from petra.sync import Client
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from petra.values import Value

LOGS: dict[str, dict[str, Any]] = {
    "l1": {"level": "info", "ms": 5, "ok": True, "at": {"host": "a"}},
    "l2": {"level": "error", "ms": 70, "ok": False, "at": {"host": "b"}},
    "l3": {"level": "info", "ms": 2.5, "ok": True, "note": "100%"},
    "l4": {"level": "warning", "ms": "5", "note": None},
}


class TestQueries:
    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (None, ["l1", "l2", "l3", "l4"]),
            ({}, ["l1", "l2", "l3", "l4"]),
            ({"level": "info"}, ["l1", "l3"]),
            ({"level": "info", "ms": 5}, ["l1"]),
            ({"ms": 5.0}, ["l1"]),
            ({"ok": True}, ["l1", "l3"]),
            ({"ok": False}, ["l2"]),
            ({"ok": None}, ["l4"]),
            ({"note": None}, ["l1", "l2", "l4"]),
            ({"at.host": "b"}, ["l2"]),
            ({"id": ["l4", "l1", "l9"]}, ["l1", "l4"]),
            ({"level": []}, []),
            ({"ms": {">": 2.5, "<=": 70}, "ok": {"!=": None}}, ["l1", "l2"]),
            ({"level": {"!=": "info"}}, ["l2", "l4"]),
            ({"note": {"!=": None}}, ["l3"]),
            ({"level": {"like": "%R%"}}, ["l2", "l4"]),
            ({"created_at": {">=": 0}}, ["l1", "l2", "l3", "l4"]),
            ({"created_at": {"<": 0}}, []),
            ({"nothing.like.it": 1}, []),
        ],
    )
    async def test_conditions(self, ann: Store, where: dict[str, Any] | None, found: list[str]) -> None:
        await ann.put_many("LOG", LOGS)
        assert [each["id"] for each in await ann.D1.query("LOG", where=where)] == found

    @pytest.mark.parametrize(
        ("order_by", "found"),
        [
            (None, ["l1", "l2", "l3", "l4"]),
            ("id DESC", ["l4", "l3", "l2", "l1"]),
            ("level", ["l2", "l1", "l3", "l4"]),
            ("level DESC", ["l4", "l3", "l1", "l2"]),
            ("level, ms", ["l2", "l3", "l1", "l4"]),
            (["level desc", "ms ASC"], ["l4", "l3", "l1", "l2"]),
            ("created_at DESC", ["l4", "l3", "l2", "l1"]),
            ("at.host DESC,id", ["l2", "l1", "l3", "l4"]),
        ],
    )
    async def test_order(self, ann: Store, order_by: Value, found: list[str]) -> None:
        for key, data in LOGS.items():
            await ann.put("LOG", key, data)
        assert [each["id"] for each in await ann.D1.query("LOG", order_by=order_by)] == found

    async def test_pages(self, ann: Store) -> None:
        await ann.put_many("LOG", {f"l{number:03}": {"n": number} for number in range(150)})
        assert len(await ann.D1.query("LOG")) == 100
        page = await ann.D1.query("LOG", {"n": {">=": 100}}, order_by="n DESC", limit=20, offset=40)
        assert [each["n"] for each in page] == list(range(109, 99, -1))
        assert await ann.D1.query("LOG", limit=0) == []

    async def test_a_query_shows_what_a_get_shows(self, ann: Store) -> None:
        made = await ann.put("LOG", "l1", LOGS["l1"])
        assert await ann.D1.query("LOG") == [made] == [await ann.get("LOG", "l1")]

    async def test_only_what_names_the_user_is_found(self, ann: Store, bob: Store, system: Store) -> None:
        await ann.put_many("LOG", {"l1": {}, "l2": {}})
        await bob.put("LOG", "l3", {})
        await ann.share("LOG", "l2", "bob")
        assert [each["id"] for each in await ann.D1.query("LOG")] == ["l1", "l2"]
        assert [each["id"] for each in await bob.D1.query("LOG")] == ["l2", "l3"]
        assert [each["id"] for each in await system.D1.query("LOG")] == ["l1", "l2", "l3"]
        await ann.unshare("LOG", "l2", "ann")
        assert [each["id"] for each in await ann.D1.query("LOG")] == ["l1"]

    async def test_nothing_was_ever_put(self, ann: Store, system: Store) -> None:
        assert await ann.D1.query("AUDIT", {"n": 1}, order_by="created_at DESC") == []
        assert await ann.get("AUDIT", "key") is None
        assert await ann.get_many("AUDIT", ["key"]) == {}
        for attempt in (ann.delete("AUDIT", "key"), ann.share("AUDIT", "key", "bob")):
            with pytest.raises(NotFoundOrNoAccess):
                await attempt
        # And nothing was made by asking.
        assert (await system.D1.execute("SELECT name FROM sqlite_master")).results == []

    @pytest.mark.parametrize("user_id", ["ann", None])
    async def test_an_index_on_a_field_is_used(self, system: Store, user_id: str | None) -> None:
        await system.put("LOG", "l1", {"level": "info"})
        await system.D1.execute("""CREATE INDEX log_level ON d1_log (json_extract(data, '$."level"'))""")
        cls = StorageClasses()["LOG"]
        sql, params = conditions.query(cls, {"level": "info"}, None, 10, 0, user_id)
        plan = await system.D1.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        assert "USING INDEX log_level" in str(plan.results)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"where": {"a b": 1}}, "is no field"),
            ({"where": {"ms": float("nan")}}, "nan"),
            ({"where": ["ms"]}, "where is a mapping"),
            ({"order_by": 5}, "order_by is text"),
            ({"where": {"": 1}}, "is no field"),
            ({"where": {7: 1}}, "is no field"),
            ({"where": {"_auth": "ann"}}, "_auth cannot be queried"),
            ({"where": {"a": {"a": 1}}}, "'a' is no operator; there are =, !=, <, <=, >, >=, like"),
            ({"where": {"a": b"bytes"}}, "not with bytes"),
            ({"where": {"a": [[1]]}}, "not with list"),
            ({"order_by": "a UP"}, "order_by has 'a UP'"),
            ({"order_by": ""}, "is no field"),
            ({"order_by": "a,,b"}, "is no field"),
            ({"limit": -1}, "limit is a whole number"),
            ({"limit": 10_001}, "at most 10,000"),
            ({"limit": None}, "limit is a whole number"),
            ({"offset": 1.5}, "offset is a whole number"),
        ],
    )
    async def test_what_is_no_query(self, ann: Store, options: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InvalidArgument, match=sentence):
            await ann.D1.query("LOG", **options)


class TestRawSql:
    async def test_rows_and_figures(self, system: Store) -> None:
        made = await system.D1.execute("CREATE TABLE tea (name TEXT PRIMARY KEY, grams INTEGER)")
        assert made.results == []
        added = await system.D1.execute("INSERT INTO tea VALUES (?, ?), (?, ?)", ["oolong", 100, "assam", 50])
        assert (added.meta.changes, added.meta.last_row_id, added.meta.rows_written) == (2, 2, 2)
        found = await system.D1.execute("SELECT name, grams FROM tea WHERE grams > :least", {"least": 60})
        assert found.results == [{"name": "oolong", "grams": 100}]
        assert found.meta.changes == 0
        assert found.meta.rows_read >= 1
        assert found.meta.duration > 0
        assert found.meta.size_after == added.meta.size_after > 0

    async def test_a_batch_is_all_or_nothing(self, system: Store) -> None:
        await system.D1.execute("CREATE TABLE tea (name TEXT PRIMARY KEY)")
        insert = "INSERT INTO tea VALUES (?)"
        done = await system.D1.batch([(insert, ["a"]), Statement(insert, many=[["b"], ["c"]]), "SELECT * FROM tea"])
        assert [type(each) for each in done] == [D1Result] * 3
        assert [row["name"] for row in done[2].results] == ["a", "b", "c"]
        with pytest.raises(SqlConstraint):
            await system.D1.batch([(insert, ["d"]), (insert, ["a"])])
        assert len((await system.D1.execute("SELECT * FROM tea")).results) == 3

    async def test_it_sees_the_rows_of_all(self, ann: Store, bob: Store) -> None:
        await bob.put("LOG", "l1", {"n": 1})
        found = await ann.D1.execute("SELECT id, json_extract(data, '$.n') AS n FROM d1_log")
        assert found.results == [{"id": "l1", "n": 1}]

    async def test_it_cannot_part_a_row_from_who_sees_it(self, ann: Store, bob: Store, system: Store) -> None:
        await ann.put_many("LOG", {"l1": {"n": 1}, "l2": {"n": 2}})
        await system.D1.execute("""UPDATE d1_log SET _auth = '["bob"]' WHERE id = 'l1'""")
        await system.D1.execute("DELETE FROM d1_log WHERE id = 'l2'")
        await system.D1.execute("""INSERT INTO d1_log (id, data, _auth) VALUES ('l3', '{"n": 3}', '["ann"]')""")
        assert [each["n"] for each in await ann.D1.query("LOG")] == [3]
        assert [each["n"] for each in await bob.D1.query("LOG")] == [1]
        rows = (await system.D1.execute("SELECT user_id, record_id FROM d1_log__auth ORDER BY record_id")).results
        assert rows == [{"user_id": "bob", "record_id": "l1"}, {"user_id": "ann", "record_id": "l3"}]

    async def test_an_error_of_the_statement(self, ann: Store) -> None:
        with pytest.raises(SqlError, match="SELEC"):
            await ann.D1.execute("SELEC 1")
        with pytest.raises(SqlError, match="no such table"):
            await ann.D1.execute("SELECT * FROM tea")


async def test_rows_do_not_expire(ann: Store) -> None:
    with pytest.raises(InvalidArgument, match="LOG is on D1, whose rows do not expire"):
        await ann.put("LOG", "key", {}, ttl=60)
    with pytest.raises(InvalidArgument, match="do not expire"):
        await ann.put_many("LOG", {"key": {}}, ttl=60)
    assert await ann.get("LOG", "key") is None


# Queries beside a filter over a list.

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "%"])
RECORDS = st.lists(st.fixed_dictionaries({}, optional={"a": SCALARS, "b": SCALARS}), max_size=12)
OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
WHERES = st.dictionaries(st.sampled_from("ab"), SCALARS | st.dictionaries(OPERATORS, SCALARS, max_size=2))


def as_stored(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def rank(value: object) -> tuple[int, Any]:
    """SQLite's order: NULL, numbers, text."""
    value = as_stored(value)
    return (0, 0) if value is None else (1, value) if isinstance(value, int) else (2, value)


def compares(value: object, operator: str, other: object) -> bool:
    here, there = rank(value), rank(other)
    if operator in ("=", "!="):
        return (here == there) is (operator == "=")
    if value is None or other is None:
        return False
    return {"<": here < there, "<=": here <= there, ">": here > there, ">=": here >= there}[operator]


def matches(record: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(
        compares(record.get(field), operator, other)
        for field, wanted in where.items()
        for operator, other in (wanted if isinstance(wanted, dict) else {"=": wanted}).items()
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, where=WHERES, descending=st.booleans(), limit=st.integers(0, 13), offset=st.integers(0, 3))
def test_a_query_is_a_filter_over_a_list(
    server: TestServer,
    namespace: str,
    records: list[dict[str, Any]],
    where: dict[str, Any],
    descending: bool,
    limit: int,
    offset: int,
) -> None:
    with Client(server.address, namespace=namespace) as client:
        ann, bob = BlockingDatastore(client).auth("ann"), BlockingDatastore(client).auth("bob")
        client.object("main").clear()
        items = {f"r{index}": record for index, record in enumerate(records)}
        ann.put_many("LOG", items)
        bob.put_many("LOG", {f"other-{key}": record for key, record in items.items()})
        found = ann.D1.query("LOG", where, order_by="a DESC" if descending else "a", limit=limit, offset=offset)
    wanted = [key for key, record in items.items() if matches(record, where)]
    # Equal ones come in the order in which they were put, and turned around with it.
    wanted = sorted(wanted, key=lambda key: rank(items[key].get("a")))
    wanted = wanted[::-1] if descending else wanted
    assert [each["id"] for each in found] == wanted[offset : offset + limit]
