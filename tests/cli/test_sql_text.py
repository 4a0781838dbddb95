"""Splitting statements, writing values, and showing them: what needs no server."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from petra.cli.sql.cells import csv_line, json_line, json_names, table_text
from petra.cli.sql.literals import like, literal, quoted, with_parameters
from petra.cli.sql.schema import module_of
from petra.cli.sql.splitting import Splitter, ended, split
from petra.sql import SqlValue

# fmt: off
TOKENS = st.sampled_from([
    "create", "temp", "trigger", "explain", "query plan", "end", "begin", "select", ";", " ", "\n", "'a;'", '"x;"',
    "[;]", "`;`", "'", '"', "/* ; */", "/*", "*/", "-- ;\n", "--", "x", "1", ",", ".", "é", "\t",
])
# fmt: on
TEXTS = st.lists(st.tuples(TOKENS, st.sampled_from(["", " "])), max_size=15).map(
    lambda parts: "".join([token + space for token, space in parts])
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)


class TestSplitting:
    @given(TEXTS)
    @settings(max_examples=500, deadline=None)
    def test_a_statement_is_complete_where_sqlite_says_so(self, text: str) -> None:
        text += "\n"
        splitter = Splitter()
        pieces = [piece for line in text.splitlines(keepends=True) for piece in splitter.feed(line)]
        # Of what holds no statement SQLite says now this and now that.
        if pieces:
            assert splitter.idle == sqlite3.complete_statement(text)
        for piece in pieces:
            assert sqlite3.complete_statement(piece.text)
            assert text.splitlines()[piece.line - 1].find(piece.text.splitlines()[0]) >= 0

    @given(TEXTS)
    @settings(max_examples=200, deadline=None)
    def test_nothing_but_comments_and_spaces_is_lost_and_lines_do_not_matter(self, text: str) -> None:
        splitter = Splitter()
        by_lines = [piece for line in text.splitlines(keepends=True) for piece in splitter.feed(line)]
        last = splitter.rest()
        assert [*by_lines, *([last] if last else [])] == split(text)

    def test_the_body_of_a_trigger_is_part_of_it(self) -> None:
        trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 1; END;"
        found = split(f"-- first\n{trigger} SELECT\n1 ;; select 'x;\ny' -- z")
        assert [(piece.text, piece.line, piece.word) for piece in found] == [
            (trigger, 2, "CREATE"),
            ("SELECT\n1 ;", 2, "SELECT"),
            ("select 'x;\ny' -- z", 3, "SELECT"),
        ]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("SELECT 1", "SELECT 1;"),
            ("SELECT 1 -- x", "SELECT 1 -- x\n;"),
            ("SELECT 1 /* x", "SELECT 1 /* x*/;"),
            ("SELECT ';'", "SELECT ';';"),
        ],
    )
    def test_a_statement_is_ended_outside_of_its_comments(self, text: str, expected: str) -> None:
        assert ended(text) == expected
        assert sqlite3.complete_statement(expected)


class TestLiterals:
    @given(VALUES)
    @settings(max_examples=500, deadline=None)
    @example(5e-324)
    @example(1.7976931348623157e308)
    @example(252.15125257503)
    @example(-0.0)
    @example(float("-inf"))
    @example(-(1 << 63))
    @example("a\0b'c")
    def test_a_literal_is_its_value(self, value: SqlValue) -> None:
        ((read, kind),) = in_sqlite(f"SELECT x, typeof(x) FROM (SELECT {literal(value)} x)")
        assert type(read) is type(value)
        assert same(read, value)
        assert kind == {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}[type(value)]

    def test_nan_is_null_as_in_sqlite(self) -> None:
        assert literal(float("nan")) == "NULL"

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
    def test_a_quoted_name_is_that_name(self, name: str) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            assert connection.execute(f"SELECT 1 AS {quoted(name)}").description[0][0] == name

    @pytest.mark.parametrize(("pattern", "expected"), [("a%", ["a_b", "axb"]), ("A\\_b", ["a_b"]), ("o'", [])])
    def test_patterns(self, pattern: str, expected: list[str]) -> None:
        query = f"SELECT x FROM (SELECT 'a_b' x UNION SELECT 'axb') WHERE {like('x', pattern)}"
        assert [name for (name,) in in_sqlite(query)] == expected

    def test_long_values_become_parameters_and_mean_the_same(self) -> None:
        text = "it''s " * 500
        sql = f"""SELECT '{text}', X'{"00ff" * 600}', 'short', "q?" /* ? */, 1 -- '\n FROM (SELECT 2 AS "q?")"""
        shorter, values = with_parameters(sql)
        assert len(shorter) < 200
        assert values == (text.replace("''", "'"), b"\0\xff" * 600)
        assert in_sqlite(shorter, values) == in_sqlite(sql)

    def test_a_statement_that_has_parameters_keeps_its_values(self) -> None:
        sql = f"SELECT :a, '{'x' * 5_000}'"
        assert with_parameters(sql) == (sql, ())


class TestCells:
    def test_null_is_no_text_in_any_form(self) -> None:
        assert table_text(None) == "NULL"
        assert table_text("NULL") == "'NULL'"
        assert csv_line([None, "", "NULL", 'a"b', "a,b"]) == ',"",NULL,"a""b","a,b"'
        assert json_line(json_names(["a", "b"]), [None, "null"]) == '{"a":null,"b":"null"}'

    def test_blobs(self) -> None:
        assert table_text(b"\x00\xff") == "X'00ff'"
        assert table_text("X'00ff'") == "'X'00ff''"
        assert table_text(bytes(1_000)) == f"X'{'00' * 16}'... (1,000 bytes)"
        assert csv_line([bytes(100)]) == f"X'{'00' * 100}'"
        assert json_line(['"a"'], [b"\x00\xff"]) == '{"a":{"base64":"AP8="}}'

    def test_nothing_is_a_command_to_the_terminal(self) -> None:
        assert table_text("a\n\x1b[31m\té") == "a\\n\\x1b[31m\\té"

    def test_numbers(self) -> None:
        assert [table_text(value) for value in (1, 1.0, 0.1, float("inf"))] == ["1", "1.0", "0.1", "Inf"]
        assert json_line(json_names(["a", "b"]), [float("-inf"), 1 << 62]) == '{"a":-9e999,"b":4611686018427387904}'

    def test_columns_of_one_name_are_told_apart(self) -> None:
        assert json_names(["a", "a", "b", "a"]) == ['"a"', '"a:2"', '"b"', '"a:3"']


@pytest.mark.parametrize(
    ("sql", "module"),
    [
        ("CREATE TABLE t (using fts5)", ""),
        ("CREATE VIRTUAL TABLE t USING fts5(x)", "fts5"),
        ('create virtual table "a "" using x" using FTS5(x)', "fts5"),
        ("CREATE VIRTUAL TABLE [t]USING rtree(a,b,c)", "rtree"),
        ("CREATE VIRTUAL TABLE /* ? */ t USING fts5(x)", "?"),
    ],
)
def test_modules_of_virtual_tables(sql: str, module: str) -> None:
    assert module_of(sql) == module


def same(one: SqlValue, other: SqlValue) -> bool:
    """Whether they are equal, bit by bit."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return one == other


def in_sqlite(sql: str, params: Sequence[SqlValue] = ()) -> list[tuple[Any, ...]]:
    """What a plain SQLite answers."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(sql, params).fetchall()
