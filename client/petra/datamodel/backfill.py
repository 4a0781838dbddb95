"""The statements that fill columns of a model's table from its full objects. Pure.

Each row is written under the version of the object that its values come from, so a save that comes between is never
undone: the row is looked at again. How far a backfill has come stands in the migrations table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from petra.datamodel.definition import KEY_COLUMN, ModelDefinition, quoted
from petra.datamodel.encoding import to_column
from petra.datamodel.lookups import found_in
from petra.datamodel.plan import Record
from petra.datamodel.schema import MIGRATIONS
from petra.errors import DecodeError
from petra.sql import Row, SqlValue, Statement

# Some hundred milliseconds of work for the server.
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is: rows that are filled, of those that there were when it was asked."""

    model: str
    fields: tuple[str, ...]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """Columns to be filled. `names` are those that the model still has."""

    id: str
    run: int
    names: tuple[str, ...]
    position: str

    @classmethod
    def of(cls, definition: ModelDefinition, step_id: str, record: Record) -> Backfill:
        """The backfill that a row of the migrations table says has to be done."""
        names = tuple(name for name in json.loads(record.detail) if name in definition.synced_names)
        return cls(step_id, record.run, names, record.position)


def totals(definition: ModelDefinition, position: str) -> Statement:
    """How many rows there are up to a position, and in all."""
    table, primary = quoted(definition.table), quoted(definition.primary.name)
    return Statement(f"SELECT count(*) FILTER (WHERE {primary} <= ?), count(*) FROM {table}", (position,))


def batch(definition: ModelDefinition, position: str, limit: int) -> Statement:
    """The next rows after a position: id, key, version and object."""
    table, primary, key = quoted(definition.table), quoted(definition.primary.name), quoted(KEY_COLUMN)
    return Statement(
        f"SELECT {primary}, {key}, petra_version({key}), petra_value({key}) FROM {table}"
        f" WHERE {primary} > ? ORDER BY {primary} LIMIT ?",
        (position, limit),
    )


def fill(definition: ModelDefinition, backfill: Backfill, rows: Sequence[Row]) -> tuple[Statement | None, int]:
    """Writes the columns of rows, each under its version; and how many rows that has to change.

    A row whose object is absent or no JSON object stays as it is: `reconcile` reports it.
    """
    fields = [definition.by_name[name] for name in backfill.names]
    values: list[tuple[SqlValue, ...]] = []
    for record_id, key, version, stored in rows:
        try:
            found = found_in(definition, None, key, version, stored)
        except DecodeError:
            found = None
        if found is not None:
            columns = [to_column(one.type, found.data[one.name]) for one in fields]
            values.append((*columns, record_id, version))
    if not values or not fields:
        return None, 0
    parts = ", ".join(f"{quoted(one.name)} = ?" for one in fields)
    key = quoted(KEY_COLUMN)
    where = f"{quoted(definition.primary.name)} = ? AND petra_version({key}) = ?"
    return Statement(f"UPDATE {quoted(definition.table)} SET {parts} WHERE {where}", many=values), len(values)


def advance(backfill: Backfill, position: str) -> Statement:
    """Records how far a backfill has come; one that is ahead of it stays there."""
    return Statement(
        f'UPDATE "{MIGRATIONS}" SET position = ?1 WHERE id = ?2 AND run = ?3 AND position < ?1',
        (position, backfill.id, backfill.run),
    )


def finish(backfill: Backfill) -> Statement:
    """Records that a backfill is done."""
    return Statement(
        f"UPDATE \"{MIGRATIONS}\" SET state = 'done', at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
        " WHERE id = ? AND run = ?",
        (backfill.id, backfill.run),
    )
