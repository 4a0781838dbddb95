"""SQL beside keys: turns with statements, their batches, their order, and what becomes of them when storing fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from petra_server.actor.call import Call
from petra_server.actor.operations import (
    Clear,
    Condition,
    Execute,
    ExecuteReply,
    Get,
    Query,
    QueryReply,
    Set,
    Transact,
    TransactReply,
)
from petra_server.errors import Reason, Refusal, StorageCorrupt
from petra_server.sql.statements import Statement, StatementResult
from petra_server.storage.engine import EngineStalled
from petra_server.storage.keys import page_key, page_prefix, prefix_end
from tests.server.actor.routing import Desk, Routed, raising, routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from petra_server.sql.cells import SqlValue

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def run(path: Path, scenario: Callable[[Routed], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with routed(path) as one:
            await scenario(one)

    asyncio.run(inside())


def database(one: Routed) -> bytes:
    return page_prefix(one.room.prefix)


def execute(one: Routed, *statements: str | Statement) -> Execute:
    return Execute(database(one), tuple(Statement(each) if isinstance(each, str) else each for each in statements))


async def sql(one: Routed, *statements: str | Statement) -> ExecuteReply | Refusal:
    [outcome] = await one.do(execute(one, *statements))
    assert isinstance(outcome, ExecuteReply | Refusal)
    return outcome


async def rows(one: Routed, text: str) -> list[tuple[SqlValue, ...]]:
    outcome = await sql(one, text)
    assert isinstance(outcome, ExecuteReply), outcome
    return outcome.results[-1].rows


def whole(one: Routed) -> Clear:
    return Clear(one.room.prefix, prefix_end(one.room.prefix), database(one))


def test_what_one_list_writes_the_next_one_reads(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")
        assert await rows(one, "SELECT a FROM t") == [(1,), (2,)]

    run(tmp_path, scenario)


def test_a_database_is_there_after_a_restart(tmp_path: Path) -> None:
    async def write(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)", "INSERT INTO t VALUES ('kept')")

    async def read(one: Routed) -> None:
        assert await rows(one, "SELECT a FROM t") == [("kept",)]
        assert await rows(one, "PRAGMA integrity_check") == [("ok",)]

    run(tmp_path, write)
    run(tmp_path, read)


def test_lists_that_wait_together_share_a_batch_and_each_has_its_own_answer(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a PRIMARY KEY)")
        batches = 0
        write = one.partition.engine.write

        def counted(batch: object) -> None:
            nonlocal batches
            batches += 1
            write(batch)  # type: ignore[arg-type]

        one.replace_write(counted)
        lists = [execute(one, f"INSERT INTO t VALUES ({number % 7})") for number in range(20)]
        outcomes = await one.do(*lists)
        one.replace_write(None)
        done = [isinstance(outcome, ExecuteReply) for outcome in outcomes]
        assert done == [number < 7 for number in range(20)]
        assert all(outcome.reason is Reason.SQL_CONSTRAINT for outcome in outcomes if isinstance(outcome, Refusal))
        # The first one goes alone: the others come when its actor is busy already.
        assert batches <= 3
        assert await rows(one, "SELECT count(*) FROM t") == [(7,)]

    run(tmp_path, scenario)


def test_keys_and_rows_change_together(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a PRIMARY KEY)")
        steps = (Set(one.at("k"), b"v", 1), Statement("INSERT INTO t VALUES (1) RETURNING a + 1"), Get(one.at("k")))
        [reply] = await one.do(Transact((Condition(one.at("k"), 0),), steps, 1 << 20, database(one)))
        assert isinstance(reply, TransactReply)
        assert reply.committed
        assert cast(StatementResult, reply.results[1]).rows == [(2,)]
        # Once more: the condition does not hold, so the row is not added.
        [again] = await one.do(Transact((Condition(one.at("k"), 0),), steps, 1 << 20, database(one)))
        assert isinstance(again, TransactReply)
        assert not again.committed
        # Without it the row is there already, so the key stays as it is.
        others = (Set(one.at("k"), b"other", 1), steps[1])
        [refused] = await one.do(Transact((), others, 1 << 20, database(one)))
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.SQL_CONSTRAINT
        assert await one.value("k") == b"v"
        assert await rows(one, "SELECT a FROM t") == [(1,)]

    run(tmp_path, scenario)


def test_a_batch_that_fails_leaves_the_object_as_it_was(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
        one.replace_write(raising(EngineStalled("Result incomplete: Write stall")))
        steps = (Set(one.at("k"), b"v", 1), Statement("INSERT INTO t VALUES (2)"))
        [refused] = await one.do(Transact((), steps, 1 << 20, database(one)))
        lists = await one.do(execute(one, "INSERT INTO t VALUES (3)"), execute(one, "INSERT INTO t VALUES (4)"))
        one.replace_write(None)
        for outcome in (refused, *lists):
            assert isinstance(outcome, Refusal)
            assert outcome.reason is Reason.OVERLOADED
        assert await one.value("k") is None
        assert await rows(one, "SELECT a FROM t") == [(1,)]
        assert await rows(one, "PRAGMA integrity_check") == [("ok",)]
        await sql(one, "INSERT INTO t VALUES (5)")
        assert await rows(one, "SELECT a FROM t") == [(1,), (5,)]

    run(tmp_path, scenario)


def test_clear_removes_the_database_with_the_object(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        # All in one turn, as far as that goes: what comes after the clear meets an empty database.
        _, cleared, refused, _ = await one.do(
            one.put("k"), whole(one), execute(one, "SELECT * FROM t"), execute(one, "CREATE TABLE t (b)")
        )
        assert not isinstance(cleared, Refusal)
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.SQL_ERROR
        assert await rows(one, "SELECT name FROM pragma_table_info('t')") == [("b",)]

    run(tmp_path, scenario)


def test_a_clear_of_a_part_leaves_the_database(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        await one.do(one.put("k"), Clear(one.at("k"), prefix_end(one.at("k"))))
        assert await rows(one, "SELECT * FROM t") == []

    run(tmp_path, scenario)


def test_answers_wait_for_the_disk(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        with one.held_flushes():
            wrote, _ = one.submit(execute(one, "INSERT INTO t VALUES (1)"))
            read, _ = one.submit(execute(one, "SELECT a FROM t"), Query(database(one), Statement("SELECT a FROM t")))
            failed, _ = one.submit(execute(one, "INSERT INTO t VALUES (1); SELECT * FROM nothing"))
            await one.router.sql.finish()
            await asyncio.sleep(0)
            await one.router.sql.finish()
            assert not wrote.answers
            assert not read.answers
            assert not failed.answers
        [_], [read_row, query_row], [_] = await wrote.all(1), await read.all(2), await failed.all(1)
        assert isinstance(read_row, ExecuteReply)
        assert read_row.results[0].rows == [(1,)]
        assert isinstance(query_row, QueryReply)
        assert query_row.result is not None
        assert query_row.result.rows == [(1,)]

    run(tmp_path, scenario)


def test_a_deadline_ends_statements_that_would_run_for_ever(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        now = asyncio.get_running_loop().time()
        desk, _ = one.submit(execute(one, "CREATE TABLE t (a)", ENDLESS), deadline=now + 0.05)
        behind, _ = one.submit(execute(one, "SELECT count(*) FROM sqlite_schema"))
        [outcome] = await desk.all(1)
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.DEADLINE_PASSED
        [reply] = await behind.all(1)
        assert isinstance(reply, ExecuteReply)
        assert reply.results[0].rows == [(0,)]

    run(tmp_path, scenario)


def test_a_caller_that_goes_ends_its_statements(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        desk, [call] = one.submit(execute(one, ENDLESS))
        call.withdrawn = True
        [outcome] = await desk.all(1)
        assert isinstance(outcome, Refusal)

    run(tmp_path, scenario)


def test_what_is_done_does_not_wait_for_what_runs_on(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        quick, _ = one.submit(execute(one, "SELECT 1"), execute(one, "INSERT INTO t VALUES (1)"))
        slow, [call] = one.submit(execute(one, ENDLESS))
        assert len(await quick.all(2)) == 2
        assert not slow.answers
        call.withdrawn = True
        await slow.all(1)

    run(tmp_path, scenario)


def test_other_actors_go_on_meanwhile(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        slow, [call] = one.submit(execute(one, ENDLESS))
        for number in range(10):
            [outcome] = await one.do(Set(b"\x01other\x00\x01%d" % number, b"v", 1), actor=one.other_actor)
            assert not isinstance(outcome, Refusal)
        assert not slow.answers
        call.withdrawn = True
        await slow.all(1)

    run(tmp_path, scenario)


def test_a_buffered_list_and_who_reads_it_wait_for_nothing(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        with one.held_flushes():
            [wrote] = await one.do(execute(one, "INSERT INTO t VALUES (1)"), sync=False)
            assert isinstance(wrote, ExecuteReply)
            assert await rows(one, "SELECT a FROM t") == [(1,)]
            # An FSYNC list that finds nothing to change shows that as well, so it waits.
            found, _ = one.submit(execute(one, "UPDATE t SET a = 2 WHERE a = 3"))
            await one.router.sql.finish()
            assert not found.answers
        await found.all(1)

    run(tmp_path, scenario)


def test_a_full_disk_refuses_what_writes_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
        one.partition.disk.writable = False
        assert await rows(one, "SELECT a FROM t") == [(1,)]
        refused = await sql(one, "SELECT a FROM t", "INSERT INTO t VALUES (2)")
        one.partition.disk.writable = True
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.DISK_FULL
        assert await rows(one, "SELECT a FROM t") == [(1,)]

    run(tmp_path, scenario)


def test_closing_interrupts_what_runs_and_refuses_what_waits(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        running, _ = one.submit(execute(one, "INSERT INTO t VALUES (1)", ENDLESS))
        waiting, _ = one.submit(execute(one, "SELECT 1"), Get(one.at("k")))
        closing = Refusal(Reason.DRAINING, "The server is shutting down.")
        await one.router.close(closing)
        for outcome in (*await running.all(1), *await waiting.all(2)):
            assert isinstance(outcome, Refusal)
            assert outcome.reason is Reason.DRAINING

    run(tmp_path, scenario)


def test_one_request_id_in_a_crowd_is_one_request(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        desk = Desk()
        calls = [
            Call(
                desk,
                one.actor,
                execute(one, f"INSERT INTO t VALUES ({tag % 3})"),
                True,
                one.room.prefix,
                id_,
                None,
                tag,
            )
            for tag, id_ in enumerate([b"a", b"b", b"c"] * 4)
        ]
        one.router.submit(calls)
        outcomes = await desk.all(12)
        assert [outcome == outcomes[tag % 3] for tag, outcome in enumerate(outcomes)] == [True] * 12
        assert await rows(one, "SELECT a FROM t ORDER BY a") == [(0,), (1,), (2,)]

    run(tmp_path, scenario)


def test_a_damaged_page_is_told_and_others_go_on(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(50000))")
        one.router.sql.databases.drop(database(one))
        get = one.partition.engine.get

        def damaged(family: int, key: bytes) -> bytes | None:
            if key == page_key(database(one), 5):
                raise StorageCorrupt("A stored record is damaged.")
            return get(family, key)

        one.partition.engine.get = damaged  # type: ignore[method-assign]
        refused = await sql(one, "SELECT a FROM t")
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.STORAGE_CORRUPT
        one.partition.engine.get = get  # type: ignore[method-assign]
        assert await rows(one, "SELECT length(a) FROM t") == [(50_000,)]

    run(tmp_path, scenario)


def test_a_transaction_whose_keys_are_refused_in_the_end_leaves_no_rows(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await sql(one, "CREATE TABLE t (a)")
        # The first turn counts on a counter that the same step would set, and cannot store.
        one.replace_write(raising(EngineStalled("Result incomplete: Write stall")))
        steps = (Statement("INSERT INTO t VALUES (1)"), Set(one.at("k"), b"v", 1))
        conditioned = Transact((Condition(one.at("first"), 0),), steps, 1 << 20, database(one))
        first, second = await one.do(one.put("first"), conditioned)
        one.replace_write(None)
        assert isinstance(first, Refusal)
        assert isinstance(second, Refusal | TransactReply)
        assert await rows(one, "SELECT a FROM t") == []
        assert await one.value("k") is None

    run(tmp_path, scenario)
