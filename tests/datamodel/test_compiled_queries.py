"""Compiled queries on SQLite itself, beside a plain Python filter over a list; and the plans SQLite makes for them."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petra.datamodel import compile as compiled
from petra.datamodel.answers import decode_figures, decode_row, found_in_row, scope
from petra.datamodel.cursors import decode_cursor, encode_cursor
from petra.datamodel.definition import FieldDefinition, IndexDefinition, ModelDefinition, Options, TablePlacement
from petra.datamodel.encoding import json_text
from petra.datamodel.expressions import Aggregate, Avg, Column, Count, Max, Min, Ordering, escape_like
from petra.datamodel.schema import create_tables, indexes
from petra.datamodel.selection import Selection
from petra.datamodel.writes import row_of, statements
from petra.sql import Row, Statement, row_type
from tests.datamodel.random_queries import Asked, Stored, World, like, queries, worlds, worlds_and_queries

FEW = st.sampled_from([0, 1, 500])


class Database:
    """A world in a database of SQLite in memory, with the functions that the server has."""

    def __init__(self, world: World) -> None:
        self.connection = sqlite3.connect(":memory:")
        definition = world.definition
        for text in (*create_tables(definition), *(index.sql for index in indexes(definition))):
            self.connection.execute(text)
        objects: dict[str, str] = {}
        for record in world.records:
            key = definition.pattern.key(record.data)
            objects[key] = json_text(world.object_of(record))
            row = row_of(definition, key, record.data)
            self.connection.execute(statements(definition).insert, row)
            if definition.options.auth:
                access = [(user, row[0]) for user in record.users]
                self.connection.executemany(statements(definition).add_access, access)
        self.connection.create_function("petra_value", 1, objects.get)
        self.connection.create_function("petra_version", 1, lambda key: int(key in objects))

    def run(self, many: Sequence[Statement]) -> list[Row]:
        """The rows of all statements."""
        return [row for one in many for row in self._rows(one)]

    def plan(self, statement: Statement) -> list[str]:
        """What SQLite would do."""
        return [str(row[3]) for row in self._rows(Statement(f"EXPLAIN QUERY PLAN {statement.sql}", statement.params))]

    def _rows(self, statement: Statement) -> Iterator[Row]:
        cursor = self.connection.execute(statement.sql, statement.params)
        kind = row_type(tuple(column[0] for column in cursor.description))
        yield from map(kind, cursor)


@contextmanager
def database(world: World) -> Iterator[Database]:
    made = Database(world)
    with closing(made.connection):
        yield made


def assert_page(world: World, asked: Asked, rows: list[Row], expected: list[Stored]) -> None:
    definition = world.definition
    if asked.selection.with_data:
        found = [found_in_row(definition, asked.reader, row) for row in rows]
        assert [one.data for one in found] == [one.data for one in expected]
        assert [one.state.users for one in found] == [one.users if definition.options.auth else () for one in expected]
    else:
        synced = [{name: one.data[name] for name in definition.synced_names} for one in expected]
        assert [decode_row(definition, (), row) for row in rows] == synced


@settings(max_examples=120, deadline=None)
@given(worlds_and_queries(), FEW)
def test_a_page_is_what_a_filter_over_the_list_says(case: tuple[World, Asked], few: int) -> None:
    world, asked = case
    definition, selection, reader = world.definition, asked.selection, asked.reader
    expected = asked.expected(world)
    with pytest.MonkeyPatch.context() as patch, database(world) as db:
        patch.setattr(compiled, "FEW_RECORDS", few)
        rows = db.run(compiled.rows(definition, selection, reader))
        assert_page(world, asked, rows, expected[selection.first :][: selection.limit])
        assert [tuple(row) for row in db.run(compiled.count(definition, selection, reader))] == [(len(expected),)]
        assert bool(db.run(compiled.exists(definition, selection, reader))) == bool(expected)


@settings(max_examples=80, deadline=None)
@given(worlds_and_queries(), FEW)
def test_cursors_walk_over_all_records_in_order(case: tuple[World, Asked], few: int) -> None:
    world, asked = case
    definition, selection = world.definition, replace(asked.selection, offset=0, page=None)
    order = compiled.ordering(definition, selection)
    seen: list[Row] = []
    cursor: str | None = None
    with pytest.MonkeyPatch.context() as patch, database(world) as db:
        patch.setattr(compiled, "FEW_RECORDS", few)
        while True:
            after = [] if cursor is None else decode_cursor(scope(definition, order), cursor, len(order))
            page = db.run(compiled.rows(definition, selection, asked.reader, after=after if cursor else None))
            if cursor is None and not page:
                break
            seen += page
            if len(page) < selection.limit:
                break
            cursor = encode_cursor(scope(definition, order), [page[-1][one.field] for one in order])
    assert_page(world, asked, seen, asked.expected(world))


@settings(max_examples=50, deadline=None)
@given(st.data(), worlds(), FEW)
def test_figures_are_those_of_the_list(data: st.DataObject, world: World, few: int) -> None:
    definition = world.definition
    asked = data.draw(queries(definition))
    numbers = [one.name for one in definition.columns if one.type == "int"]
    figures: dict[str, Aggregate] = {"n": Count(), "some": Count("id"), "least": Min("id"), "most": Max("id")}
    if numbers:
        figures |= {"mean": Avg(numbers[0]), "there": Count(numbers[0])}
    group = data.draw(st.sampled_from(["", *(one.name for one in definition.columns if one.type == "bool")]))
    selection = Selection(
        conditions=asked.selection.conditions, deleted=asked.selection.deleted, groups=(group,) if group else ()
    )
    with pytest.MonkeyPatch.context() as patch, database(world) as db:
        patch.setattr(compiled, "FEW_RECORDS", few)
        rows = db.run(compiled.aggregates(definition, selection, asked.reader, list(figures.values())))
    got = [decode_figures(definition, selection.groups, figures, row) for row in rows]
    found = asked.expected(world)
    values = sorted({one.data[group] for one in found}, key=str) if group else [None]
    by_group = {value: [one for one in found if not group or one.data[group] == value] for value in values}
    assert len(got) == len(by_group)
    for row in got:
        records = by_group[row[group] if group else None]
        assert row["n"] == row["some"] == len(records)
        ids = [one.data["id"] for one in records]
        assert (row["least"], row["most"]) == ((min(ids), max(ids)) if ids else (None, None))
        if numbers:
            present = [one.data[numbers[0]] for one in records if one.data[numbers[0]] is not None]
            assert row["there"] == len(present)
            mean = sum(present) / len(present) if present else None
            assert row["mean"] == pytest.approx(mean, abs=sum(map(abs, present)) * 1e-12)


@given(st.text(max_size=8), st.text("aA%_\\", max_size=4))
def test_an_escaped_text_matches_itself_alone(one: str, other: str) -> None:
    assert like(escape_like(one), one)
    assert like(escape_like(other), one) == (one.lower() == other.lower())


# Plans.

PAGES = ModelDefinition(
    "Page",
    (FieldDefinition("title"), FieldDefinition("status"), FieldDefinition("priority", "int")),
    options=Options(),
    d1=TablePlacement(
        "pages",
        indexes=(IndexDefinition(("created_at",)), IndexDefinition(("status", "-created_at"))),
        unique=(("title",),),
    ),
)


@pytest.fixture(scope="module")
def pages() -> Iterator[Database]:
    """Records that ann may see, of which bob may see each thousandth."""
    with database(World(PAGES, [])) as db:
        chance = random.Random(1)
        rows = []
        for number in range(20_000):
            record_id = str(UUID(int=chance.getrandbits(128)))
            created = f"2026-01-01T{number // 1000:02}:00:00.{chance.randrange(10**6):06}Z"
            rows.append((record_id, f"page:{record_id}", f"t{number}", "ab"[number % 2], number % 7, None, created))
        columns = 'id, "_key", title, status, priority, user_id, created_at, updated_at'
        db.connection.executemany(
            f"INSERT INTO pages ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, '2026-01-01T00:00:00.000000Z')", rows
        )
        access = [("ann", row[0]) for row in rows] + [("bob", row[0]) for row in rows[::1000]]
        db.connection.executemany("INSERT INTO pages__auth VALUES (?, ?)", access)
        yield db


def page_of(*conditions: object, order: str, down: bool = False, reader: str | None = "ann") -> list[Statement]:
    selection = Selection(conditions=conditions, order=(Ordering(order, down),))  # type: ignore[arg-type]
    return compiled.rows(PAGES, selection, reader)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("reader", ["ann", None])
def test_a_page_in_the_order_of_an_index_neither_sorts_nor_scans(pages: Database, down: bool, reader: str) -> None:
    plain = pages.plan(page_of(order="created_at", down=down, reader=reader)[0])
    assert "SCAN t USING INDEX pages(created_at)" in plain
    assert not [line for line in plain if "TEMP B-TREE" in line]
    filtered = pages.plan(page_of(Column("status") == "a", order="created_at", down=down, reader=reader)[0])
    assert "SEARCH t USING INDEX pages(status,-created_at) (status=?)" in filtered
    assert not [line for line in filtered if "TEMP B-TREE" in line]


def steps(db: Database, many: Sequence[Statement]) -> int:
    """How much SQLite does for statements, in hundreds of its instructions."""
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    db.connection.set_progress_handler(count, 100)
    assert db.run(many)
    db.connection.set_progress_handler(None, 0)
    return done


def test_a_page_costs_the_same_whether_the_reader_may_see_much_or_little(pages: Database) -> None:
    whole = steps(pages, [Statement("SELECT max(title) FROM pages")])
    for reader in ("ann", "bob", None):
        assert steps(pages, page_of(order="created_at", down=True, reader=reader)) < whole / 20


def test_a_page_far_behind_a_cursor_costs_what_the_first_one_does(pages: Database) -> None:
    selection = Selection(order=(Ordering("created_at", True),))
    (last,) = pages.run([Statement("SELECT created_at, id FROM pages ORDER BY created_at, id LIMIT 1 OFFSET 50")])
    near = steps(pages, compiled.rows(PAGES, selection, "ann"))
    far = steps(pages, compiled.rows(PAGES, selection, "ann", after=tuple(last)))
    assert far < 2 * near


def test_a_record_is_found_by_what_is_unique_without_looking_at_the_readers_others(pages: Database) -> None:
    for condition in (Column("title") == "t5", Column("id") == "x"):
        (statement,) = page_of(condition, order="created_at")
        assert any(line.startswith("SEARCH t USING") for line in pages.plan(statement))


def test_counting_by_an_index_reads_no_rows(pages: Database) -> None:
    selection = Selection(conditions=(Column("status") == "a",))
    plan = pages.plan(compiled.count(PAGES, selection, None)[0])
    assert plan == ["SEARCH t USING COVERING INDEX pages(status,-created_at) (status=?)"]
