"""The tables and indexes that a model has in SQL. Pure.

A model has a table of rows and a table of access: `"pages"` and `"pages__auth"`. Both are WITHOUT ROWID: a row is found
by its primary key without a second look, and each index ends with that key. An index on fields has the primary key and
`deleted_at` after them, so that it alone tells the order of a page, whom to look up in the access table, and which
records are deleted. What must be unique is so among the records that are not deleted.

The name of an index is made of its table and its columns, such as `"pages(status,created_at)"`, so two different
ones never have the same name, and each is recognised by its name and its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from petra.datamodel.definition import (
    DELETED_AT,
    KEY_COLUMN,
    NO_DEFAULT,
    FieldDefinition,
    IndexDefinition,
    ModelDefinition,
    quoted,
)
from petra.datamodel.encoding import SQL_TYPES, normalized, to_column
from petra.sql import SqlValue

# What was done to the tables, and how far a backfill has come: a row for each run of each step.
MIGRATIONS: Final = "_petra_migrations"
CREATE_MIGRATIONS: Final = (
    f'CREATE TABLE IF NOT EXISTS "{MIGRATIONS}" (id TEXT NOT NULL, run INTEGER NOT NULL, kind TEXT NOT NULL,'
    " model TEXT NOT NULL, detail TEXT NOT NULL, state TEXT NOT NULL, position TEXT NOT NULL DEFAULT '',"
    " at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), PRIMARY KEY (id, run)) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it should be, and the statement that makes it."""

    name: str
    unique: bool
    sql: str


def create_tables(definition: ModelDefinition) -> tuple[str, ...]:
    """The statements that make a model's tables, without indexes."""
    table, access = quoted(definition.table), quoted(definition.access_table)
    first, *rest = definition.columns
    columns = [
        f"{quoted(first.name)} TEXT NOT NULL PRIMARY KEY",
        f"{quoted(KEY_COLUMN)} TEXT NOT NULL UNIQUE",
        *(f"{quoted(one.name)} {SQL_TYPES[one.type]}" for one in rest),
    ]
    users = "user_id TEXT NOT NULL, record_id TEXT NOT NULL, PRIMARY KEY (user_id, record_id)"
    return (
        f"CREATE TABLE {table} ({', '.join(columns)}) WITHOUT ROWID",
        f"CREATE TABLE {access} ({users}) WITHOUT ROWID",
    )


def columns(definition: ModelDefinition) -> dict[str, str]:
    """The columns of a model's table, with the types they are declared with."""
    first, *rest = definition.columns
    return {first.name: "TEXT", KEY_COLUMN: "TEXT"} | {one.name: SQL_TYPES[one.type] for one in rest}


def add_column(definition: ModelDefinition, column: FieldDefinition) -> str:
    """The statement that adds a column. Rows that are there have the field's default in it, if that is a constant."""
    text = f"ALTER TABLE {quoted(definition.table)} ADD COLUMN {quoted(column.name)} {SQL_TYPES[column.type]}"
    if callable(column.default) or column.default is NO_DEFAULT:
        return text
    value = to_column(column.type, normalized(column.type, column.default))
    # SQL has no parameters here, and a text that cannot be written as it is comes with the backfill.
    return text if value is None or "\x00" in str(value) else f"{text} DEFAULT {_literal(value)}"


def indexes(definition: ModelDefinition) -> Iterator[Index]:
    """The indexes that a model asks for, each once."""
    seen: set[str] = set()
    made = [_index(definition, one) for one in definition.d1.indexes]
    for one in [*made, *(_unique(definition, names) for names in definition.d1.unique)]:
        if one.name not in seen:
            seen.add(one.name)
            yield one


def belongs(name: str, table: str) -> bool:
    """Whether an index of that name was made for a model's table here."""
    return name.endswith(")") and name.removeprefix("unique ").startswith(f"{table}(")


def literal_name(name: str) -> str:
    """The name of an index as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _index(definition: ModelDefinition, index: IndexDefinition) -> Index:
    descending = index.fields[-1].startswith("-")
    parts = [_part(name.removeprefix("-"), name.startswith("-")) for name in index.fields]
    if definition.primary.name not in index.columns:
        parts.append(_part(definition.primary.name, descending))
    if DELETED_AT in definition.by_name and DELETED_AT not in index.columns:
        parts.append(_part(DELETED_AT, False))
    name = f"{definition.table}({','.join(index.fields)})"
    sql = f"CREATE INDEX {literal_name(name)} ON {quoted(definition.table)} ({', '.join(parts)})"
    return Index(name, False, sql)


def _unique(definition: ModelDefinition, names: tuple[str, ...]) -> Index:
    name = f"unique {definition.table}({','.join(names)})"
    parts = ", ".join(_part(one, False) for one in names)
    sql = f"CREATE UNIQUE INDEX {literal_name(name)} ON {quoted(definition.table)} ({parts})"
    if DELETED_AT in definition.by_name:
        sql += f" WHERE {quoted(DELETED_AT)} IS NULL"
    return Index(name, True, sql)


def _part(name: str, descending: bool) -> str:
    return f"{quoted(name)}{' DESC' if descending else ''}"


def _literal(value: SqlValue) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
