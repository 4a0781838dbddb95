"""Databases as scripts, and back: in another object, and in a plain SQLite."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from petra import Client
from petra.cli.sql.literals import quoted
from petra.sync.database import Sql
from petra.testing import TestServer
from tests.cli.runner import Cli

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def client(shared_server: TestServer) -> Iterator[Client]:
    with Client(shared_server.address, namespace=uuid4().hex) as client:
        yield client


@pytest.fixture
def room(client: Client, cli: Cli) -> Sql:
    """A database that `dumped` dumps."""
    return client.namespace(cli.variables["PETRA_NAMESPACE"]).object("room").sql


def dumped(cli: Cli, name: str = "room") -> str:
    return cli.out("sql", name, "-c", ".dump")


def contents(rows_of: Callable[[str], Rows]) -> object:
    """All that a database holds, whatever the order in which it was made."""
    shadows = {name for name, kind in rows_of("SELECT name, type FROM pragma_table_list") if kind == "shadow"}
    entries = [
        entry
        for entry in rows_of(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        if entry[1] not in shadows
    ]
    tables = {name: table_rows(rows_of, name) for kind, name, _, _ in entries if kind == "table"}
    sequence = rows_of("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'") == [(1,)]
    numbers = sorted(rows_of("SELECT * FROM sqlite_sequence")) if sequence else []
    # A comment at the end of a statement has to be ended before the semicolon.
    made = sorted((kind, name, table, sql and sql.rstrip().removesuffix("*/")) for kind, name, table, sql in entries)
    return made, tables, numbers, rows_of("PRAGMA user_version")


def table_rows(rows_of: Callable[[str], Rows], table: str) -> list[str]:
    # Without the columns of virtual tables that are for commands.
    names = [name for _, name, *_, hidden in rows_of(f"PRAGMA table_xinfo({quoted(table)})") if hidden != 1]
    ((without_rowid,),) = rows_of(f"SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = {text(table)}")
    rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in map(str.lower, names)), "NULL")
    columns = ["NULL" if without_rowid else rowid]
    # Texts by their bytes, which may be no UTF-8.
    for name in map(quoted, names):
        columns += [f"typeof({name})", f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"]
    # By repr, which tells 1 from 1.0 and 0.0 from -0.0.
    return sorted(repr(tuple(row)) for row in rows_of(f"SELECT {', '.join(columns)} FROM {quoted(table)}"))


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def of_petra(sql: Sql) -> Callable[[str], Rows]:
    return lambda statement: [tuple(row) for row in sql.query(statement)]


def check_round_trip(cli: Cli, source: Sql, other: Sql, name: str, *options: str) -> str:
    """Dumps, restores in an object and in SQLite, and compares all three. Returns the dump."""
    script = dumped(cli)
    result = cli("sql", name, "--file", "-", *options, stdin=script.encode())
    assert result.exit_code == 0, f"{result.output}\n{script}"
    expected = contents(of_petra(source))
    assert contents(of_petra(other)) == expected
    assert dumped(cli, name) == script
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        assert contents(lambda statement: connection.execute(statement).fetchall()) == expected
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return script


NAMES = st.one_of(
    st.sampled_from(
        ["t", "select", "rowid", "oid", "a b", 'q"q', "q'q", "semi;colon", "-- x", "é", "[x", "x]", "_rowid_", "5"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)
TYPES = st.sampled_from(["", "INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "VARCHAR(10)"])
VALUES = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.sampled_from(
        [-0.0, 0.1, float("inf"), float("-inf"), 5e-324, 252.15125257503, "a\0b", "'", "1", "1.0", "X'00'"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
)
ENDS = st.sampled_from(["", " -- the end", " /* the end */", " /* no end"])
KEYS = [
    "",
    "INTEGER PRIMARY KEY",
    "INTEGER PRIMARY KEY AUTOINCREMENT",
    "INTEGER PRIMARY KEY DESC",
    "PRIMARY KEY NOT NULL",
]


@st.composite
def databases(draw: st.DrawFn) -> list[tuple[str, list[list[Any]]]]:
    """Statements, each with the parameters of its executions."""
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique_by=lambda name: name.casefold()))
    statements: list[tuple[str, list[list[Any]]]] = []
    for name in names[1:]:
        columns = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=lambda column: column.casefold()))
        key = draw(st.sampled_from(KEYS))
        parts = [f"{quoted(column)} {draw(TYPES)}" for column in columns]
        if key:
            parts[0] = f"{quoted(columns[0])} {key}"
        if draw(st.booleans()) and "made" not in map(str.casefold, columns):
            kind = draw(st.sampled_from(["STORED", "VIRTUAL"]))
            parts.append(f"made AS (typeof({quoted(columns[0])})) {kind}")
        tail = " WITHOUT ROWID" if key.endswith("NULL") and draw(st.booleans()) else ""
        statements.append((f"CREATE TABLE {quoted(name)} ({', '.join(parts)}){tail}", []))
        # What is the rowid itself is an integer.
        first = st.one_of(st.none(), st.integers(-(1 << 40), 1 << 40)) if key.startswith("INTEGER") else VALUES
        row = st.tuples(first, *[VALUES] * (len(columns) - 1)).map(list)
        rows = draw(st.lists(row, max_size=6))
        slots = ", ".join("?" for _ in columns)
        statements.append(
            (f"INSERT OR IGNORE INTO {quoted(name)} ({', '.join(map(quoted, columns))}) VALUES ({slots})", rows)
        )
        statements.append((f"DELETE FROM {quoted(name)} WHERE {quoted(columns[-1])} IS 1", []))
        if draw(st.booleans()):
            index = f"CREATE INDEX {quoted(f'{name} i')} ON {quoted(name)} ({quoted(columns[0])}){draw(ENDS)}"
            statements.append((index, []))
        if draw(st.booleans()):
            trigger = (
                f"CREATE TRIGGER {quoted(f'{name} t')} AFTER INSERT ON {quoted(name)}"
                f" BEGIN DELETE FROM {quoted(name)}; SELECT CASE 1 WHEN 1 THEN ';' END; END"
            )
            statements.append((trigger, []))
    statements.append((f"CREATE VIEW {quoted(names[0])} AS SELECT * FROM {quoted(names[1])}{draw(ENDS)}", []))
    return statements


@given(databases(), st.booleans())
@settings(
    max_examples=15,
    deadline=None,
    # Each example takes some tenths of a second, so to shrink one would take longer than a test may.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_database_comes_back_as_it_was(
    client: Client, cli: Cli, statements: list[tuple[str, list[list[Any]]]], atomic: bool
) -> None:
    objects = client.namespace(cli.variables["PETRA_NAMESPACE"])
    for name in ("room", "other"):
        objects.object(name).clear()
    source, other = objects.object("room").sql, objects.object("other").sql
    for statement, rows in statements:
        if rows:
            source.executemany(statement, rows)
        elif not statement.startswith("INSERT"):
            source.execute(statement)
    check_round_trip(cli, source, other, "other", *(["--atomic"] if atomic else []))


class TestSpecialTables:
    def test_texts_that_are_no_utf8(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script("CREATE TABLE t (x); INSERT INTO t VALUES (CAST(X'ff00fe' AS TEXT)), (CAST(X'41' AS TEXT))")
        assert "CAST(X'ff00fe' AS TEXT)" in check_round_trip(cli, room, self.other(client, cli), "other")

    def test_foreign_keys_in_any_order(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script(
            "CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent (name));"
            " CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT, next REFERENCES parent (id));"
            " CREATE UNIQUE INDEX names ON parent (name);"
            " INSERT INTO parent VALUES (1, 'a', NULL), (2, 'b', NULL); UPDATE parent SET next = 3 - id;"
            " INSERT INTO child VALUES (1, 'b'), (2, 'a')"
        )
        script = check_round_trip(cli, room, self.other(client, cli), "other")
        assert script.index('INSERT INTO "parent"') < script.index('INSERT INTO "child"')

    def test_full_text_tables_come_back_with_what_they_find(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script(
            "CREATE VIRTUAL TABLE plain USING fts5(title, body, tokenize = 'porter');"
            " INSERT INTO plain(rowid, title, body) VALUES (7, 'Running', 'it''s; -- fine'), (9, 'b', 'runs');"
            " INSERT INTO plain(plain, rank) VALUES ('automerge', 3);"
            " CREATE TABLE texts (a, b); INSERT INTO texts(rowid, a, b) VALUES (5, 'granite', 'rock');"
            " CREATE VIRTUAL TABLE shown USING fts5(a, b, content = 'texts');"
            " INSERT INTO shown(shown) VALUES ('rebuild');"
            " CREATE TRIGGER kept AFTER INSERT ON texts"
            " BEGIN INSERT INTO shown(rowid, a, b) VALUES (new.rowid, new.a, new.b); END;"
            " CREATE VIRTUAL TABLE words USING fts5vocab('plain', 'row');"
            " CREATE VIRTUAL TABLE old USING fts4(x); INSERT INTO old(docid, x) VALUES (3, 'old rock')"
        )
        other = self.other(client, cli)
        script = check_round_trip(cli, room, other, "other")
        assert "shown_data" not in script
        for query in (
            "SELECT rowid, title FROM plain('run') ORDER BY rowid",
            "SELECT rowid FROM shown('rock')",
            "SELECT docid FROM old WHERE old MATCH 'rock'",
            "SELECT term, doc, cnt FROM words",
            "SELECT v FROM plain_config WHERE k = 'automerge'",
        ):
            found = of_petra(other)(query)
            assert found
            assert found == of_petra(room)(query)

    def test_boxes(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script(
            "CREATE VIRTUAL TABLE boxes USING rtree(id, low, high, +name);"
            " INSERT INTO boxes VALUES (3, 0.1, 1.7, 'a'), (8, -5, 2.25, NULL)"
        )
        check_round_trip(cli, room, self.other(client, cli), "other")

    def test_statistics_and_versions_come_back(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script(
            "CREATE TABLE t (x); CREATE INDEX i ON t (x); INSERT INTO t VALUES (1), (2); ANALYZE;"
            " PRAGMA user_version = 7"
        )
        other = self.other(client, cli)
        check_round_trip(cli, room, other, "other")
        assert list(other.query("SELECT * FROM sqlite_stat1")) == list(room.query("SELECT * FROM sqlite_stat1")) != []

    def test_more_tables_than_a_union_may_have(self, cli: Cli, room: Sql) -> None:
        room.script("".join(f"CREATE TABLE t{number} (x);" for number in range(550)))
        room.batch([(f"INSERT INTO t{number} VALUES (?)", (number,)) for number in range(550)])
        script = dumped(cli)
        assert cli.out("sql", "other", stdin=script.encode()) == "1,100 statements, 550 rows changed.\n"
        assert dumped(cli, "other") == script

    def test_values_that_are_longer_than_a_statement_may_be(self, client: Client, cli: Cli, room: Sql) -> None:
        room.script("CREATE TABLE t (a, b)")
        room.execute("INSERT INTO t VALUES (?, ?)", ("it's\n" * 100_000, bytes(range(256)) * 3_000))
        check_round_trip(cli, room, self.other(client, cli), "other")

    @pytest.mark.parametrize(
        "table", ["fts5(x, content = '')", 'fts4(x, content="")', 'fts4(x, languageid="l")', "fts5(x, locale = 1)"]
    )
    def test_what_cannot_be_read_back_is_refused(self, cli: Cli, room: Sql, table: str) -> None:
        room.script(f"CREATE TABLE t (x); CREATE VIRTUAL TABLE hidden USING {table}")
        result = cli("sql", "room", "-c", ".dump")
        assert (result.exit_code, result.stdout) == (5, "")
        assert "hidden" in result.stderr
        assert "CREATE TABLE t" in cli.out("sql", "room", "-c", ".dump t")

    @staticmethod
    def other(client: Client, cli: Cli) -> Sql:
        return client.namespace(cli.variables["PETRA_NAMESPACE"]).object("other").sql


def test_some_tables_with_what_belongs_to_them(cli: Cli, room: Sql) -> None:
    room.script(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE INDEX i ON notes (x);"
        " CREATE TABLE other (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE INDEX j ON other (id);"
        " INSERT INTO notes VALUES (4, 'a'); INSERT INTO other VALUES (9);"
        " CREATE VIEW shown AS SELECT * FROM notes; CREATE TRIGGER t AFTER DELETE ON notes BEGIN SELECT 1; END;"
        " PRAGMA user_version = 3"
    )
    assert cli.out("sql", "room", "-c", ".dump no%") == (
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, x);\nCREATE INDEX i ON notes (x);\n"
        'INSERT INTO "notes"("id", "x") VALUES\n(4,\'a\');\n'
        "DELETE FROM sqlite_sequence WHERE name LIKE 'no%' ESCAPE '\\';\n"
        "INSERT INTO sqlite_sequence(name, seq) VALUES\n('notes',4);\n"
        "CREATE TRIGGER t AFTER DELETE ON notes BEGIN SELECT 1; END;\nCOMMIT;\n"
    )
    missing = cli("sql", "room", "-c", ".dump nothing")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "nothing" in missing.stderr


def test_an_object_without_a_database_is_an_empty_script(cli: Cli) -> None:
    assert dumped(cli) == "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n"


def test_a_dump_is_of_one_moment_whatever_is_written_meanwhile(cli: Cli, room: Sql) -> None:
    """Rows of two tables change together, and tables come and go, while the database is dumped again and again."""
    room.script("CREATE TABLE a (x); CREATE TABLE b (x, pad)")
    room.executemany("INSERT INTO b VALUES (0, ?)", [("x" * 500,) for _ in range(2_000)])
    room.execute("INSERT INTO a VALUES (0)")
    ended = threading.Event()

    def change() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            room.batch([("UPDATE a SET x = ?", (number,)), ("UPDATE b SET x = ?", (number,))])
            if number % 40 == 0:
                room.script(f"CREATE TABLE c{number} (x); DROP TABLE c{number}")

    thread = threading.Thread(target=change)
    thread.start()
    seen: set[int] = set()
    try:
        for _ in range(5):
            with closing(sqlite3.connect(":memory:")) as connection:
                connection.executescript(dumped(cli))
                ((number,),) = connection.execute("SELECT x FROM a").fetchall()
                assert connection.execute("SELECT DISTINCT x FROM b").fetchall() == [(number,)]
                assert connection.execute("SELECT count(*) FROM b").fetchall() == [(2_000,)]
                seen.add(number)
    finally:
        ended.set()
        thread.join()
    assert len(seen) > 1


def test_what_sqlite_dumps_is_taken(cli: Cli, room: Sql) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "CREATE TABLE adult (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX i ON adult (x);"
            "CREATE VIEW v AS SELECT 1;"
            "CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, adult REFERENCES adult (id));"
            "INSERT INTO adult VALUES (7, 'it''s;\na'); INSERT INTO child VALUES (9, 7);"
            "CREATE TRIGGER t AFTER INSERT ON child BEGIN SELECT 1; END;"
        )
        script = "PRAGMA foreign_keys=OFF;\n" + "\n".join(connection.iterdump())
        assert cli.out("sql", "room", stdin=script.encode()).endswith(" changed.\n")
        assert contents(of_petra(room)) == contents(lambda statement: connection.execute(statement).fetchall())
