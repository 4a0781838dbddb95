"""Random schemas and statements, on a database of ours and on plain SQLite: answers, changes and errors are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra_server.errors import Refusal
from petra_server.sql.statements import Statement, StatementResult
from tests.server.sql.boxes import Box, Plain

if TYPE_CHECKING:
    from petra_server.sql.cells import SqlValue

TABLES = ("t", "u", "v")
COLUMNS = ("a", "b", "c")
TYPES = ("", " INT", " TEXT", " REAL", " BLOB", " NUMERIC", " INTEGER PRIMARY KEY")
CONSTRAINTS = ("", " UNIQUE", " NOT NULL", " DEFAULT 7", " CHECK ({0} IS NOT 3)", " COLLATE NOCASE")

literals = st.one_of(
    st.integers(-5, 5).map(str),
    st.sampled_from(["NULL", "'a'", "'B'", "''", "1.5", "x'00ff'", "9223372036854775807", "'\u2603'", "?"]),
)
columns = st.sampled_from(COLUMNS)
tables = st.sampled_from(TABLES)


def _binary(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "||", "=", "<", "IS", "<>", "AND", "OR", "%", "LIKE"])
    functions = st.sampled_from(
        ["abs({})", "length({})", "typeof({})", "coalesce({}, 1)", "upper({})", "NOT {}", "hex({})"]
    )
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(functions, inner).map(lambda parts: f"({parts[0].format(parts[1])})"),
    )


expressions = st.recursive(st.one_of(literals, columns), _binary, max_leaves=5)


@st.composite
def creations(draw: st.DrawFn) -> str:
    table = draw(tables)
    parts = []
    for column in COLUMNS[: draw(st.integers(1, 3))]:
        kind = draw(st.sampled_from(TYPES if column == "a" else TYPES[:-1]))
        parts.append(column + kind + draw(st.sampled_from(CONSTRAINTS)).format(column))
    if draw(st.booleans()):
        parts.append(
            f"FOREIGN KEY (a) REFERENCES t (a) ON DELETE {draw(st.sampled_from(['CASCADE', 'SET NULL', 'NO ACTION']))}"
        )
    ending = draw(st.sampled_from(["", "", " STRICT", " WITHOUT ROWID"]))
    return f"CREATE TABLE {table} ({', '.join(parts)}){ending}"


@st.composite
def schema_changes(draw: st.DrawFn) -> str:
    table, column, number = draw(tables), draw(columns), draw(st.integers(0, 3))
    return draw(
        st.sampled_from(
            [
                f"CREATE INDEX i{number} ON {table} ({column})",
                f"CREATE UNIQUE INDEX i{number} ON {table} ({column}, a) WHERE {column} IS NOT NULL",
                f"CREATE INDEX i{number} ON {table} (abs({column}))",
                f"CREATE VIEW w{number} AS SELECT {column}, count(*) AS n FROM {table} GROUP BY 1",
                f"CREATE TRIGGER r{number} AFTER INSERT ON {table} BEGIN UPDATE u SET b = coalesce(b, 0) + 1; END",
                f"CREATE TRIGGER r{number} BEFORE DELETE ON {table} BEGIN INSERT INTO v (a) VALUES (old.a); END",
                f"ALTER TABLE {table} ADD COLUMN c INT DEFAULT 4",
                f"ALTER TABLE {table} ADD COLUMN g AS (a || 'x')",
                f"ALTER TABLE {table} RENAME COLUMN {column} TO {draw(columns)}",
                f"DROP TABLE {table}",
                f"DROP INDEX i{number}",
                f"DROP TRIGGER r{number}",
                "REINDEX",
                "ANALYZE",
                f"PRAGMA user_version = {number}",
            ]
        )
    )


@st.composite
def changes(draw: st.DrawFn) -> str:
    table, column, value = draw(tables), draw(columns), draw(expressions)
    returning = draw(st.sampled_from(["", "", f" RETURNING {column}, {value}"]))
    conflict = draw(st.sampled_from(["", "", " OR IGNORE", " OR REPLACE", " OR FAIL", " OR ROLLBACK", " OR ABORT"]))
    rows = ", ".join(f"({', '.join(draw(literals) for _ in 'ab')})" for _ in range(draw(st.integers(1, 4))))
    upsert = draw(
        st.sampled_from(["", "", " ON CONFLICT DO NOTHING", f" ON CONFLICT (a) DO UPDATE SET b = {draw(literals)}"])
    )
    return draw(
        st.sampled_from(
            [
                f"INSERT{conflict} INTO {table} (a, b) VALUES {rows}{upsert}{returning}",
                f"INSERT INTO {table} (a) SELECT {value} FROM {draw(tables)} LIMIT 20",
                f"UPDATE{conflict} {table} SET {column} = {value} WHERE {draw(expressions)}{returning}",
                f"DELETE FROM {table} WHERE {draw(expressions)}{returning}",
                f"REPLACE INTO {table} (a, b) VALUES {rows}",
            ]
        )
    )


@st.composite
def questions(draw: st.DrawFn) -> str:
    table, other, column, value = draw(tables), draw(tables), draw(columns), draw(expressions)
    return draw(
        st.sampled_from(
            [
                f"SELECT * FROM {table} ORDER BY 1, 2",
                f"SELECT {value} AS x, {column} FROM {table} ORDER BY 2, 1 LIMIT 5",
                f"SELECT count(*), min({column}), total({column}) FROM {table} WHERE {draw(literals)} IS NOT {column}",
                f"SELECT x.{column}, y.a FROM {table} x LEFT JOIN {other} y ON x.a = y.a ORDER BY 1, 2",
                f"SELECT {column}, row_number() OVER (PARTITION BY b ORDER BY a, rowid) FROM {table} ORDER BY 1, 2",
                f"SELECT {column} FROM {table} UNION SELECT {column} FROM {other} ORDER BY 1",
                f"SELECT * FROM (SELECT DISTINCT {value} FROM {table}) ORDER BY 1",
                f"SELECT {column} FROM {table} WHERE a IN (SELECT a FROM {other}) ORDER BY 1",
                f"SELECT json_group_array({column}) FROM (SELECT {column} FROM {table} ORDER BY {column})",
                f"PRAGMA table_xinfo({table})",
                "PRAGMA foreign_key_check",
                "PRAGMA user_version",
                "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2",
                "PRAGMA integrity_check",
            ]
        )
    )


statements = st.one_of(creations(), schema_changes(), changes(), changes(), questions())
# What every script begins with, so that most of what follows means something: one variant of each table.
T = (
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b, c TEXT)",
    "CREATE TABLE t (a TEXT PRIMARY KEY, b INT, c REAL) WITHOUT ROWID",
    "CREATE TABLE t (a INT UNIQUE NOT NULL, b TEXT COLLATE NOCASE, c ANY)",
)
U = (
    "CREATE TABLE u (a, b INT UNIQUE, c DEFAULT 7)",
    "CREATE TABLE u (a INTEGER PRIMARY KEY AUTOINCREMENT, b INT CHECK (b IS NOT 3), c AS (coalesce(b, 0) * 2))",
    "CREATE TABLE u (a ANY, b INT, c TEXT NOT NULL DEFAULT 'c') STRICT",
)
V = (
    "CREATE TABLE v (a REFERENCES t (a) ON DELETE CASCADE, b, c)",
    "CREATE TABLE v (a REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED, b, c)",
    "CREATE TABLE v (a, b, c, UNIQUE (a, b) ON CONFLICT REPLACE)",
)
ROWS = (
    "INSERT INTO t (a, b, c) VALUES (1, 'x', 2.5), (2, 'Y', NULL), (3, 3, 'z')",
    "INSERT INTO u (a, b) VALUES (1, 1), (2, 2), (4, 4)",
    "INSERT INTO v (a, b, c) VALUES (1, 1, x'00'), (2, NULL, 'n'), (NULL, 5, -1)",
)
beginnings = st.tuples(st.sampled_from(T), st.sampled_from(U), st.sampled_from(V)).map(lambda made: [*made, *ROWS])
scripts = st.tuples(beginnings, st.lists(statements, min_size=15, max_size=40)).map(lambda parts: parts[0] + parts[1])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(script=scripts, value=st.sampled_from([None, 1, "text", 2.5, b"\x00"]), reopen_every=st.integers(1, 20))
def test_answers_changes_and_errors_are_those_of_plain_sqlite(
    script: list[str], value: int | str | float | bytes | None, reopen_every: int
) -> None:
    box, plain = Box(), Plain()
    try:
        for number, sql in enumerate(script):
            values = (value,) * sql.count("?")
            if number % reopen_every == 0:
                box.reopen()
            before = plain.connection.total_changes()
            expected = plain.run(sql, values)
            outcome = _outcome(box, sql, values)
            if isinstance(outcome, str):
                assert outcome == expected, sql
            else:
                assert outcome.rows == expected, sql
                assert (outcome.changes, outcome.rows_written) == plain.figures(before), sql
        assert box.run("PRAGMA integrity_check") == plain.run("PRAGMA integrity_check")
    finally:
        box.close()
        plain.close()


def _outcome(box: Box, sql: str, values: tuple[SqlValue, ...]) -> StatementResult | str:
    try:
        return box.try_run(Statement(sql, values)).results[0]
    except Refusal as refusal:
        return f"error {refusal.reason}"
