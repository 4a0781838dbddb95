"""SQL over the wire: values, parameters, results, queries, transactions with keys, listings, and refusals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from petra.v1 import admin_pb2, sql_pb2, statements_pb2
from petra.v1 import storage_pb2 as pb
from petra_server.sql.pages import PAGE_BYTES
from tests.support.refusals import Refusal
from tests.support.server import ServerProcess
from tests.support.sql import PATIENCE_S, SqlConnection, result_of, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

NULL, INTEGER = statements_pb2.VALUE_KIND_UNSPECIFIED, statements_pb2.VALUE_KIND_INTEGER
UNKNOWN = cast(statements_pb2.ValueKind, 7)
VALUES = (None, 0, -1, 2**63 - 1, -(2**63), 0.5, -1e300, math.inf, "", "snow \u2603 and \x00 within", b"", b"\x00\xff")


@pytest.fixture
def room(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[SqlConnection]:
    """An object of the test's own."""
    with SqlConnection(server.address, request.node.name) as connection:
        yield connection


def test_values_come_back_as_they_were(room: SqlConnection) -> None:
    marks = ", ".join("?" * len(VALUES))
    assert room.rows(f"SELECT {marks}", *VALUES) == [VALUES]
    room.done("CREATE TABLE t (a)", statement("INSERT INTO t VALUES (?)", VALUES, times=len(VALUES)))
    assert room.rows("SELECT a FROM t ORDER BY rowid") == [(value,) for value in VALUES]


def test_no_number_is_not_a_number(room: SqlConnection) -> None:
    # SQLite has no NaN and stores NULL.
    assert room.rows("SELECT ?", math.nan) == [(None,)]


def test_parameters_by_name(room: SqlConnection) -> None:
    [result] = room.done(statement("SELECT :b, @a, $c, :b", named={"a": 1, ":b": "two", "$c": None}))
    assert result.rows == [("two", 1, None, "two")]


def test_results_tell_what_was_done(room: SqlConnection) -> None:
    created, inserted, updated, deleted, selected = room.done(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INT)",
        "INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2), ('z', 3)",
        "UPDATE t SET b = b + 1 WHERE b > 1",
        "DELETE FROM t WHERE a = 'nothing'",
        "SELECT a AS name, b, b * 2 FROM t WHERE b > 2",
    )
    assert (created.changes, inserted.changes, updated.changes, deleted.changes) == (0, 3, 2, 0)
    assert inserted.last_insert_rowid == 3
    assert selected.columns == ["name", "b", "b * 2"]
    assert selected.rows == [("y", 3, 6), ("z", 4, 8)]
    assert selected.rows_read >= 2
    message = room.sql.Execute(
        sql_pb2.ExecuteRequest(object=room.object_name, statements=[statement("SELECT a, b * 2 FROM t LIMIT 0")]),
        timeout=PATIENCE_S,
    )
    assert [column.declared_type for column in message.results[0].columns] == ["TEXT", ""]
    assert message.database_bytes > 0
    assert message.database_bytes % PAGE_BYTES == 0


def test_rows_written_count_what_triggers_and_foreign_keys_do(room: SqlConnection) -> None:
    *_, deleted = room.done(
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (p REFERENCES p ON DELETE CASCADE)",
        "CREATE TABLE log (a)",
        "CREATE TRIGGER gone AFTER DELETE ON p BEGIN INSERT INTO log VALUES (old.id); END",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1), (1), (2)",
        "DELETE FROM p WHERE id = 1",
    )
    assert deleted.changes == 1
    assert deleted.rows_written == 4


def test_a_text_with_several_statements_answers_as_its_last_one(room: SqlConnection) -> None:
    [result] = room.done(
        statement("CREATE TABLE t (a); INSERT INTO t VALUES (?), (?); PRAGMA table_info(t); SELECT a FROM t;", [1, 2])
    )
    assert result.columns == ["a"]
    assert result.rows == [(1,), (2,)]
    assert result.changes == 2


def test_an_empty_text_does_nothing(room: SqlConnection) -> None:
    [empty, comment] = room.done("", "-- nothing to do")
    assert empty.rows == comment.rows == []


def test_a_query_streams_what_fits_no_message(room: SqlConnection) -> None:
    room.done(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)",
        "INSERT INTO t (a) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000)"
        " SELECT randomblob(1000) FROM n",
    )
    rows = room.query("SELECT id, length(a), a FROM t")
    assert not isinstance(rows, Refusal)
    assert [row[0] for row in rows] == list(range(1, 20_001))
    refused = room.refused("SELECT a FROM t")
    assert refused.reason == "RESULT_TOO_LARGE"


def test_a_stream_shows_one_state_whatever_is_written_meanwhile(room: SqlConnection) -> None:
    room.done(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a)",
        "INSERT INTO t (a) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000)"
        " SELECT printf('%01000d', 0) FROM n",
    )
    request = sql_pb2.QueryRequest(object=room.object_name, statement=statement("SELECT a FROM t ORDER BY id"))
    stream = room.sql.Query(request, timeout=PATIENCE_S)
    first = next(stream)
    # The object goes on while the stream is open.
    room.done("UPDATE t SET a = 'changed'", "DELETE FROM t WHERE id > 10")
    texts = list(first.cells.texts) + [text for part in stream for text in part.cells.texts]
    assert len(texts) == 5_000
    assert set(texts) == {"0" * 1000}
    assert room.rows("SELECT count(*) FROM t WHERE a = 'changed'") == [(10,)]


@pytest.mark.parametrize("behind", ["", ";", "; -- the numbers", " /* all */; /* of them */ ;\n"])
@pytest.mark.parametrize("count", [3, 50_000])
def test_what_stands_behind_a_statement_costs_it_no_rows(room: SqlConnection, count: int, behind: str) -> None:
    text = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {count}) SELECT x FROM n{behind}"
    assert room.query(text) == [(x,) for x in range(1, count + 1)]
    if count == 3:
        assert room.rows(text) == [(1,), (2,), (3,)]


@pytest.mark.parametrize("count", [3, 50_000])
def test_a_query_is_one_statement(room: SqlConnection, count: int) -> None:
    many = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {count}) SELECT x FROM n"
    for text in (f"{many}; SELECT 1, 2", f"SELECT 1, 2; {many}", f"{many}; {many}"):
        refused = room.query(text)
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.fields) == ("INVALID_STATEMENT", ("statement.sql",))


def test_a_query_only_reads(room: SqlConnection) -> None:
    room.done("CREATE TABLE t (a PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    for text in (
        "DELETE FROM t",
        "INSERT INTO t VALUES (2) RETURNING a",
        "DROP TABLE t",
        "PRAGMA user_version = 3",
        "REINDEX",
    ):
        refused = room.query(text)
        assert isinstance(refused, Refusal)
        assert refused.reason == "SQL_NOT_ALLOWED", text
    assert room.query("SELECT a FROM t") == [(1,)]
    assert room.query("SELECT a FROM t WHERE a = ?", 2) == []


def test_keys_and_rows_in_one_transaction(room: SqlConnection) -> None:
    room.done("CREATE TABLE t (a PRIMARY KEY)")
    insert = pb.Operation(sql=statement("INSERT INTO t VALUES (?) RETURNING a", [7]))
    setting = pb.Operation(set=pb.SetItem(key="k", value=b"v"))
    condition = [pb.Condition(key="k", version=0)]
    answer = room.transact(setting, insert, pb.Operation(get=pb.GetItem(key="k")), conditions=condition)
    assert isinstance(answer, pb.TransactResponse)
    assert answer.committed
    assert result_of(answer.results[1].sql).rows == [(7,)]
    assert answer.results[2].get.entry.value == b"v"
    again = room.transact(setting, insert, conditions=condition)
    assert isinstance(again, pb.TransactResponse)
    assert not again.committed
    failed = room.transact(pb.Operation(delete=pb.DeleteItem(key="k")), insert)
    assert isinstance(failed, Refusal)
    assert failed.reason == "SQL_CONSTRAINT"
    counted = room.transact(
        pb.Operation(sql=statement("DELETE FROM t")), pb.Operation(increment=pb.IncrementItem(key="k", delta=1))
    )
    assert isinstance(counted, Refusal)
    assert counted.reason == "NOT_AN_INTEGER"
    assert room.rows("SELECT a FROM t") == [(7,)]


def test_a_request_that_is_repeated_is_done_once(room: SqlConnection) -> None:
    room.done("CREATE TABLE t (a)")
    insert = statement("INSERT INTO t VALUES (?), ('\u2603') RETURNING a, 1.5, x'00', NULL", [b"blob"])
    first = room.execute(insert, request_id=b"one")
    assert room.execute(insert, request_id=b"one") == first
    other = room.execute(statement("INSERT INTO t VALUES (?)", [b"blob"]), request_id=b"one")
    assert isinstance(other, Refusal)
    assert other.reason == "REQUEST_ID_REUSED"
    operations = [pb.Operation(sql=insert), pb.Operation(increment=pb.IncrementItem(key="n", delta=1))]
    answer = room.transact(*operations, request_id=b"two")
    assert room.transact(*operations, request_id=b"two") == answer
    assert room.rows("SELECT count(*) FROM t") == [(4,)]


def test_a_failed_list_changes_nothing_and_says_which_statement(room: SqlConnection) -> None:
    room.done("CREATE TABLE t (a UNIQUE)")
    refused = room.refused("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)")
    assert refused.reason == "SQL_CONSTRAINT"
    assert refused.metadata["constraint"] == "UNIQUE"
    assert refused.code == grpc.StatusCode.FAILED_PRECONDITION
    wrong = room.refused("INSERT INTO t VALUES (1)", "SELEKT 1")
    assert (wrong.reason, wrong.code) == ("SQL_ERROR", grpc.StatusCode.INVALID_ARGUMENT)
    assert wrong.fields == ("statements[1].sql",)
    mixed = room.transact(pb.Operation(set=pb.SetItem(key="k")), pb.Operation(sql=statement("SELEKT 1")))
    assert isinstance(mixed, Refusal)
    assert mixed.fields == ("operations[1].sql.sql",)
    asked = room.query("SELEKT 1")
    assert isinstance(asked, Refusal)
    assert asked.fields == ("statement.sql",)
    assert room.rows("SELECT a FROM t") == []


@pytest.mark.parametrize(
    "broken",
    [
        statements_pb2.Statement(sql="SELECT ?", parameters=statements_pb2.Cells(kinds=[INTEGER])),
        statements_pb2.Statement(sql="SELECT ?", parameters=statements_pb2.Cells(kinds=[UNKNOWN])),
        statements_pb2.Statement(sql="SELECT ?", parameters=statements_pb2.Cells(integers=[7])),
        statements_pb2.Statement(
            sql="SELECT ?", parameters=statements_pb2.Cells(kinds=[INTEGER], integers=[7]), times=2
        ),
        statements_pb2.Statement(sql="SELECT :a", parameters=statements_pb2.Cells(kinds=[NULL]), names=["a", "b"]),
        statements_pb2.Statement(sql="SELECT 1\0; SELECT 2"),
    ],
    ids=["no value", "no such kind", "no kind", "no share", "too many names", "code 0"],
)
def test_parameters_that_do_not_fit_together_are_refused(room: SqlConnection, broken: statements_pb2.Statement) -> None:
    assert room.refused(broken).reason == "INVALID_STATEMENT"


@pytest.mark.parametrize(
    ("text", "values"), [("SELECT ?, ?", [1]), ("SELECT 1", [1]), ("SELECT ?", [])], ids=["few", "many", "none"]
)
def test_too_few_or_too_many_parameters_are_refused(room: SqlConnection, text: str, values: list[int]) -> None:
    assert room.refused(statement(text, values)).reason == "SQL_ERROR"


def test_a_database_needs_an_object(room: SqlConnection) -> None:
    assert room.at("").refused("SELECT 1").reason == "INVALID_OBJECT"


def test_objects_with_nothing_but_a_database_are_listed(room: SqlConnection) -> None:
    one, two = room.at(f"{room.object_name}-1"), room.at(f"{room.object_name}-2")
    one.done("CREATE TABLE b (x)", "CREATE TABLE a (x INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO a VALUES (1)")
    two.storage.Set(pb.SetRequest(object=two.object_name, key="k", value=b"v"), timeout=PATIENCE_S)
    objects = room.admin.ListObjects(admin_pb2.ListObjectsRequest(prefix=room.object_name), timeout=PATIENCE_S)
    assert list(objects.objects) == [one.object_name, two.object_name]
    listed = room.admin.ListDatabases(admin_pb2.ListDatabasesRequest(prefix=room.object_name), timeout=PATIENCE_S)
    [info] = listed.databases
    assert info.object == one.object_name
    assert list(info.tables) == ["a", "b"]
    assert info.size_bytes >= 4 * PAGE_BYTES
    assert not listed.more
    one.storage.Clear(pb.ClearRequest(object=one.object_name), timeout=PATIENCE_S)
    objects = room.admin.ListObjects(admin_pb2.ListObjectsRequest(prefix=room.object_name), timeout=PATIENCE_S)
    assert list(objects.objects) == [two.object_name]


def test_statements_go_through_a_pipeline(room: SqlConnection) -> None:
    request = sql_pb2.ExecuteRequest(object=room.object_name, statements=[statement("SELECT ?", [5])])
    message = pb.PipelineRequest(
        ids=[1, 2],
        methods=[pb.METHOD_EXECUTE, pb.METHOD_EXECUTE],
        values=[request.SerializeToString(), sql_pb2.ExecuteRequest(object="").SerializeToString()],
    )
    answers = list(room.storage.Pipeline(iter([message]), timeout=PATIENCE_S))
    [value] = [value for answer in answers for value in answer.values]
    [error] = [error for answer in answers for error in answer.errors]
    assert result_of(sql_pb2.ExecuteResponse.FromString(value).results[0]).rows == [(5,)]
    assert (error.id, error.reason) == (2, "INVALID_OBJECT")
