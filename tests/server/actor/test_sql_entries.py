"""SQL that reads the entries of its object: what it sees, and what its answers wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from petra_server.actor.operations import Execute, ExecuteReply, Query, QueryReply, Set, Transact, TransactReply
from petra_server.errors import Reason, Refusal
from petra_server.sql.statements import Statement, StatementResult
from petra_server.storage.keys import page_prefix
from tests.server.actor.routing import Routed, routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from petra_server.sql.cells import SqlValue

JSON = 2


def run(path: Path, scenario: Callable[[Routed], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with routed(path) as one:
            await scenario(one)

    asyncio.run(inside())


def execute(one: Routed, text: str, *values: SqlValue) -> Execute:
    return Execute(page_prefix(one.room.prefix), (Statement(text, values),))


async def rows(one: Routed, text: str, *values: SqlValue) -> list[tuple[SqlValue, ...]]:
    [outcome] = await one.do(execute(one, text, *values))
    assert isinstance(outcome, ExecuteReply), outcome
    return outcome.results[0].rows


def test_json_is_text_and_bytes_are_a_blob(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await one.do(Set(one.at("page"), b'{"title": "\xe2\x98\x83"}', JSON, 0), one.put("raw", b"\x00\xff"))
        both = "SELECT petra_value(?1), typeof(petra_value(?1)), petra_version(?1) > 0"
        assert await rows(one, both, "page") == [('{"title": "\u2603"}', "text", 1)]
        assert await rows(one, both, "raw") == [(b"\x00\xff", "blob", 1)]
        assert await rows(one, "SELECT petra_value('page') ->> 'title'") == [("\u2603",)]

    run(tmp_path, scenario)


def test_what_is_not_there_is_null_and_of_version_0(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await one.do(one.put("gone", ttl_ms=1_000))
        assert await rows(one, "SELECT petra_value('gone')") == [(b"v",)]
        one.clock.advance(1_000)
        for key in ("gone", "never", 5, None, b"gone"):
            assert await rows(one, "SELECT petra_value(?1), petra_version(?1)", key) == [(None, 0)]

    run(tmp_path, scenario)


def test_only_entries_of_the_same_object_are_seen(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        elsewhere = Set(one.address("room2").prefix + b"key", b"v", 1, 0)
        await one.do(elsewhere)
        await one.do(Set(one.address().prefix + b"key", b"v", 1, 0))
        assert await rows(one, "SELECT petra_value('key'), petra_value('2key')") == [(None, None)]

    run(tmp_path, scenario)


def test_a_transaction_s_statements_see_the_entries_as_they_were_before_it(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await one.do(one.put("k", b"old"))
        steps = (one.put("k", b"new"), Statement("SELECT petra_value('k')"))
        [outcome] = await one.do(Transact((), steps, 1 << 20, page_prefix(one.room.prefix)))
        assert isinstance(outcome, TransactReply)
        result = outcome.results[1]
        assert isinstance(result, StatementResult)
        assert result.rows == [(b"old",)]
        assert await rows(one, "SELECT petra_value('k')") == [(b"new",)]

    run(tmp_path, scenario)


def test_the_functions_have_no_place_in_the_schema(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await rows(one, "CREATE TABLE t (k)")
        for text in (
            "CREATE TABLE u (k, v AS (petra_value(k)))",
            "CREATE INDEX i ON t (petra_version(k))",
            "CREATE VIEW v AS SELECT petra_value(k) FROM t; SELECT * FROM v",
        ):
            [outcome] = await one.do(execute(one, text))
            assert isinstance(outcome, Refusal), text
            assert outcome.reason is Reason.SQL_ERROR

    run(tmp_path, scenario)


def test_answers_wait_until_the_entries_they_show_are_on_disk(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        with one.held_flushes():
            wrote, _ = one.submit(one.put("k"))
            read, _ = one.submit(
                execute(one, "SELECT petra_value('k')"),
                Query(page_prefix(one.room.prefix), Statement("SELECT petra_version('k')")),
            )
            other, _ = one.submit(execute(one, "SELECT 1"))
            # What shows no entry waits for nothing, and comes after the others.
            await other.all(1)
            assert not wrote.answers
            assert not read.answers
        shown, version = await read.all(2)
        assert isinstance(shown, ExecuteReply)
        assert shown.results[0].rows == [(b"v",)]
        assert isinstance(version, QueryReply)

    run(tmp_path, scenario)


def test_a_value_larger_than_a_cell_may_be_is_refused(tmp_path: Path) -> None:
    async def scenario(one: Routed) -> None:
        await one.do(one.put("large", bytes((1 << 20) + 1)))
        [outcome] = await one.do(execute(one, "SELECT petra_value('large')"))
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.SQL_TOO_LARGE
        assert await rows(one, "SELECT petra_version('large') > 0") == [(1,)]

    run(tmp_path, scenario)
