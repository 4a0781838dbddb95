"""The pure parts of SQL: what parameters become, what rows are, and what is refused before anything is sent."""

from __future__ import annotations

import copy
import datetime
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import Column, JSONCodec, Row, Statement
from petra._transport.calls import Address
from petra._transport.packing import pack
from petra._transport.requests import Requests
from petra._transport.sql_requests import QueryParts, SqlRequests, batch_messages
from petra._transport.statements import cells_message, many_message, rows_of, statement_message
from petra.errors import InternalError, InvalidArgument
from petra.sql import SqlValue, row_type
from petra.v1 import sql_pb2, storage_pb2
from petra.v1 import statements_pb2 as pb

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS | st.binary()


class Colour(IntEnum):
    RED = 7


class Word(StrEnum):
    TEA = "tea"


def columns(count: int) -> list[Column]:
    return [Column(f"c{number}", "") for number in range(count)]


def sent(values: Sequence[object]) -> list[object]:
    """What the server reads of parameters that were sent."""
    data = cells_message(values, str).SerializeToString()
    [row] = rows_of(columns(len(values)), pb.Cells.FromString(data))
    return list(row)


class TestParameters:
    @given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width))))
    def test_rows_come_back_as_they_were(self, rows: list[list[SqlValue]]) -> None:
        message = cells_message([value for row in rows for value in row], str)
        read = rows_of(columns(len(rows[0]) if rows else 1), pb.Cells.FromString(message.SerializeToString()))
        assert [list(row) for row in read] == rows
        assert [type(value) for row in read for value in row] == [type(value) for row in rows for value in row]

    def test_what_is_derived_from_a_type_of_sqlite_is_that(self) -> None:
        values = sent([True, False, Colour.RED, Word.TEA])
        assert values == [1, 0, 7, "tea"]
        assert [type(value) for value in values] == [int, int, int, str]

    @pytest.mark.parametrize(
        ("value", "word"),
        [
            (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "isoformat"),
            (Decimal("1.5"), "as a str"),
            (UUID(int=1), "as a str"),
            (bytearray(b"x"), "bytes of it"),
            ({"a": 1}, "json.dumps"),
            ([1], "json.dumps"),
            (object(), "one of these"),
            (2**63, "64 bits"),
            (-(2**63) - 1, "64 bits"),
            (10**400, "64 bits"),
            ("half \ud800", "surrogate"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_sqlite_cannot_hold_is_refused_by_name(self, value: SqlValue, word: str) -> None:
        cases: list[tuple[Callable[[], object], str]] = [
            (lambda: statement_message(("SELECT ?, ?", (1, value))), "params[1]"),
            (lambda: statement_message(("SELECT :a", {"a": value})), "params['a']"),
            (lambda: many_message("SELECT ?", [(1,), (value,)]), "params[1][0]"),
            (lambda: many_message("SELECT :a", [{"a": 1}, {"a": value}]), "params[1]['a']"),
            (lambda: batch_messages(["SELECT 1", ("SELECT ?", [value])]), "statements[1].params[0]"),
            (lambda: batch_messages([Statement("SELECT ?", many=[(value,)])]), "statements[0].many[0][0]"),
        ]
        for attempt, field in cases:
            with pytest.raises(InvalidArgument) as caught:
                attempt()
            assert caught.value.field == field
            assert caught.value.message.startswith(field)
            assert word in caught.value.message

    @pytest.mark.parametrize(
        ("attempt", "field"),
        [
            (lambda: statement_message(("SELECT ?", "ab")), "params"),
            (lambda: statement_message(("SELECT ?", b"ab")), "params"),
            (lambda: statement_message(("SELECT ?", {1, 2})), "params"),  # type: ignore[arg-type]
            (lambda: statement_message((7, ())), "sql"),  # type: ignore[arg-type]
            (lambda: statement_message("SELECT '\ud800'"), "sql"),
            (lambda: many_message("SELECT ?", "ab"), "params"),
            (lambda: many_message("SELECT ?", 5), "params"),  # type: ignore[arg-type]
            (lambda: many_message("SELECT ?", {"a": 1}), "params"),
            (lambda: many_message("SELECT ?", [(1,), (1, 2)]), "params[1]"),
            (lambda: many_message("SELECT ?", [(1,), {"a": 2}]), "params[1]"),
            (lambda: many_message("SELECT :a", [{"a": 1}, (2,)]), "params[1]"),
            (lambda: many_message("SELECT :a", [{"a": 1}, {"b": 1}]), "params[1]"),
            (lambda: batch_messages("SELECT 1"), "statements"),
            (lambda: batch_messages([("SELECT 1",)]), "statements[0]"),  # type: ignore[list-item]
            (lambda: batch_messages([Statement("SELECT ?", (1,), many=[(1,)])]), "statements[0].many"),
        ],
    )
    def test_what_is_no_statement_or_no_parameters_is_refused(self, attempt: Callable[[], object], field: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            attempt()
        assert caught.value.field == field

    def test_many_share_one_text(self) -> None:
        message = many_message("INSERT INTO t VALUES (:b, :a)", [{"a": 1, "b": "x"}, {"b": "y", "a": 2}])
        assert (list(message.names), message.times) == (["a", "b"], 2)
        assert list(message.parameters.integers) == [1, 2]
        assert list(message.parameters.texts) == ["x", "y"]
        by_position = many_message("INSERT INTO t VALUES (?)", ((number,) for number in range(3)))
        assert (list(by_position.parameters.integers), by_position.times) == ([0, 1, 2], 3)
        assert many_message("DELETE FROM t", [(), ()]).times == 2

    def test_not_even_once_is_nothing(self) -> None:
        assert many_message("INSERT INTO t VALUES (?)", []) == pb.Statement()


class TestRows:
    row = row_type(("id", "name", "id"))((1, "tea", 3))

    def test_they_are_tuples(self) -> None:
        assert self.row == (1, "tea", 3)
        assert hash(self.row) == hash((1, "tea", 3))
        number, name, _ = self.row
        assert (number, name, self.row[-1], self.row[:2], len(self.row)) == (1, "tea", 3, (1, "tea"), 3)
        assert isinstance(self.row, Row)
        assert repr(self.row) == "(1, 'tea', 3)"

    def test_they_are_read_by_name(self) -> None:
        assert (self.row["name"], self.row["id"]) == ("tea", 1)
        assert self.row.mapping == dict(self.row) == {"id": 1, "name": "tea"}
        assert self.row.keys() == ["id", "name", "id"]

    def test_names_and_numbers_that_there_are_not(self) -> None:
        with pytest.raises(KeyError, match="No column 'nam'; there are id, name, id"):
            self.row["nam"]
        with pytest.raises(IndexError):
            self.row[3]

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))])
    def test_copies_keep_the_names(self, copied: Callable[[Row], Row]) -> None:
        other = copied(self.row)
        assert other == self.row
        assert other["name"] == "tea"

    @given(st.lists(TEXTS, min_size=1), st.data())
    def test_the_first_of_columns_with_one_name_counts(self, names: list[str], data: st.DataObject) -> None:
        values = tuple(range(len(names)))
        row = row_type(tuple(names))(values)
        name = data.draw(st.sampled_from(names))
        assert row[name] == names.index(name)
        assert list(row.mapping) == list(dict.fromkeys(names))

    @pytest.mark.parametrize(
        "cells",
        [
            pb.Cells(kinds=[pb.VALUE_KIND_INTEGER]),
            pb.Cells(kinds=[7], integers=[1]),  # type: ignore[list-item]
            pb.Cells(kinds=[pb.VALUE_KIND_INTEGER] * 3, integers=[1, 2, 3]),
            pb.Cells(kinds=[pb.VALUE_KIND_INTEGER] * 2, integers=[1, 2, 3]),
        ],
        ids=["no value", "no such kind", "half a row", "one too many"],
    )
    def test_cells_that_do_not_fit_together_are_a_fault(self, cells: pb.Cells) -> None:
        with pytest.raises(InternalError, match="cannot be read"):
            rows_of(columns(2), cells)


def test_rows_that_end_before_the_last_part_are_a_fault() -> None:
    parts = QueryParts()
    part = sql_pb2.QueryResponse(columns=[pb.Column(name="a")], cells=cells_message([1, 2], str))
    assert parts.take(part.SerializeToString())
    assert list(parts.rows) == [(1,), (2,)]
    with pytest.raises(InternalError, match="before the last"):
        parts.take(None)
    assert not parts.take(None)


@pytest.mark.parametrize(("seconds", "sent_ms"), [(10.0, 9_750), (1.0, 900), (0.1, 90), (0.001, 1)])
def test_the_server_has_less_time_so_that_its_word_is_the_first(seconds: float, sent_ms: int) -> None:
    address = Address("", "room")
    transaction = Requests(address, JSONCodec(), None).transact([], [], interruptible=True)
    for call in (SqlRequests(address, None).execute("SELECT 1", (), None), transaction):
        call.deadline = 100 + seconds
        message = storage_pb2.PipelineRequest.FromString(pack([call], 1, 100))
        assert abs(message.timeouts_ms[0] - sent_ms) <= 1
