"""Functions that are bounded answer as SQLite's own do, wherever they may stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.errors import Reason, Refusal
from petra_server.sql.statements import Statement
from tests.server.sql.boxes import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = ("trim", "ltrim", "rtrim", "unhex")
VALUES = st.one_of(
    st.none(),
    st.integers(-100, 100),
    st.sampled_from(["", "ab", " ab ", "0aff", "0a-ff", "\u2603x\u2603", "a\x00b"]),
    st.text(max_size=8),
    st.binary(max_size=8),
)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    box = Box()
    yield box
    box.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


@given(name=st.sampled_from(FUNCTIONS), first=VALUES, second=VALUES)
def test_they_answer_as_sqlite_does(
    box: Box, plain: apsw.Connection, name: str, first: str | bytes | int | None, second: str | bytes | int | None
) -> None:
    text = f"SELECT hex({name}(?1, ?2))"
    assert box.rows(text, first, second) == plain.execute(text, (first, second)).fetchall()
    try:
        expected = plain.execute(f"SELECT {name}(?1, ?2)", (first, second)).fetchall()
    except UnicodeDecodeError:
        return
    assert box.rows(f"SELECT {name}(?1, ?2)", first, second) == expected


def test_the_schema_may_use_them(box: Box) -> None:
    box.try_run(
        Statement("CREATE TABLE t (a, b AS (trim(a, '-')) STORED)"),
        Statement("CREATE INDEX by_a ON t (ltrim(a, '-'))"),
        Statement("INSERT INTO t (a) VALUES ('--x--'), ('y')"),
    )
    assert box.rows("SELECT b, ltrim(a, '-') FROM t ORDER BY ltrim(a, '-')") == [("x", "x--"), ("y", "y")]
    assert "by_a" in str(box.rows("EXPLAIN QUERY PLAN SELECT * FROM t WHERE ltrim(a, '-') = 'x--'"))


def test_what_would_take_too_long_is_refused_and_the_database_goes_on(box: Box) -> None:
    with pytest.raises(Refusal) as refused:
        box.rows("SELECT trim(?, ?)", "b" * 100_000, "a" * 100_000)
    assert refused.value.reason is Reason.SQL_TOO_LARGE
    assert not box.database.broken
    assert box.rows("SELECT trim(?, ?)", "  " + "b" * 1_000_000, " ") == [("b" * 1_000_000,)]
