"""SQL with both trees of the client: statements, results, errors, transactions with keys, and listings."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from petra import AsyncClient, AsyncObject, AsyncTransaction, Column, Deferred, Result, Statement
from petra.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NoRow,
    NotAnInteger,
    NotOneRow,
    ResourceExhausted,
    SeveralRows,
    SqlConstraint,
    SqlError,
    SqlNotAllowed,
    VersionConflict,
)

VALUES = [None, 0, -1, 2**63 - 1, -(2**63), 0.5, -1e300, math.inf, "", "snow \u2603 and \x00 within", b"", b"\x00\xff"]
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def room(client: AsyncClient) -> AsyncObject:
    return client.object("room")


class TestExecute:
    async def test_values_come_back_as_they_were(self, room: AsyncObject) -> None:
        marks = ", ".join("?" * len(VALUES))
        row = await room.sql.one(f"SELECT {marks}", VALUES)
        assert list(row) == VALUES
        assert await room.sql.one("SELECT :b AS b, @a, $c", {"a": True, ":b": "two", "$c": None}) == ("two", 1, None)
        assert await room.sql.one("SELECT ?", (math.nan,)) == (None,)

    async def test_what_a_result_tells(self, room: AsyncObject) -> None:
        created = await room.sql.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(9), n)")
        assert (list(created), len(created), created.first(), created.columns) == ([], 0, None, ())
        inserted = await room.sql.execute("INSERT INTO t (name, n) VALUES ('a', 1), ('b', 2), ('c', 3)")
        assert (inserted.changes, inserted.rows_written, inserted.last_insert_rowid) == (3, 3, 3)
        found = await room.sql.execute("SELECT id, name, n * 2 AS twice FROM t WHERE n > ? ORDER BY id", [1])
        assert found.columns == (Column("id", "INTEGER"), Column("name", "VARCHAR(9)"), Column("twice", ""))
        assert list(found) == found.rows == [(2, "b", 4), (3, "c", 6)]
        assert found.mappings() == [{"id": 2, "name": "b", "twice": 4}, {"id": 3, "name": "c", "twice": 6}]
        assert found.first() == (2, "b", 4)
        assert found.rows_read >= 2
        assert found.duration > 0
        assert found.database_bytes is not None
        assert found.database_bytes > 0

    async def test_durability_is_that_of_the_call_or_of_the_client(
        self, open_client: Callable[..., AsyncClient]
    ) -> None:
        room = open_client(durability="buffered").object("room")
        await room.sql.execute("CREATE TABLE t (a)")
        assert (await room.sql.execute("INSERT INTO t VALUES (1)", durability="fsync")).changes == 1
        with pytest.raises(InvalidArgument, match="durability"):
            await room.sql.execute("SELECT 1", durability="disk")  # type: ignore[arg-type]

    async def test_many_at_once(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        inserted = await room.sql.executemany("INSERT INTO t (a) VALUES (?)", ((number,) for number in range(2_500)))
        assert inserted.changes == 2_500
        await room.sql.executemany("UPDATE t SET a = :a WHERE id = :id", [{"id": 1, "a": "x"}, {"a": "y", "id": 2}])
        assert (await room.sql.execute("SELECT a FROM t WHERE id < 4")).rows == [("x",), ("y",), (2,)]
        assert (await room.sql.executemany("INSERT INTO t (a) VALUES (?)", [])).changes == 0
        with pytest.raises(SqlConstraint):
            await room.sql.executemany("INSERT INTO t (id) VALUES (?)", [(9_000,), (1,)])
        assert await room.sql.one("SELECT count(*) FROM t") == (2_500,)

    async def test_more_than_fits_into_a_message_is_refused_as_a_whole(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE t (a)")
        with pytest.raises(ResourceExhausted, match="larger than max") as caught:
            await room.sql.executemany("INSERT INTO t VALUES (?)", [("x" * 1_000_000,)] * 20)
        assert not caught.value.outcome_unknown
        assert await room.sql.one("SELECT count(*) FROM t") == (0,)

    async def test_exactly_one_row(self, room: AsyncObject) -> None:
        await room.sql.script("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)")
        assert (await room.sql.one("SELECT a FROM t WHERE a > ?", (1,)))["a"] == 2
        assert await room.sql.one("INSERT INTO t VALUES (3) RETURNING a") == (3,)
        with pytest.raises(NoRow, match="no row"):
            await room.sql.one("SELECT a FROM t WHERE a > 9")
        with pytest.raises(SeveralRows, match="3 rows") as caught:
            await room.sql.one("SELECT a FROM t")
        assert isinstance(caught.value, NotOneRow)
        assert (await room.sql.execute("SELECT max(a) FROM t")).one() == (3,)

    async def test_scripts_and_batches_are_done_as_a_whole(self, room: AsyncObject) -> None:
        text = "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1), (2); SELECT sum(a) FROM t;"
        result = await room.sql.script(text)
        assert (result.rows, result.changes) == ([(3,)], 2)
        with pytest.raises(SqlConstraint):
            await room.sql.script("INSERT INTO t VALUES (3); INSERT INTO t VALUES (1)")
        results = await room.sql.batch(
            [
                "DELETE FROM t WHERE a = 1",
                ("INSERT INTO t VALUES (:a)", {"a": 5}),
                Statement("INSERT INTO t VALUES (?)", many=[(6,), (7,)]),
                Statement("SELECT a FROM t WHERE a > ?", (4,)),
            ]
        )
        assert [result.changes for result in results[:3]] == [1, 1, 2]
        assert results[3].rows == [(5,), (6,), (7,)]
        with pytest.raises(SqlConstraint):
            await room.sql.batch(["DELETE FROM t", "INSERT INTO t VALUES (1), (1)"])
        assert await room.sql.one("SELECT count(*) FROM t") == (4,)
        assert await room.sql.batch([]) == []

    async def test_objects_and_namespaces_have_databases_of_their_own(self, client: AsyncClient) -> None:
        await client.object("a").sql.script("CREATE TABLE t (x); INSERT INTO t VALUES ('a')")
        await client.namespace("sql-elsewhere").object("a").sql.script("CREATE TABLE IF NOT EXISTS t (x)")
        with pytest.raises(SqlError, match="no such table"):
            await client.object("b").sql.execute("SELECT * FROM t")
        assert await client.object("a").sql.one("SELECT x FROM t") == ("a",)

    async def test_a_clear_of_the_object_removes_its_database(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE t (x)")
        await room.clear()
        with pytest.raises(SqlError, match="no such table"):
            await room.sql.execute("SELECT * FROM t")

    async def test_concurrent_calls_are_all_answered_with_their_own(self, client: AsyncClient) -> None:
        room = client.object("room")
        await room.sql.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        rows = await asyncio.gather(
            *(room.sql.one("INSERT INTO t VALUES (?) RETURNING n", (number,)) for number in range(200))
        )
        assert [row["n"] for row in rows] == list(range(200))


class TestErrors:
    async def test_what_sqlite_does_not_understand(self, room: AsyncObject) -> None:
        with pytest.raises(SqlError, match="syntax error") as caught:
            await room.sql.execute("SELEKT 1")
        assert (caught.value.reason, caught.value.field) == ("SQL_ERROR", "statements[0].sql")
        assert isinstance(caught.value, InvalidArgument)
        with pytest.raises(SqlError) as caught:
            await room.sql.batch(["SELECT 1", "SELECT 2", "SELECT nothing"])
        assert caught.value.field == "statements[2].sql"
        with pytest.raises(SqlError):
            await room.sql.execute("SELECT ?, ?", (1,))

    @pytest.mark.parametrize(
        ("text", "constraint"),
        [
            ("INSERT INTO t VALUES (1, 1, 1)", "PRIMARYKEY"),
            ("INSERT INTO t VALUES (2, 1, 1)", "UNIQUE"),
            ("INSERT INTO t VALUES (2, NULL, 1)", "NOTNULL"),
            ("INSERT INTO t VALUES (2, 2, 9)", "FOREIGNKEY"),
            ("INSERT INTO t VALUES (2, -2, 1)", "CHECK"),
        ],
    )
    async def test_constraints_have_their_kind(self, room: AsyncObject, text: str, constraint: str) -> None:
        await room.sql.script(
            "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);"
            " CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE NOT NULL CHECK (u > 0), p REFERENCES p);"
            " INSERT INTO t VALUES (1, 1, 1)"
        )
        with pytest.raises(SqlConstraint, match="constraint") as caught:
            await room.sql.execute(text)
        assert caught.value.constraint == constraint
        assert caught.value.field == "statements[0].sql"
        assert await room.sql.one("SELECT count(*) FROM t") == (1,)

    @pytest.mark.parametrize("text", ["ATTACH 'x' AS y", "BEGIN", "VACUUM", "PRAGMA writable_schema = 1"])
    async def test_what_is_not_allowed(self, room: AsyncObject, text: str) -> None:
        with pytest.raises(SqlNotAllowed) as caught:
            await room.sql.execute(text)
        assert caught.value.reason == "SQL_NOT_ALLOWED"

    async def test_too_many_rows_name_the_way_out(self, room: AsyncObject) -> None:
        text = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) SELECT x FROM n"
        with pytest.raises(InvalidArgument, match="Query") as caught:
            await room.sql.execute(text)
        assert caught.value.reason == "RESULT_TOO_LARGE"

    async def test_a_statement_without_end_is_interrupted(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE t (a)")
        with pytest.raises(DeadlineExceeded):
            await room.sql.batch(["INSERT INTO t VALUES (1)", ENDLESS], timeout=1)

        async def work(tx: AsyncTransaction) -> None:
            tx.set("key", 1)
            tx.sql.execute(ENDLESS)

        with pytest.raises(DeadlineExceeded):
            await room.transact(work, timeout=1)
        # It is over, and nothing of it was done: the object goes on.
        assert await room.sql.one("SELECT count(*) FROM t") == (0,)
        assert await room.get("key") is None


class TestTransactions:
    async def test_keys_and_rows_change_together(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)")
        await room.set("credit", 100)

        async def buy(
            tx: AsyncTransaction,
        ) -> tuple[Deferred[Result], Deferred[Result], Deferred[list[Result]], Deferred[int]]:
            credit = await tx.get("credit")
            tx.set("credit", credit - 30)
            order = tx.sql.execute("INSERT INTO orders (what) VALUES (?) RETURNING id", ("book",))
            with pytest.raises(RuntimeError, match="recorded"):
                order.result()
            more = tx.sql.executemany("INSERT INTO orders (what) VALUES (:what)", [{"what": "tea"}, {"what": "cup"}])
            counts = tx.sql.batch(["SELECT count(*) FROM orders", Statement("SELECT ?", (7,))])
            return order, more, counts, tx.increment("orders")

        order, more, counts, orders = await room.transact(buy)
        assert order.result().one()["id"] == 1
        assert more.result().changes == 2
        assert [result.one() for result in counts.result()] == [(3,), (7,)]
        assert orders.result() == 1
        assert order.result().database_bytes is None
        assert await room.get_many(["credit", "orders"]) == {"credit": 70, "orders": 1}

    async def test_what_fails_changes_neither(self, room: AsyncObject) -> None:
        await room.sql.script("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)")
        await room.set("text", "tea")

        async def violate(tx: AsyncTransaction) -> None:
            tx.set("key", 1)
            tx.sql.execute("INSERT INTO t VALUES (?)", (1,))

        async def misspell(tx: AsyncTransaction) -> None:
            tx.set("key", 1)
            tx.sql.execute("SELEKT 1")

        async def add_to_text(tx: AsyncTransaction) -> None:
            tx.sql.execute("DELETE FROM t")
            tx.increment("text")

        with pytest.raises(SqlConstraint) as violated:
            await room.transact(violate)
        assert violated.value.field.startswith("operations[")
        with pytest.raises(SqlError) as caught:
            await room.transact(misspell)
        assert caught.value.field == "operations[1].sql.sql"
        with pytest.raises(NotAnInteger):
            await room.transact(add_to_text)
        assert await room.get("key") is None
        assert await room.sql.one("SELECT count(*) FROM t") == (1,)

    async def test_statements_are_done_only_if_the_keys_read_are_unchanged(self, room: AsyncObject) -> None:
        await room.sql.execute("CREATE TABLE t (a)")
        await room.set("guard", 0)
        attempts = 0

        async def work(tx: AsyncTransaction) -> None:
            nonlocal attempts
            attempts += 1
            guard = await tx.get("guard")
            if attempts == 1:
                await room.set("guard", 1)
            tx.sql.execute("INSERT INTO t VALUES (?)", (guard,))

        await room.transact(work)
        assert attempts == 2
        assert (await room.sql.execute("SELECT a FROM t")).rows == [(1,)]

        async def checked(tx: AsyncTransaction) -> None:
            tx.check("guard", 0)
            tx.sql.execute("DELETE FROM t")

        with pytest.raises(VersionConflict):
            await room.transact(checked)
        assert await room.sql.one("SELECT count(*) FROM t") == (1,)

    async def test_a_refused_parameter_is_told_at_once(self, room: AsyncObject) -> None:
        async def work(tx: AsyncTransaction) -> None:
            with pytest.raises(InvalidArgument, match=r"params\[0\]"):
                tx.sql.execute("SELECT ?", (object(),))  # type: ignore[arg-type]

        await room.transact(work)


async def test_databases_page_by_page(client: AsyncClient) -> None:
    names = [f"room-{number:03}" for number in range(230)]
    await asyncio.gather(*(client.object(name).sql.execute("CREATE TABLE b (x)") for name in names))
    await client.object(names[5]).sql.execute("CREATE TABLE a (x)")
    await client.object("room-keys").set("key", 1)
    found = [info async for info in client.databases()]
    assert [info.object for info in found] == names
    assert all(info.size_bytes > 0 for info in found)
    assert found[5].tables == ("a", "b")
    assert all(one.object < other.object for one, other in pairwise(found))
    listed = [info.object async for info in client.databases(prefix="room-0", start_after="room-089", limit=7)]
    assert listed == names[90:97]
    assert len([info async for info in client.databases(limit=150)]) == 150
    assert [info async for info in client.databases(limit=0)] == []


async def test_the_server_tells_of_sql(client: AsyncClient) -> None:
    await client.object("room").sql.execute("CREATE TABLE t (a)")
    info = await client.info()
    assert (info.limits.sql_bytes, info.limits.sql_rows) == (256 << 10, 10_000)
    assert info.limits.sql_value_bytes == 2 << 20
    assert info.limits.sql_result_bytes == 8 << 20
    assert info.open_databases > 0
    assert info.sql_memory_bytes > 0
    assert sum(actor.statements for actor in await client.actors()) > 0
