"""Queries whose rows are streamed: lazily, at the pace of the reader, until whoever reads them has enough."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc
import pytest

from petra import AsyncClient, AsyncObject, AsyncRows, Client, Column, Row
from petra._transport.reading import _HELD_BYTES, Reading
from petra._transport.statements import cells_message
from petra._transport.stream import STREAM_WINDOW, Stream
from petra.errors import (
    ClientClosed,
    DeadlineExceeded,
    InternalError,
    InvalidArgument,
    Overloaded,
    SqlError,
    SqlNotAllowed,
    Unavailable,
)
from petra.testing import TestServer
from petra.v1 import sql_pb2, statements_pb2
from petra_server.errors import Reason, Refusal
from petra_server.rpc.status import abort
from tests.client.waiting import PATIENCE_S, until

# More than any part of the server's.
PART_BYTES = 1 << 20
# Rows of 1,000 bytes. Those of small results come in the first message, these do not.
FILLED = "SELECT x, zeroblob(1000) AS filler FROM n"
LARGE = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) {FILLED}"
ENDLESS = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) {FILLED}"
# It fails at its 3,000th row.
FAILING = ENDLESS.replace("filler", "filler, CASE x WHEN 3000 THEN json('{') END")


@pytest.fixture
def room(open_client: Callable[..., AsyncClient]) -> AsyncObject:
    return open_client(timeout=PATIENCE_S).object("room")


@pytest.fixture(scope="module")
def narrow_server() -> Iterator[TestServer]:
    """It streams to one query at a time, and refuses others: so an abandoned one is seen."""
    with TestServer(sql_streams=1) as server:
        yield server


@pytest.fixture
def narrow_room(open_client: Callable[..., AsyncClient], narrow_server: TestServer) -> AsyncObject:
    return open_client(address=narrow_server.address, timeout=PATIENCE_S).object("room")


async def numbers(rows: AsyncRows) -> list[int]:
    return [row["x"] async for row in rows]


class TestRows:
    async def test_they_come_in_order_with_their_names(self, room: AsyncObject) -> None:
        found = [row async for row in room.sql.query(LARGE)]
        assert [row[0] for row in found] == list(range(1, 2_001))
        assert all(row["filler"] == bytes(1_000) for row in found)
        assert isinstance(found[-1], Row)

    async def test_few_of_them_and_none(self, room: AsyncObject) -> None:
        await room.sql.script("CREATE TABLE t (a TEXT, b INT); INSERT INTO t VALUES ('x', 1), ('y', 2)")
        assert [row async for row in room.sql.query("SELECT * FROM t WHERE b > ?", (1,))] == [("y", 2)]
        none = room.sql.query("SELECT a, b + 1 AS c FROM t WHERE a = :a", {"a": "z"})
        assert await none.columns() == (Column("a", "TEXT"), Column("c", ""))
        assert [row async for row in none] == []
        assert [row async for row in none] == []

    async def test_columns_are_known_before_the_first_row(self, room: AsyncObject) -> None:
        async with room.sql.query(LARGE) as rows:
            assert [column.name for column in await rows.columns()] == ["x", "filler"]
            assert (await anext(aiter(rows)))["x"] == 1
            assert [column.name for column in await rows.columns()] == ["x", "filler"]

    async def test_they_are_of_one_moment(self, room: AsyncObject) -> None:
        await room.sql.script(f"CREATE TABLE t (x INTEGER PRIMARY KEY, filler); INSERT INTO t {LARGE}")
        rows = room.sql.query("SELECT x, filler FROM t ORDER BY x")
        assert (await anext(aiter(rows)))["x"] == 1
        await room.sql.execute("DELETE FROM t WHERE x > 10")
        assert await numbers(rows) == list(range(2, 2_001))
        assert await room.sql.one("SELECT count(*) FROM t") == (10,)

    async def test_nothing_is_asked_before_somebody_reads(self, room: AsyncObject) -> None:
        rows = room.sql.query("SELEKT 1")
        with pytest.raises(SqlError, match="syntax") as caught:
            await rows.columns()
        assert caught.value.field == "statement.sql"
        with pytest.raises(InvalidArgument, match=r"params\[0\]"):
            room.sql.query("SELECT ?", (object(),))  # type: ignore[arg-type]

    @pytest.mark.parametrize("text", ["CREATE TABLE t (a)", "PRAGMA user_version = 3", "BEGIN"])
    async def test_they_only_read(self, room: AsyncObject, text: str) -> None:
        with pytest.raises(SqlNotAllowed):
            await numbers(room.sql.query(text))

    async def test_an_error_in_the_middle_is_raised_there(self, room: AsyncObject) -> None:
        seen = 0
        with pytest.raises(SqlError, match="JSON"):  # noqa: PT012 - it is to fail at one of the rows
            async for _ in room.sql.query(FAILING):
                seen += 1
        assert 0 < seen < 3_000


class TestTheEnd:
    """The narrow server takes the next query only when the one before has ended there as well."""

    async def test_after_a_break(self, narrow_room: AsyncObject) -> None:
        async for row in narrow_room.sql.query(ENDLESS):
            assert row["x"] == 1
            break
        assert len(await numbers(narrow_room.sql.query(LARGE))) == 2_000

    async def test_when_it_is_closed(self, narrow_room: AsyncObject) -> None:
        async with narrow_room.sql.query(ENDLESS) as rows:
            assert (await anext(aiter(rows)))["x"] == 1
        assert await numbers(rows) == []
        assert len(await numbers(narrow_room.sql.query(LARGE))) == 2_000
        unread = narrow_room.sql.query(ENDLESS)
        await unread.aclose()
        await unread.aclose()
        assert await numbers(unread) == []

    async def test_when_nobody_holds_it_any_more(self, narrow_room: AsyncObject) -> None:
        rows = [narrow_room.sql.query(ENDLESS)]
        await rows[0].columns()
        rows.append(rows)  # type: ignore[arg-type] # in a cycle, for the garbage collector
        del rows
        gc.collect()
        assert len(await numbers(narrow_room.sql.query(LARGE))) == 2_000

    async def test_when_the_time_is_over(self, narrow_room: AsyncObject) -> None:
        seen = 0
        with pytest.raises(DeadlineExceeded):  # noqa: PT012 - it is to fail at one of the rows
            async for _ in narrow_room.sql.query(ENDLESS, timeout=0.5):
                seen += 1
        assert seen > 0
        forgotten = narrow_room.sql.query(ENDLESS, timeout=1.5)
        await forgotten.columns()
        # Nobody reads on, and nobody drops it.
        assert len(await numbers(narrow_room.sql.query(LARGE))) == 2_000
        with pytest.raises(DeadlineExceeded):
            await numbers(forgotten)

    async def test_an_error_of_sql_too(self, narrow_room: AsyncObject) -> None:
        rows = narrow_room.sql.query(FAILING)
        for _ in range(2):
            with pytest.raises(SqlError):
                await numbers(rows)
        assert len(await numbers(narrow_room.sql.query(LARGE))) == 2_000

    async def test_when_the_client_is_closed(
        self, open_client: Callable[..., AsyncClient], narrow_server: TestServer
    ) -> None:
        client = open_client(address=narrow_server.address)
        rows = client.object("room").sql.query(ENDLESS)
        await rows.columns()
        await client.close()
        with pytest.raises(ClientClosed):
            await numbers(rows)
        with pytest.raises(ClientClosed):
            await numbers(client.object("room").sql.query(LARGE))

    async def test_who_is_cancelled_may_read_on(self, narrow_server: TestServer) -> None:
        async with AsyncClient(narrow_server.address, timeout=PATIENCE_S) as client:
            sql = client.object("room").sql
            holder = sql.query(ENDLESS)
            await holder.columns()
            rows = sql.query(LARGE)
            waiting = asyncio.create_task(rows.columns())
            await until(lambda: rows._reading is not None and rows._reading._attempts > 0)
            waiting.cancel()
            await asyncio.wait((waiting,))
            assert waiting.cancelled()
            await holder.aclose()
            assert len(await numbers(rows)) == 2_000


class TestAnotherAttempt:
    async def test_is_made_while_no_row_was_handed_out(self, narrow_room: AsyncObject) -> None:
        """The server is busy with another query."""
        holder = narrow_room.sql.query(ENDLESS)
        await holder.columns()
        waiting = asyncio.create_task(numbers(narrow_room.sql.query(LARGE)))
        with pytest.raises(Overloaded, match="streamed already"):
            await narrow_room.sql.query(LARGE, timeout=0.1).columns()
        await holder.aclose()
        assert len(await waiting) == 2_000

    async def test_is_made_when_there_is_a_server_again(self) -> None:
        with TestServer() as server:
            async with AsyncClient(server.address, timeout=PATIENCE_S) as client:
                server.stop()
                waiting = asyncio.create_task(numbers(client.object("room").sql.query(LARGE)))
                await until(lambda: client._binding.link._connector.last_error is not None)
                with TestServer(listen=str(client._binding.target)):
                    assert len(await waiting) == 2_000

    async def test_is_not_made_for_rows_that_nobody_answers(self) -> None:
        async with Scripted() as peer, AsyncClient(peer.address, timeout=0.2) as client:
            peer.script = [hold]
            with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
                await numbers(client.object("room").sql.query(LARGE))
            assert peer.calls == 1

    async def test_after_failures_that_may_pass(self) -> None:
        async with Scripted() as peer, AsyncClient(peer.address, timeout=PATIENCE_S) as client:
            peer.script = [unavailable, overloaded, unavailable, rows_to_the_end]
            assert await numbers(client.object("room").sql.query(LARGE)) == [1, 2]
            assert peer.calls == 4

    async def test_is_not_made_after_the_first_row(self) -> None:
        async with Scripted() as peer, AsyncClient(peer.address, timeout=PATIENCE_S) as client:
            peer.script = [rows_and_failure]
            rows = client.object("room").sql.query(LARGE)
            assert [(await anext(rows))["x"] for _ in range(2)] == [1, 2]
            with pytest.raises(Unavailable, match="gone"):
                await anext(rows)
            assert peer.calls == 1

    async def test_is_not_made_for_an_answer_without_an_end(self) -> None:
        async with Scripted() as peer, AsyncClient(peer.address, timeout=PATIENCE_S) as client:
            peer.script = [rows_without_end]
            with pytest.raises(InternalError, match="before the last"):
                await numbers(client.object("room").sql.query(LARGE))
            assert peer.calls == 1


class TestTheReader:
    async def test_a_slow_one_holds_the_server_and_nobody_else(self, room: AsyncObject) -> None:
        """The window of its stream is used up; what waits on this side is that and no more."""
        rows = room.sql.query(ENDLESS.replace("1000", "50000"))
        assert (await anext(aiter(rows)))["x"] == 1
        stream = stream_of(rows)
        await until(lambda: stream.receive_window == 0)
        reading = reading_of(rows)
        assert reading._held_bytes <= STREAM_WINDOW
        # Others have a connection and an object to themselves meanwhile.
        await asyncio.gather(*(room.increment("n") for _ in range(100)))
        assert await room.sql.one("SELECT 1") == (1,)
        assert len(await numbers(room.sql.query(LARGE))) == 2_000
        assert stream.receive_window == 0
        # What is taken lets the server go on: more comes than was on its way.
        more = 3 * STREAM_WINDOW // 50_000
        seen = 1
        most = 0
        async for row in rows:
            seen += 1
            assert row["x"] == seen
            most = max(most, reading._held_bytes)
            if seen == more:
                break
        assert most <= STREAM_WINDOW + _HELD_BYTES + PART_BYTES
        await rows.aclose()
        await until(lambda: stream.ended)
        assert reading._held_bytes == 0

    async def test_there_is_one_at_a_time(self, server: TestServer) -> None:
        async with Scripted() as peer, AsyncClient(peer.address, timeout=PATIENCE_S) as client:
            peer.script = [hold]
            rows = client.object("room").sql.query(LARGE)
            first = asyncio.create_task(rows.columns())
            await until(lambda: peer.calls == 1)
            with pytest.raises(RuntimeError, match="Another task"):
                await anext(rows)
            await rows.aclose()
            assert await first == ()

    def test_it_keeps_to_its_event_loop(self, server: TestServer) -> None:
        client = AsyncClient(server.address)

        async def begin() -> AsyncRows:
            rows = client.object("room").sql.query(LARGE)
            await rows.columns()
            await rows.aclose()
            return client.object("room").sql.query(LARGE)

        async def go_on(rows: AsyncRows) -> int:
            return len(await numbers(rows))

        with asyncio.Runner() as one, asyncio.Runner() as other:
            rows = one.run(begin())
            # It has not begun yet, and a client may be used on the next loop when its own is closed.
            one.close()
            assert other.run(go_on(rows)) == 2_000
            begun = client.object("room").sql.query(LARGE)
            other.run(begun.columns())
            with asyncio.Runner() as third, pytest.raises(RuntimeError, match="another event loop"):
                third.run(go_on(begun))
            other.run(client.close())

    def test_threads_read_at_once(self, server: TestServer) -> None:
        with Client(server.address, timeout=PATIENCE_S) as client, ThreadPoolExecutor(8) as pool:
            sql = client.object("room").sql
            sums = pool.map(lambda _: sum(row["x"] for row in sql.query(LARGE)), range(16))
            assert set(sums) == {2_000 * 2_001 // 2}


def reading_of(rows: AsyncRows) -> Reading:
    """Of either tree."""
    reading: Reading | None = getattr(rows, "_rows", rows)._reading
    assert reading is not None
    return reading


def stream_of(rows: AsyncRows) -> Stream:
    stream = reading_of(rows)._stream
    assert stream is not None
    return stream


# A server that does as a test says.

Step = Callable[[grpc.aio.ServicerContext[bytes, bytes]], Awaitable[None]]


class Scripted:
    """A gRPC server whose queries are answered by the steps of a script, one each."""

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.calls = 0
        self.address = ""
        self._server = grpc.aio.server()

    async def __aenter__(self) -> Self:
        query: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(self._query)
        # Every connection has one.
        pipeline: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(hold_pipeline)
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("petra.v1.SqlService", {"Query": query}),
                grpc.method_handlers_generic_handler("petra.v1.StorageService", {"Pipeline": pipeline}),
            )
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.stop(None)

    async def _query(self, data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        step = self.script[self.calls]
        self.calls += 1
        await step(context)


async def hold_pipeline(requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await hold(context)


async def hold(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await asyncio.Event().wait()


async def unavailable(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def overloaded(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await abort(context, Refusal(Reason.OVERLOADED, "Too much to do.", retry_after_ms=10))


async def rows_without_end(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    columns = [statements_pb2.Column(name="x")]
    for number in (1, 2):
        part = sql_pb2.QueryResponse(columns=columns, cells=cells_message([number], str))
        await context.write(part.SerializeToString())
        columns = []


async def rows_and_failure(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await rows_without_end(context)
    await unavailable(context)


async def rows_to_the_end(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await rows_without_end(context)
    await context.write(sql_pb2.QueryResponse(last=True).SerializeToString())
