"""What a database has: the statements that look, and what their rows mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.plan import Database, Record
from petra.datamodel.schema import MIGRATIONS
from petra.errors import SqlConstraint, SqlError
from petra.sql import Result, Statement


def look(definitions: Iterable[ModelDefinition]) -> list[Statement]:
    """Reads columns, indexes and records of steps. The last statement fails where no step was ever done."""
    tables = [table.lower() for one in definitions for table in (one.table, one.access_table)]
    wanted = (json.dumps(tables),)
    among = "lower(m.tbl_name) IN (SELECT value FROM json_each(?))"
    return [
        Statement(
            "SELECT m.name, c.name, c.type FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS c"
            f" WHERE m.type = 'table' AND {among}",
            wanted,
        ),
        Statement(
            "SELECT m.tbl_name, m.name, m.sql FROM sqlite_master AS m WHERE m.type = 'index' AND m.sql IS NOT NULL"
            f" AND {among}",
            wanted,
        ),
        # The other columns of the row with the greatest run: so SQLite defines it for max().
        Statement(
            "SELECT r.id, max(r.run), r.kind, r.model, r.detail, r.state, r.position,"
            " EXISTS (SELECT 1 FROM sqlite_master AS m WHERE m.type = 'table' AND r.id = 'table:' || m.name)"
            f' FROM "{MIGRATIONS}" AS r GROUP BY r.id'
        ),
    ]


def read_database(results: Sequence[Result]) -> Database:
    """What the rows of `look` say, with or without those of its last statement."""
    tables: dict[str, dict[str, str]] = {}
    for table, column, declared in results[0]:
        tables.setdefault(table.lower(), {})[column] = declared
    indexes: dict[str, dict[str, str]] = {}
    for table, name, text in results[1]:
        indexes.setdefault(table.lower(), {})[name] = text
    records = {
        step: Record(run, kind, model, detail, state, position, bool(is_there))
        for step, run, kind, model, detail, state, position, is_there in (results[2] if len(results) > 2 else ())
    }
    return Database(tables, indexes, records)


def records_are_missing(error: SqlError) -> bool:
    """Whether a statement failed because no step was ever done."""
    return f"no such table: {MIGRATIONS}" in error.message


def records_are_taken(error: SqlConstraint) -> bool:
    """Whether a step failed because somebody else has done it."""
    return f"{MIGRATIONS}." in error.message
