"""SQL that means harm: it is refused or bounded, nobody else notices, and the data is unharmed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from petra.v1 import admin_pb2, sql_pb2
from petra.v1 import storage_pb2 as pb
from tests.support.refusals import Refusal, refusal_of
from tests.support.server import ServerProcess
from tests.support.sql import PATIENCE_S, SqlConnection, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
# What ends a statement that takes ever more: one bound or the other, as fast as the machine is.
BOUNDED = {"SQL_TOO_LARGE", "DEADLINE_PASSED"}
MIB = 1 << 20
# What SQLite may allocate in all, and what the process may grow by meanwhile.
_SQL_MEMORY = 128 * MIB
_GROWTH = 400 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = ("--sql-memory-bytes", f"{_SQL_MEMORY}", "--sql-cache-bytes", "32MiB", "--max-sql-scratch-bytes", "32MiB")
    with ServerProcess(tmp_path_factory.mktemp("server") / "data", *limits, "--max-sql-seconds", "5") as server:
        yield server


@pytest.fixture
def room(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[SqlConnection]:
    """An object with data that must be there afterwards, as it was."""
    with SqlConnection(server.address, request.node.name) as connection:
        connection.done("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "INSERT INTO t (a) VALUES ('x'), ('y'), ('z')")
        before = _resident_bytes(server)
        yield connection
        assert connection.rows("SELECT a FROM t") == [("x",), ("y",), ("z",)]
        assert connection.rows("PRAGMA integrity_check") == [("ok",)]
        assert _resident_bytes(server) - before < _GROWTH
        info = connection.admin.GetInfo(admin_pb2.GetInfoRequest(), timeout=PATIENCE_S)
        assert info.sql_memory_bytes < _SQL_MEMORY


def _resident_bytes(server: ServerProcess) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) * 1024


def test_an_endless_statement_ends_at_its_deadline(room: SqlConnection) -> None:
    refused = room.refused(f"{ENDLESS} SELECT count(*) FROM n", timeout_s=0.2)
    assert refused.code == grpc.StatusCode.DEADLINE_EXCEEDED
    # The object is free again at once: that the client has gone ends its statements too.
    assert room.rows("SELECT count(*) FROM t") == [(3,)]


def test_an_endless_statement_in_a_pipeline_ends_at_its_timeout(room: SqlConnection) -> None:
    request = sql_pb2.ExecuteRequest(
        object=room.object_name, statements=[statement("DELETE FROM t"), statement(f"{ENDLESS} SELECT max(x) FROM n")]
    )
    message = pb.PipelineRequest(
        ids=[1], methods=[pb.METHOD_EXECUTE], values=[request.SerializeToString()], timeouts_ms=[200]
    )
    [answer] = room.storage.Pipeline(iter([message]), timeout=PATIENCE_S)
    assert answer.errors[0].reason == "DEADLINE_PASSED"


def test_others_go_on_beside_endless_statements(room: SqlConnection) -> None:
    stop = threading.Event()
    ends = []

    def run_for_ever() -> None:
        other = room.at(f"{room.object_name}-busy")
        while not stop.is_set():
            ends.append(other.execute(f"{ENDLESS} SELECT count(*) FROM n", timeout_s=1.0))

    thread = threading.Thread(target=run_for_ever)
    thread.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while len(ends) < 2:
            assert time.monotonic() < deadline
            room.storage.Set(pb.SetRequest(object=room.object_name, key="k", value=b"v"), timeout=PATIENCE_S)
            assert room.rows("SELECT count(*) FROM t") == [(3,)]
    finally:
        stop.set()
        thread.join()
    assert all(isinstance(end, Refusal) and end.code == grpc.StatusCode.DEADLINE_EXCEEDED for end in ends)


def test_a_cartesian_join_is_refused_and_can_be_streamed_in_part(room: SqlConnection) -> None:
    room.done("CREATE TABLE n (x)", f"INSERT INTO n {ENDLESS} SELECT x FROM n LIMIT 1000")
    join = "SELECT a.x, b.x, c.x, hex(zeroblob(500)) FROM n a, n b, n c"
    assert room.refused(join).reason == "RESULT_TOO_LARGE"
    assert room.refused(f"{join} ORDER BY 4, 1").reason in BOUNDED
    request = sql_pb2.QueryRequest(object=room.object_name, statement=statement(join))
    stream = room.sql.Query(request, timeout=PATIENCE_S)
    cells = 0
    for part in stream:
        cells += len(part.cells.kinds)
        if cells > 100_000:
            break
    stream.cancel()
    # Streams that nobody reads on are ended: as many again as there may be at the same time.
    for _ in range(20):
        again = room.sql.Query(request, timeout=PATIENCE_S)
        assert next(again).cells.kinds
        again.cancel()
        deadline = time.monotonic() + PATIENCE_S
        while _streams_are_full(room, request):
            assert time.monotonic() < deadline


def _streams_are_full(room: SqlConnection, request: sql_pb2.QueryRequest) -> bool:
    stream = room.sql.Query(request, timeout=PATIENCE_S)
    try:
        next(stream)
    except grpc.RpcError as error:
        return refusal_of(error).reason == "OVERLOADED"
    finally:
        stream.cancel()
    return False


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("SELECT zeroblob(1000000000)", {"SQL_TOO_LARGE"}),
        ("SELECT randomblob(1e9)", {"SQL_TOO_LARGE"}),
        ("SELECT printf('%.*c', 1000000000, 'x')", {"SQL_TOO_LARGE", "RESULT_TOO_LARGE"}),
        ("SELECT 1 /*" + "x" * MIB + "*/", {"SQL_TOO_LARGE"}),
        ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, {"SQL_ERROR"}),
        ("SELECT " + " UNION ALL SELECT ".join(["1"] * 5_000), {"SQL_ERROR"}),
        ("SELECT 'a' LIKE '" + "%a" * 10_000 + "'", {"SQL_ERROR"}),
        (f"INSERT INTO t (a) {ENDLESS} SELECT randomblob(1000) FROM n", BOUNDED),
        (f"{ENDLESS} SELECT count(*) FROM (SELECT DISTINCT randomblob(100) FROM n LIMIT 2000000)", BOUNDED),
        (f"{ENDLESS} SELECT group_concat(x, printf('%1000d', x)) FROM (SELECT x FROM n LIMIT 9000)", {"SQL_TOO_LARGE"}),
        (f"{ENDLESS.replace(' ALL', '')} SELECT max(x) FROM n", BOUNDED),
        ("SELECT trim(printf('%.*c', 1000000, 'b'), printf('%.*c', 1000000, 'a'))", {"SQL_TOO_LARGE"}),
        ("SELECT unhex(printf('%.*c', 1000000, ' '), printf('%.*c', 1000000, 'x'))", {"SQL_TOO_LARGE"}),
        ("PRAGMA writable_schema = ON", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA journal_mode = OFF", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA hard_heap_limit = 1", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA cache_size = 1000000000", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA mmap_size = 1000000000", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA temp_store_directory = '/'", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA max_page_count = 4294967294", {"SQL_NOT_ALLOWED"}),
        ("PRAGMA foreign_keys = OFF", {"SQL_NOT_ALLOWED"}),
        ("SELECT * FROM pragma_journal_mode", {"SQL_NOT_ALLOWED", "SQL_ERROR"}),
        ("VACUUM", {"SQL_NOT_ALLOWED"}),
        ("VACUUM INTO 'stolen.db'", {"SQL_NOT_ALLOWED"}),
        ("ATTACH '/etc/passwd' AS x", {"SQL_NOT_ALLOWED"}),
        ("DETACH main", {"SQL_NOT_ALLOWED"}),
        ("SELECT load_extension('x')", {"SQL_NOT_ALLOWED"}),
        ("SELECT fts3_tokenizer('simple')", {"SQL_NOT_ALLOWED", "SQL_ERROR"}),
        ("SELECT readfile('/etc/passwd')", {"SQL_ERROR"}),
        ("SELECT writefile('x', 'y')", {"SQL_ERROR"}),
        ("BEGIN", {"SQL_NOT_ALLOWED"}),
        ("COMMIT", {"SQL_NOT_ALLOWED"}),
        ("INSERT INTO t (a) VALUES (1); ROLLBACK", {"SQL_NOT_ALLOWED"}),
        ("SAVEPOINT s", {"SQL_NOT_ALLOWED"}),
        ("RELEASE s", {"SQL_NOT_ALLOWED"}),
        ("CREATE TEMP TABLE x (a)", {"SQL_NOT_ALLOWED"}),
        ("CREATE TEMP VIEW x AS SELECT 1", {"SQL_NOT_ALLOWED"}),
        ("CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')", {"SQL_NOT_ALLOWED"}),
        ("UPDATE sqlite_schema SET sql = 'broken'", {"SQL_ERROR"}),
        ("DELETE FROM sqlite_schema", {"SQL_ERROR"}),
        ("CREATE TABLE sqlite_x (a)", {"SQL_ERROR"}),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_it_is_refused(server: ServerProcess, text: str, reasons: set[str]) -> None:
    with SqlConnection(server.address, "refused") as room:
        room.done("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a)")
        assert room.refused(text).reason in reasons
        assert room.rows("SELECT count(*) FROM t") == [(0,)]
        assert room.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_hundred_thousand_tables_are_refused(room: SqlConnection) -> None:
    made = 0
    while made < 100_000:
        texts = [f"CREATE TABLE many_{made + number} (a)" for number in range(200)]
        outcome = room.execute(";".join(texts))
        if isinstance(outcome, Refusal):
            assert outcome.reason == "SQL_TOO_LARGE"
            break
        made += len(texts)
    assert 1_000 <= made <= 10_000
    for number in range(made):
        if number % 500 == 0:
            texts = [f"DROP TABLE many_{each}" for each in range(number, min(number + 500, made))]
            room.done(*texts)


def test_shadow_tables_cannot_be_written(room: SqlConnection) -> None:
    room.done("CREATE VIRTUAL TABLE words USING fts5(a)", "INSERT INTO words VALUES ('one two')")
    assert room.refused("DELETE FROM words_data").reason == "SQL_ERROR"
    assert room.refused("UPDATE words_content SET c0 = 'x'").reason == "SQL_ERROR"


def test_too_many_parameters_and_statements_are_refused(room: SqlConnection) -> None:
    assert room.refused(*["SELECT 1"] * 2_000).reason == "BATCH_TOO_LARGE"
    assert room.refused(statement("SELECT 1", times=100_000)).reason == "BATCH_TOO_LARGE"
    marks = ", ".join(["?"] * 40_000)
    assert room.refused(statement(f"SELECT {marks}", [1] * 40_000)).reason == "SQL_ERROR"
