"""One database over its pages: transactions, what it hands over, what it refuses, and what a failure leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
from typing import TYPE_CHECKING

import pytest

from petra_server.errors import Reason, Refusal, StorageCorrupt
from petra_server.sql.cells import NO_CELLS, Cells
from petra_server.sql.database import Database, Stop
from petra_server.sql.databases import Databases
from petra_server.sql.failures import Interrupted, no_writes
from petra_server.sql.pages import PAGE_BYTES, database_bytes
from petra_server.sql.statements import Statement
from tests.server.sql.boxes import LIMITS, NOW_MS, Box, no_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"


@pytest.fixture
def box() -> Iterator[Box]:
    box = Box()
    yield box
    box.close()


def statements(*texts: str) -> tuple[Statement, ...]:
    return tuple(Statement(text) for text in texts)


def test_reading_hands_over_nothing(box: Box) -> None:
    outcome = box.try_run(Statement("SELECT 1"))
    assert not outcome.pages
    assert outcome.read_only
    assert outcome.database_bytes == 0
    box.try_run(Statement("CREATE TABLE t (a)"))
    assert box.try_run(Statement("SELECT * FROM t")).read_only


def test_the_size_is_that_of_the_pages(box: Box) -> None:
    outcome = box.try_run(*statements("CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(100000))"))
    assert outcome.database_bytes == PAGE_BYTES * max(box.pages) == database_bytes(box.pages[1])
    assert all(len(page) == PAGE_BYTES for page in box.pages.values())


def test_only_changed_pages_are_handed_over(box: Box) -> None:
    box.try_run(*statements("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
    box.try_run(Statement("INSERT INTO t VALUES (?, zeroblob(3000))", tuple(range(500)), (), 500))
    outcome = box.try_run(Statement("UPDATE t SET b = x'00' WHERE a = 250"))
    assert 0 < len(outcome.pages) <= 4


def test_what_was_not_stored_is_gone_after_opening_again(box: Box) -> None:
    box.try_run(*statements("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"))
    box.try_run(Statement("INSERT INTO t VALUES (2)"), store=False)
    # Until then SQLite believes in it, and later lists see it.
    assert box.database.unstored
    assert box.database.run(statements("SELECT a FROM t"), Stop(), now_ms=NOW_MS).results[0].rows == [(1,), (2,)]
    box.reopen()
    assert box.rows("SELECT a FROM t") == [(1,)]


def test_lists_that_are_stored_together_build_on_one_another(box: Box) -> None:
    first = box.try_run(*statements("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"), store=False)
    second = box.try_run(Statement("INSERT INTO t VALUES (2)"), store=False)
    box.store(first)
    box.store(second)
    box.reopen()
    assert box.rows("SELECT a FROM t") == [(1,), (2,)]


def test_a_failed_list_leaves_no_pages_and_a_database_that_goes_on(box: Box) -> None:
    box.try_run(Statement("CREATE TABLE t (a UNIQUE)"))
    before = dict(box.pages)
    for texts in (("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"), ("DROP TABLE t", "SELECT nothing")):
        with pytest.raises(Refusal):
            box.database.run(statements(*texts), Stop(), now_ms=NOW_MS)
        assert not box.database.broken
        assert not box.database.unstored
    assert box.rows("SELECT a FROM t") == []
    assert box.pages == before


@pytest.mark.parametrize(
    "text",
    [
        f"INSERT INTO t {ENDLESS} SELECT zeroblob(3000) FROM n",
        "UPDATE t SET a = zeroblob(3000)",
        f"SELECT count(*) FROM (SELECT DISTINCT randomblob(1000) FROM ({ENDLESS} SELECT x FROM n LIMIT 100000))",
    ],
    ids=["inserts", "updates", "scratch"],
)
def test_too_much_at_once_changes_nothing(text: str) -> None:
    small = dataclasses.replace(LIMITS, max_write_bytes=1 << 20, max_scratch_bytes=1 << 20)
    box = Box(small, cache_bytes=256 << 10)
    try:
        box.try_run(Statement("CREATE TABLE t (a)"))
        for _ in range(5):
            box.try_run(Statement(f"INSERT INTO t {ENDLESS} SELECT x FROM n LIMIT 1000"))
        before = dict(box.pages)
        with pytest.raises(Refusal) as refused:
            box.try_run(Statement("DELETE FROM t WHERE a = 1"), Statement(text))
        assert refused.value.reason is Reason.SQL_TOO_LARGE
        assert box.pages == before
        assert box.rows("SELECT count(*) FROM t") == [(5_000,)]
        assert box.rows("PRAGMA integrity_check") == [("ok",)]
    finally:
        box.close()


def test_only_rows_of_the_answer_count_for_its_size() -> None:
    box = Box(dataclasses.replace(LIMITS, max_rows=10, max_result_bytes=10_000))
    try:
        box.try_run(Statement("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
        insert = "INSERT INTO t (b) VALUES (zeroblob(?)) RETURNING a, b"
        assert box.try_run(Statement(insert, (5_000,) * 30, (), 30)).results[0].rows == [(30, bytes(5_000))]
        with pytest.raises(Refusal) as refused:
            box.try_run(Statement(f"{ENDLESS} SELECT x FROM n LIMIT 11"))
        assert refused.value.reason is Reason.RESULT_TOO_LARGE
    finally:
        box.close()


def test_a_database_has_a_largest_size() -> None:
    box = Box(dataclasses.replace(LIMITS, max_database_bytes=64 << 10))
    try:
        box.try_run(Statement("CREATE TABLE t (a)"))
        with pytest.raises(Refusal) as refused:
            box.try_run(Statement("INSERT INTO t VALUES (zeroblob(100000))"))
        assert refused.value.reason is Reason.SQL_TOO_LARGE
        assert box.rows("SELECT count(*) FROM t") == [(0,)]
    finally:
        box.close()


def test_a_statement_that_runs_can_be_interrupted(box: Box) -> None:
    box.try_run(Statement("CREATE TABLE t (a)"))
    stop = Stop()
    ended = threading.Event()

    def interrupt_until_it_ends() -> None:
        stop.requested = True
        while not ended.wait(0.001):
            box.database.interrupt()

    thread = threading.Thread(target=interrupt_until_it_ends)
    thread.start()
    with pytest.raises(Interrupted):
        box.database.run(
            statements("INSERT INTO t VALUES (1)", f"{ENDLESS} SELECT count(*) FROM n"), stop, now_ms=NOW_MS
        )
    ended.set()
    thread.join()
    assert box.rows("SELECT a FROM t") == []


def test_a_page_that_cannot_be_read_is_told_and_the_database_given_up() -> None:
    pages: dict[int, bytes] = {}
    damaged: set[int] = set()

    def read(number: int) -> bytes | None:
        if number in damaged:
            raise StorageCorrupt("A stored record is damaged.")
        return pages.get(number)

    database = Database(read, no_entries, LIMITS, cache_bytes=256 << 10)
    outcome = database.run(
        statements("CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(90000))"), Stop(), now_ms=NOW_MS
    )
    pages.update(outcome.pages)
    database.close()
    damaged.add(max(pages) - 1)
    database = Database(read, no_entries, LIMITS, cache_bytes=256 << 10)
    with pytest.raises(StorageCorrupt):
        database.run(statements("SELECT a FROM t"), Stop(), now_ms=NOW_MS)
    assert database.broken
    database.close()


def test_random_transactions_over_a_tiny_cache_leave_a_whole_database() -> None:
    choices = random.Random(7)
    box = Box(cache_bytes=16 << 10)
    rows: dict[int, int] = {}
    try:
        box.try_run(*statements("CREATE TABLE t (a INTEGER PRIMARY KEY, n INT, b BLOB)", "CREATE INDEX i ON t (n)"))
        for _ in range(150):
            key, size = choices.randrange(200), choices.choice((1, 100, 9_000))
            fails = choices.random() < 0.2
            texts = [
                Statement(
                    "INSERT INTO t VALUES (?1, ?2, zeroblob(?2)) ON CONFLICT DO UPDATE SET n = ?2, b = zeroblob(?2)",
                    (key, size),
                ),
                Statement("DELETE FROM t WHERE a BETWEEN ? AND ?", (key + 1, key + 3)),
                *([Statement("SELECT nothing")] if fails else []),
            ]
            if fails:
                with pytest.raises(Refusal):
                    box.try_run(*texts)
            else:
                box.try_run(*texts)
                rows = {a: n for a, n in rows.items() if not key < a <= key + 3} | {key: size}
            if choices.random() < 0.1:
                box.reopen()
        assert box.rows("SELECT a, n FROM t ORDER BY a") == sorted(rows.items())
        assert box.rows("PRAGMA integrity_check") == [("ok",)]
    finally:
        box.close()


def test_columns_of_values_must_fit_together() -> None:
    assert Cells([1, 0, 3], [5], [], ["x"], []).values() == [5, None, "x"]
    assert NO_CELLS.values() == []
    for broken in (Cells([1], [], [], [], []), Cells([], [1], [], [], []), Cells([9], [], [], [], [])):
        with pytest.raises(ValueError, match="kinds"):
            broken.values()


def test_the_open_databases_are_bounded_and_those_in_use_stay() -> None:
    stores: dict[bytes, dict[int, bytes]] = {b"%d" % number: {} for number in range(10)}
    databases = Databases(LIMITS, max_open=3, cache_bytes=8 << 20, memory_bytes=1 << 30)
    held = databases.take(b"0", stores[b"0"].get, no_entries)
    for number in range(1, 10):
        name = b"%d" % number
        database = databases.take(name, stores[name].get, no_entries)
        stores[name].update(database.run(statements("CREATE TABLE t (a)"), Stop(), now_ms=NOW_MS).pages)
        databases.give_back(name, stored=True)
        assert databases.figures()[0] <= 3
    assert databases.take(b"0", stores[b"0"].get, no_entries) is held
    last = databases.take(b"9", stores[b"9"].get, no_entries)
    assert last.run(statements("SELECT * FROM t"), Stop(), now_ms=NOW_MS).results[0].rows == []
    databases.give_back(b"9", stored=False)
    assert databases.take(b"9", stores[b"9"].get, no_entries) is last
    # With pages that were not stored it is of no more use.
    last.run(statements("CREATE TABLE u (a)"), Stop(), now_ms=NOW_MS)
    databases.give_back(b"9", stored=False)
    again = databases.take(b"9", stores[b"9"].get, no_entries)
    assert again is not last
    assert again.run(statements("SELECT name FROM sqlite_schema"), Stop(), now_ms=NOW_MS).results[0].rows == [("t",)]
    databases.close()


def test_memory_bounds_the_open_databases() -> None:
    stores: dict[bytes, dict[int, bytes]] = {b"%d" % number: {} for number in range(20)}
    databases = Databases(LIMITS, max_open=100, cache_bytes=1 << 20, memory_bytes=1 << 30)
    for name, pages in stores.items():
        database = databases.take(name, pages.get, no_entries)
        pages.update(
            database.run(
                statements("CREATE TABLE t (a)", f"INSERT INTO t {ENDLESS} SELECT zeroblob(4000) FROM n LIMIT 50"),
                Stop(),
                now_ms=NOW_MS,
            ).pages
        )
        databases.give_back(name, stored=True)
    count, idle_bytes = databases.figures()
    assert 1 <= count < 10
    assert idle_bytes <= 1 << 20
    databases.close()


@pytest.mark.parametrize("first", ["PRAGMA optimize=0x10002", "REINDEX", "ANALYZE", "PRAGMA user_version = 1"])
def test_a_failed_list_takes_back_what_sqlite_wrote_before_the_first_change(box: Box, first: str) -> None:
    box.try_run(*statements("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", "CREATE INDEX i ON t (b)"))
    rows = f"INSERT INTO t (b) {ENDLESS} SELECT hex(x * 7919 % 3001) FROM n LIMIT 3000"
    box.try_run(*statements(rows, "DELETE FROM t WHERE a % 3 = 0"))
    with pytest.raises(Refusal):
        box.try_run(*statements(first, "INSERT INTO t (b) VALUES ('x')", "SELECT nothing"))
    assert box.rows("SELECT count(*) FROM sqlite_schema") == [(2,)]
    box.try_run(*statements(rows))
    box.reopen()
    assert box.rows("PRAGMA integrity_check") == [("ok",)]
    assert box.rows("SELECT count(*) FROM t") == [(5_000,)]


FAMILIES = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES parents)",
)
CHILD_FIRST = ("INSERT INTO children (parent) VALUES (1)", "INSERT OR IGNORE INTO parents VALUES (1)")
DEFER = "PRAGMA defer_foreign_keys = ON"


def test_foreign_keys_are_deferred_to_the_end_of_the_list(box: Box) -> None:
    box.try_run(*statements(*FAMILIES))
    # Each text is prepared the first time, and found among the prepared ones the second.
    for _ in range(2):
        box.try_run(*statements(DEFER, "SELECT count(*) FROM parents", *CHILD_FIRST))
        box.try_run(*statements("DELETE FROM children", "DELETE FROM parents"))
    with pytest.raises(Refusal) as refused:
        box.try_run(*statements(DEFER, CHILD_FIRST[0]))
    assert refused.value.reason is Reason.SQL_CONSTRAINT


@pytest.mark.parametrize("then", [(), ("SELECT 1",), ("SELECT nothing",), (CHILD_FIRST[0],)])
def test_deferring_foreign_keys_ends_with_its_list(box: Box, then: tuple[str, ...]) -> None:
    box.try_run(*statements(*FAMILIES))
    for _ in range(2):
        with contextlib.suppress(Refusal):
            box.try_run(*statements(DEFER, *then))
        with pytest.raises(Refusal) as refused:
            box.try_run(*statements(*CHILD_FIRST))
        assert refused.value.reason is Reason.SQL_CONSTRAINT


def test_deferring_foreign_keys_where_nothing_may_be_written_ends_as_well(box: Box) -> None:
    box.try_run(*statements(*FAMILIES))
    for _ in range(2):
        box.database.run(statements(DEFER), Stop(), now_ms=NOW_MS, read_only=no_writes())
        with pytest.raises(Refusal):
            box.try_run(*statements(*CHILD_FIRST))


def test_parameters_of_one_name_are_refused(box: Box) -> None:
    with pytest.raises(Refusal) as refused:
        box.try_run(Statement("SELECT :a, @a", (1, 2), (":a", "@a")))
    assert refused.value.reason is Reason.SQL_ERROR


def test_a_name_without_a_value_is_refused_and_named(box: Box) -> None:
    with pytest.raises(Refusal) as refused:
        box.try_run(Statement("SELECT :given, :missing", (1,), ("given",)))
    assert refused.value.reason is Reason.SQL_ERROR
    assert "missing" in refused.value.message
    assert not box.database.broken
