"""Values and their stored forms: each way and back is exact, in JSON and in a column of a real SQLite."""

from __future__ import annotations

import json
import math
import sqlite3
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.datamodel.encoding import (
    FIELD_TYPES,
    SQL_TYPES,
    FieldType,
    Unfit,
    copied,
    from_column,
    from_json,
    normalized,
    same,
    timestamp_text,
    to_column,
    to_json,
)

TEXTS = st.text()
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ZONES = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001 - they get one
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "text": TEXTS,
    "int": INTS,
    "float": FLOATS,
    "bool": st.booleans(),
    "json": JSON,
    "array": st.lists(JSON, max_size=4),
    "timestamp": MOMENTS,
}


class Colour(Enum):
    RED = "red"
    TWO = 2


def test_every_type_is_covered() -> None:
    assert set(VALUES) == set(FIELD_TYPES)


@pytest.mark.parametrize("field_type", FIELD_TYPES)
@given(data=st.data())
def test_the_way_through_the_object_and_back_is_exact(field_type: FieldType, data: st.DataObject) -> None:
    value = normalized(field_type, data.draw(VALUES[field_type]))
    stored = json.loads(json.dumps(to_json(value)))
    assert same(from_json(field_type, stored), value)


@pytest.mark.parametrize("field_type", FIELD_TYPES)
@given(data=st.data())
def test_the_way_through_a_column_and_back_is_exact(field_type: FieldType, data: st.DataObject) -> None:
    value = normalized(field_type, data.draw(VALUES[field_type]))
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE t (x {SQL_TYPES[field_type]})")
        database.execute("INSERT INTO t VALUES (?)", (to_column(field_type, value),))
        (stored,) = database.execute("SELECT x FROM t").fetchone()
    database.close()
    read = from_column(field_type, stored)
    # SQLite has no negative zero in a column of whole numbers that it stores small.
    assert same(read, value) or (value == 0 and read == 0)


@given(MOMENTS, MOMENTS)
def test_timestamps_sort_as_time_does(one: datetime, other: datetime) -> None:
    texts = timestamp_text(one), timestamp_text(other)
    assert (texts[0] < texts[1]) == (one < other)
    assert len(texts[0]) == len("2026-02-28T13:05:00.000000Z")


def test_sqlite_reads_timestamps() -> None:
    moment = datetime(2026, 2, 28, 14, 5, 0, 250_000, timezone(timedelta(hours=1)))
    with sqlite3.connect(":memory:") as database:
        (read,) = database.execute(
            "SELECT strftime('%Y-%m-%d %H:%M:%f', ?)", (to_column("timestamp", moment),)
        ).fetchone()
    database.close()
    assert read == "2026-02-28 13:05:00.250"


@pytest.mark.parametrize(
    ("field_type", "given_value", "held"),
    [
        ("string", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("string", Decimal("1.50"), "1.50"),
        ("string", Colour.RED, "red"),
        ("string", date(2026, 2, 28), "2026-02-28"),
        ("int", Colour.TWO, 2),
        ("float", 3, 3.0),
        ("float", Decimal("0.5"), 0.5),
        ("timestamp", "2026-02-28T14:05:00+01:00", datetime(2026, 2, 28, 13, 5, tzinfo=UTC)),
        ("timestamp", "2026-02-28T13:05:00Z", datetime(2026, 2, 28, 13, 5, tzinfo=UTC)),
        ("array", (1, 2), [1, 2]),
        ("json", {"a": (1,)}, {"a": [1]}),
        ("string", None, None),
    ],
)
def test_what_is_given_becomes_what_a_field_holds(field_type: FieldType, given_value: object, held: object) -> None:
    assert same(normalized(field_type, given_value), held)


@pytest.mark.parametrize(
    ("field_type", "given_value", "words"),
    [
        ("string", 1, "a text"),
        ("string", b"x", "a text"),
        ("string", "\ud800", "surrogate"),
        ("int", True, "whole number"),
        ("int", 1.0, "whole number"),
        ("int", "1", "whole number"),
        ("int", 2**63, "64 bits"),
        ("int", -(2**63) - 1, "64 bits"),
        ("float", math.nan, "finite"),
        ("float", math.inf, "finite"),
        ("float", 10**400, "too large"),
        ("float", True, "a number"),
        ("bool", 1, "true or false"),
        ("timestamp", datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001 - that is the point
        ("timestamp", "2026-01-01", "time zone"),
        ("timestamp", "yesterday", "time zone"),
        ("timestamp", 1_700_000_000, "time zone"),
        ("array", "abc", "a list"),
        ("array", {"a": 1}, "a list"),
        ("json", {1, 2}, "JSON"),
        ("json", math.nan, "JSON"),
        ("json", b"x", "not bytes"),
        ("array", [object()], "JSON"),
    ],
)
def test_what_does_not_fit_is_refused(field_type: FieldType, given_value: object, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        normalized(field_type, given_value)


def test_what_a_field_holds_is_its_own() -> None:
    given_value = {"a": [1, {"b": 2}]}
    held, copy = normalized("json", given_value), copied(given_value)
    given_value["a"].append(3)
    assert held == copy == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"a": 1}, {"a": 1.0}), ("1", 1), (None, 0)]
)
def test_values_that_are_stored_differently_are_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert same(one, copied(one))


def test_what_another_program_has_stored_comes_back_as_it_stands() -> None:
    for field_type in FIELD_TYPES:
        for stored in ("yesterday", {"a": 1}, [1]):
            read = from_json(field_type, stored)
            assert same(to_json(read), stored)
            assert to_column(field_type, read) is not None
