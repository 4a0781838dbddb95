"""Typical use of both clients: all of their methods, as a program would call them.

It is run as a test, and checked by mypy and pyright at their strictest: `assert_type` says what they are to infer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import pytest

from petra import (
    ActorInfo,
    AsyncClient,
    AsyncNamespace,
    AsyncObject,
    AsyncPipeline,
    AsyncRows,
    AsyncSql,
    AsyncTransaction,
    Client,
    Codec,
    Column,
    DatabaseInfo,
    Deferred,
    Encoding,
    Entry,
    JSONCodec,
    Limits,
    Namespace,
    Object,
    PetraError,
    Pipeline,
    Result,
    Row,
    Rows,
    ServerInfo,
    Sql,
    Statement,
    Throttled,
    Transaction,
    VersionConflict,
)
from petra.errors import (
    ClientClosed,
    DeadlineExceeded,
    EncodeError,
    InvalidArgument,
    NotAnInteger,
    ResourceExhausted,
    SqlConstraint,
    Unavailable,
)


@dataclass
class Order:
    """What a program might keep."""

    number: int
    placed: datetime


class ShoutingCodec:
    """A codec of a user's own: text in capitals."""

    def encode(self, value: Any) -> tuple[bytes, Encoding]:  # noqa: ANN401 - a codec takes whatever there is
        return str(value).upper().encode(), Encoding.BYTES

    def decode(self, data: bytes, encoding: Encoding) -> Any:  # noqa: ANN401 - and gives it back
        return data.decode()


def use_blocking(address: str, namespace: str) -> None:
    """Everything that the client for threads does."""
    with Client(
        address,
        namespace=namespace,
        timeout=timedelta(seconds=30),
        connect_timeout=30.0,
        durability="fsync",
        codec=JSONCodec(),
        tls=False,
    ) as client:
        client.connect(timeout=30)
        use_values(client)
        use_conditions(client)
        use_many(client)
        use_listings(client)
        use_counters(client)
        use_pipeline(client)
        use_names(client)
        use_object(client.object("room"))
        use_sql(client.object("room-sql"))
        use_databases(client)
        assert_type(client.clear(prefix="", durability="buffered", timeout=30), int)
        assert_type(client.name, str)
    use_codec(address, namespace)
    use_closed(client)


def use_values(client: Client) -> None:
    assert_type(client.set("order", Order(7, datetime.now(UTC)), ttl=60), int)
    assert_type(client.get("order"), Any)
    assert_type(client.get("nothing", 0, timeout=timedelta(seconds=30)), Any | int)
    entry = client.get_entry("order")
    assert_type(entry, Entry | None)
    assert entry is not None
    assert entry.value["number"] == 7
    assert_type(entry.version, int)
    assert_type(entry.expires_at, datetime | None)
    assert_type(client.touch("order", timedelta(hours=1)), bool)
    assert_type(client.touch("order", None), bool)
    assert_type(client.delete("order", durability="fsync"), bool)


def use_conditions(client: Client) -> None:
    version = client.set("greeting", "hello", if_absent=True)
    with pytest.raises(VersionConflict) as conflict:
        client.set("greeting", "good day", if_version=version + 1)
    assert_type(conflict.value.version, int)
    assert_type(conflict.value.key, str)
    assert (conflict.value.key, conflict.value.version) == ("greeting", version)
    client.set("greeting", "good evening", if_version=version, ttl=60)
    client.set("greeting", "good night", keep_ttl=True)
    assert_type(client.update("greeting", str.upper, ttl=60, durability="fsync", timeout=30), Any)
    assert client.update("list", lambda items: [*items, 1], default=[]) == [1]
    client.delete("greeting", if_version=entry.version if (entry := client.get_entry("greeting")) else 0)


def use_many(client: Client) -> None:
    assert_type(client.set_many({"a": 1, "b": [2]}, ttl=60, durability="buffered"), dict[str, int])
    values = client.get_many(["a", "b", "c"])
    assert_type(values, dict[str, Any])
    assert values == {"a": 1, "b": [2]}
    assert_type(client.get_entries(key for key in "ab"), dict[str, Entry])
    assert_type(client.delete_many(["a", "b"]), int)


def use_listings(client: Client) -> None:
    client.set_many({f"user:{number}": number for number in range(10)})
    entries = client.list(prefix="user:", start="user:2", end="user:8", reverse=True, limit=4, page_size=2)
    assert_type(entries, Iterator[Entry])
    assert [entry.value for entry in entries] == [7, 6, 5, 4]
    keys = client.list_keys(prefix="user:", start_after="user:7")
    assert_type(keys, Iterator[str])
    assert list(keys) == ["user:8", "user:9"]


def use_counters(client: Client) -> None:
    assert_type(client.increment("visits"), int)
    assert client.increment("visits", -5, initial=100, ttl=60) == -4
    client.set("text", "no number")
    with pytest.raises(NotAnInteger) as error:
        client.increment("text")
    assert_type(error.value.reason, str)
    verdict = client.throttle("login", 5, timedelta(minutes=1), algorithm="sliding_window", cost=2)
    assert_type(verdict, Throttled)
    assert verdict
    assert_type(verdict.retry_after, float)
    assert_type(client.throttle("login:gcra", 5, 60, burst=2, peek=True).remaining, int)


def use_pipeline(client: Client) -> None:
    pipeline = client.pipeline()
    assert_type(pipeline, Pipeline)
    written = pipeline.set("piped", 1)
    assert_type(written, Deferred[int])
    assert_type(pipeline.get("piped"), Deferred[Any])
    assert_type(pipeline.get_entry("piped"), Deferred[Entry | None])
    assert_type(pipeline.get_many(["piped"]), Deferred[dict[str, Any]])
    assert_type(pipeline.get_entries(["piped"]), Deferred[dict[str, Entry]])
    assert_type(pipeline.set_many({"piped": 2}), Deferred[dict[str, int]])
    assert_type(pipeline.increment("piped"), Deferred[int])
    assert_type(pipeline.touch("piped", 60), Deferred[bool])
    assert_type(pipeline.throttle("piped:limit", 1, 60), Deferred[Throttled])
    failing = pipeline.set("piped", 0, if_absent=True)
    assert_type(pipeline.delete("piped"), Deferred[bool])
    assert_type(pipeline.delete_many(["piped:limit"]), Deferred[int])
    assert_type(pipeline.clear(prefix="piped"), Deferred[int])
    assert len(pipeline) == 13
    results = pipeline.execute(timeout=30)
    assert_type(results, list[Any | PetraError])
    assert len(results) == 13
    assert_type(written.result(), int)
    with pytest.raises(VersionConflict) as conflict:
        failing.result()
    assert conflict.value is results[9]


def use_names(client: Client) -> None:
    tenant = client.namespace(f"{client.name}-tenant")
    assert_type(tenant, Namespace)
    room = tenant.object("room")
    assert_type(room, Object)
    room.set("open", True)
    objects = tenant.objects(prefix="r", timeout=30)
    assert_type(objects, Iterator[str])
    assert list(objects) == ["room"]
    names = client.namespaces(prefix=tenant.name)
    assert_type(names, Iterator[str])
    assert list(names) == [tenant.name]
    info = client.info(timeout=30)
    assert_type(info, ServerInfo)
    assert_type(info.limits, Limits)
    assert_type(client.actors(), list[ActorInfo])


def use_object(room: Object) -> None:
    room.set_many({"credit": 100, "items": []}, if_versions={"credit": 0})

    def buy(transaction: Transaction) -> int:
        credit = transaction.get("credit", 0)
        entry = transaction.get_entry("items")
        assert_type(entry, Entry | None)
        assert_type(transaction.get_many(["credit", "items"]), dict[str, Any])
        transaction.check("sold", 0)
        assert_type(transaction.set("items", [*(entry.value if entry else []), "book"]), Deferred[int])
        assert_type(transaction.increment("credit", -20), Deferred[int])
        assert_type(transaction.delete("basket"), Deferred[bool])
        assert_type(transaction.touch("items", 3600), Deferred[bool])
        assert_type(transaction.throttle("purchases", 10, 60), Deferred[Throttled])
        return int(credit)

    assert_type(room.transact(buy, durability="fsync", timeout=30), int)
    assert room.get_many(["credit", "items"]) == {"credit": 80, "items": ["book"]}
    assert_type(room.name, str)


def use_sql(room: Object) -> None:
    sql = room.sql
    assert_type(sql, Sql)
    sql.script("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age REAL)")
    inserted = assert_type(sql.execute("INSERT INTO people (name, age) VALUES (?, ?)", ("Ann", 41.5)), Result)
    assert (inserted.changes, inserted.last_insert_rowid) == (1, 1)
    sql.executemany("INSERT INTO people (name) VALUES (:name)", [{"name": "Bob"}, {"name": "Cy"}])
    row = assert_type(sql.one("SELECT id, name FROM people WHERE name = :name", {"name": "Bob"}), Row)
    number, name = row
    assert (number, name, row["id"], row[1], row.mapping) == (2, "Bob", 2, "Bob", {"id": 2, "name": "Bob"})
    results = sql.batch(["DELETE FROM people WHERE id = 3", ("SELECT ?", [1]), Statement("SELECT :a", {"a": None})])
    assert_type(results, list[Result])
    found = sql.execute("SELECT name, age FROM people", timeout=timedelta(seconds=5), durability="buffered")
    assert_type(found.columns, tuple[Column, ...])
    assert [each["name"] for each in found] == ["Ann", "Bob"]
    assert assert_type(found.first(), Row | None) == ("Ann", 41.5)
    with sql.query("SELECT name FROM people ORDER BY id", timeout=5) as rows:
        assert_type(rows, Rows)
        assert [column.name for column in rows.columns()] == ["name"]
        assert [assert_type(each, Row)[0] for each in rows] == ["Ann", "Bob"]

    def hire(transaction: Transaction) -> Deferred[Result]:
        transaction.increment("people")
        return transaction.sql.execute("INSERT INTO people (name) VALUES (?) RETURNING id", ("Dee",))

    assert room.transact(hire).result().one()["id"] == 3
    with pytest.raises(SqlConstraint) as caught:
        sql.execute("INSERT INTO people (id, name) VALUES (1, 'Eve')")
    assert assert_type(caught.value.constraint, str) == "PRIMARYKEY"


def use_databases(client: Client) -> None:
    databases = assert_type(client.databases(prefix="r"), Iterator[DatabaseInfo])
    assert [(info.object, info.tables) for info in databases] == [("room-sql", ("people",))]


def use_codec(address: str, namespace: str) -> None:
    codec: Codec = ShoutingCodec()
    with Client(address, namespace=namespace, codec=codec) as client:
        client.set("word", "quiet")
        assert client.get("word") == "QUIET"
        client.delete("word")
    with Client(address, namespace=namespace) as client:
        with pytest.raises(EncodeError) as unwritable:
            client.set("word", {"letters": {1, 2}})
        assert_type(unwritable.value.path, str)
        assert unwritable.value.path == "value.letters"
        with pytest.raises(InvalidArgument) as invalid:
            client.set("word", "", ttl=-1)
        assert_type(invalid.value.field, str)
        assert invalid.value.field == "ttl"


def use_closed(client: Client) -> None:
    client.close()
    with pytest.raises(ClientClosed):
        client.get("word")
    try:
        client.set("word", "")
    except ResourceExhausted as error:
        assert_type(error.retry_after, float | None)
        raise
    except (Unavailable, DeadlineExceeded) as error:
        assert_type(error.outcome_unknown, bool)
    else:
        pytest.fail("a closed client has written")


async def use_asyncio(address: str, namespace: str) -> None:
    """Everything that the client for asyncio does."""
    async with AsyncClient(
        address,
        namespace=namespace,
        timeout=timedelta(seconds=30),
        connect_timeout=30.0,
        durability="fsync",
        codec=JSONCodec(),
        tls=False,
    ) as client:
        await client.connect(timeout=30)
        await await_values(client)
        await await_conditions(client)
        await await_many(client)
        await await_listings(client)
        await await_counters(client)
        await await_pipeline(client)
        await await_names(client)
        await await_object(client.object("room"))
        await await_sql(client.object("room-sql"))
        assert_type(client.databases(), AsyncIterator[DatabaseInfo])
        assert_type(await client.clear(prefix="", durability="buffered", timeout=30), int)
    with pytest.raises(ClientClosed):
        await client.get("word")


async def await_values(client: AsyncClient) -> None:
    assert_type(await client.set("order", Order(7, datetime.now(UTC)), ttl=60), int)
    assert_type(await client.get("order"), Any)
    assert_type(await client.get("nothing", 0, timeout=timedelta(seconds=30)), Any | int)
    entry = await client.get_entry("order")
    assert_type(entry, Entry | None)
    assert entry is not None
    assert entry.value["number"] == 7
    assert_type(await client.touch("order", timedelta(hours=1)), bool)
    assert_type(await client.delete("order", durability="fsync"), bool)


async def await_conditions(client: AsyncClient) -> None:
    version = await client.set("greeting", "hello", if_absent=True)
    with pytest.raises(VersionConflict) as conflict:
        await client.set("greeting", "good day", if_version=version + 1)
    assert conflict.value.version == version

    async def translated(value: Any) -> str:  # noqa: ANN401 - whatever is stored
        return {"hello": "salut"}.get(value, "")

    assert_type(await client.update("greeting", str.upper), Any)
    assert await client.update("greeting", str.lower, ttl=60) == "hello"
    assert await client.update("greeting", translated, timeout=30) == "salut"


async def await_many(client: AsyncClient) -> None:
    assert_type(await client.set_many({"a": 1, "b": [2]}, ttl=60, durability="buffered"), dict[str, int])
    values = await client.get_many(["a", "b", "c"])
    assert_type(values, dict[str, Any])
    assert values == {"a": 1, "b": [2]}
    assert_type(await client.get_entries(key for key in "ab"), dict[str, Entry])
    assert_type(await client.delete_many(["a", "b"]), int)


async def await_listings(client: AsyncClient) -> None:
    await client.set_many({f"user:{number}": number for number in range(10)})
    entries = client.list(prefix="user:", start="user:2", end="user:8", reverse=True, limit=4, page_size=2)
    assert_type(entries, AsyncIterator[Entry])
    assert [entry.value async for entry in entries] == [7, 6, 5, 4]
    keys = client.list_keys(prefix="user:", start_after="user:7")
    assert_type(keys, AsyncIterator[str])
    assert [key async for key in keys] == ["user:8", "user:9"]


async def await_counters(client: AsyncClient) -> None:
    assert_type(await client.increment("visits"), int)
    await client.set("text", "no number")
    with pytest.raises(NotAnInteger):
        await client.increment("text")
    assert_type(await client.throttle("login", 5, timedelta(minutes=1), algorithm="fixed_window"), Throttled)


async def await_pipeline(client: AsyncClient) -> None:
    pipeline = client.pipeline()
    assert_type(pipeline, AsyncPipeline)
    written = pipeline.set("piped", 1)
    assert_type(written, Deferred[int])
    pipeline.get("piped")
    results = await pipeline.execute(timeout=30)
    assert_type(results, list[Any | PetraError])
    assert results == [written.result(), 1]


async def await_names(client: AsyncClient) -> None:
    tenant = client.namespace(f"{client.name}-tenant")
    assert_type(tenant, AsyncNamespace)
    room = tenant.object("room")
    assert_type(room, AsyncObject)
    await room.set("open", True)
    assert_type(tenant.objects(prefix="r", timeout=30), AsyncIterator[str])
    assert [name async for name in tenant.objects()] == ["room"]
    assert [name async for name in client.namespaces(prefix=tenant.name)] == [tenant.name]
    assert_type(await client.info(timeout=30), ServerInfo)
    assert_type(await client.actors(), list[ActorInfo])


async def await_sql(room: AsyncObject) -> None:
    sql = assert_type(room.sql, AsyncSql)
    await sql.script("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO people VALUES (1, 'Ann')")
    assert assert_type(await sql.execute("SELECT count(*) FROM people"), Result).rows == [(1,)]
    await sql.executemany("INSERT INTO people (name) VALUES (?)", (("Bob",), ("Cy",)))
    assert assert_type(await sql.one("SELECT max(id) AS id FROM people"), Row)["id"] == 3
    assert_type(await sql.batch([Statement("INSERT INTO people (name) VALUES (?)", many=[("Dee",)])]), list[Result])
    async with assert_type(sql.query("SELECT name FROM people WHERE id < ?", (3,)), AsyncRows) as rows:
        assert_type(await rows.columns(), tuple[Column, ...])
        assert [assert_type(row, Row)["name"] async for row in rows] == ["Ann", "Bob"]

    async def fire(transaction: AsyncTransaction) -> Deferred[list[Result]]:
        transaction.set("fired", "Bob")
        return transaction.sql.batch([("DELETE FROM people WHERE name = ?", ("Bob",))])

    assert (await room.transact(fire)).result()[0].changes == 1


async def await_object(room: AsyncObject) -> None:
    await room.set_many({"credit": 100, "items": []}, if_versions={"credit": 0})

    async def buy(transaction: AsyncTransaction) -> int:
        credit = await transaction.get("credit", 0)
        entry = await transaction.get_entry("items")
        assert_type(entry, Entry | None)
        assert_type(await transaction.get_many(["credit", "items"]), dict[str, Any])
        assert_type(transaction.set("items", [*(entry.value if entry else []), "book"]), Deferred[int])
        assert_type(transaction.increment("credit", -20), Deferred[int])
        return int(credit)

    given: Callable[[AsyncTransaction], Awaitable[int]] = buy
    assert_type(await room.transact(given, durability="fsync", timeout=30), int)
    assert await room.get_many(["credit", "items"]) == {"credit": 80, "items": ["book"]}
