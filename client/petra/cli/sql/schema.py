"""What there is in a database, as far as a dump has to know it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from petra import Sql
from petra.cli.sql.literals import like
from petra.sql import Row

# Conditions on a column `name`: not what SQLite keeps for itself, not what is behind virtual tables.
OWN_NAMES: Final = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
NO_SHADOWS: Final = "name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')"
VERSION: Final = "(SELECT schema_version FROM pragma_schema_version)"

_ENTRIES: Final = (
    f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND {OWN_NAMES} AND {NO_SHADOWS}"
    " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid"
)
_TABLES: Final = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type <> 'view'"
_COLUMNS: Final = (
    "SELECT t.name, x.name, x.type, x.pk, x.hidden FROM pragma_table_list t, pragma_table_xinfo(t.name) x"
    " WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') ORDER BY t.name, x.cid"
)
_PARENTS: Final = (
    'SELECT DISTINCT t.name, f."table" FROM pragma_table_list t, pragma_foreign_key_list(t.name) f'
    " WHERE t.schema = 'main' AND t.type = 'table'"
)
_KEY_INDEXES: Final = (
    "SELECT t.name FROM pragma_table_list t, pragma_index_list(t.name) i"
    " WHERE t.schema = 'main' AND t.type = 'table' AND i.origin = 'pk'"
)

# Of the column `hidden` of table_xinfo.
_ORDINARY: Final = 0
_ROWID_NAMES: Final = ("rowid", "_rowid_", "oid")
_MODULE: Final = re.compile(
    r"""\s*CREATE\s+VIRTUAL\s+TABLE\s+(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s("'`\[]+)"""
    r"""\s*USING\s+["'`\[]?(\w+)""",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a statement has made: a table, an index, a view or a trigger. `table` is what it belongs to."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows: an ordinary one, or a virtual one, which has a module."""

    name: str
    sql: str
    module: str
    # Those that values can be given for.
    columns: tuple[str, ...]
    # A name of the rowid, empty for a table that has none beside its columns.
    rowid: str
    # Tables that its foreign keys refer to, in lower case.
    parents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Schema:
    """All of a schema, or what belongs to some tables and views."""

    version: int
    entries: tuple[Entry, ...]
    # In an order in which each comes after those that it refers to, where there is one.
    tables: tuple[Table, ...]
    # The names of all tables, also those that SQLite and its modules keep for themselves.
    names: frozenset[str]


def read_schema(sql: Sql, pattern: str, timeout: float) -> Schema:
    """The schema; of the tables and views alone whose names are LIKE the pattern, unless it is empty.

    It is that of one moment if the version has not changed by its end.
    """

    def rows(statement: str) -> list[Row]:
        return list(sql.query(statement, timeout=timeout))

    ((version,),) = rows(f"SELECT {VERSION}")
    entries = [Entry(*row) for row in rows(_ENTRIES)]
    if pattern:
        wanted = {name for (name,) in rows(f"SELECT lower(name) FROM sqlite_schema WHERE {like('name', pattern)}")}
        entries = [each for each in entries if (each.table if each.kind in _PARTS else each.name).lower() in wanted]
    kinds = rows(_TABLES)
    columns: dict[str, list[Row]] = defaultdict(list)
    for name, *column in rows(_COLUMNS):
        columns[name].append(Row(column))
    parents: dict[str, set[str]] = defaultdict(set)
    for name, parent in rows(_PARENTS):
        parents[name].add(parent.lower())
    with_key_index = {name for (name,) in rows(_KEY_INDEXES)}
    without_rowid = {name for name, _, wr in kinds if wr}
    tables = [
        Table(
            each.name,
            each.sql,
            module_of(each.sql),
            tuple(name for name, _, _, hidden in columns[each.name] if hidden == _ORDINARY),
            "" if each.name in without_rowid else _rowid(columns[each.name], key_index=each.name in with_key_index),
            frozenset(parents[each.name]),
        )
        for each in entries
        if each.kind == "table"
    ]
    return Schema(version, tuple(entries), tuple(_parents_first(tables)), frozenset(name for name, _, _ in kinds))


# They belong to tables.
_PARTS: Final = ("index", "trigger")


def module_of(sql: str) -> str:
    """The module of a virtual table, in lower case; empty for an ordinary one, "?" where it cannot be seen."""
    if not re.match(r"\s*CREATE\s+VIRTUAL\b", sql, re.IGNORECASE):
        return ""
    match = _MODULE.match(sql)
    return match[1].lower() if match else "?"


def _rowid(columns: Sequence[Row], *, key_index: bool) -> str:
    """What the rowid is called, where it is not one of the columns."""
    key = [kind for _, kind, pk, _ in columns if pk]
    if len(key) == 1 and key[0].upper() == "INTEGER" and not key_index:
        return ""
    taken = {name.lower() for name, *_ in columns}
    return next((name for name in _ROWID_NAMES if name not in taken), "")


def _parents_first(tables: Iterable[Table]) -> list[Table]:
    """Tables after those that they refer to; those that refer to one another as they come."""
    left: Mapping[str, Table] = {table.name.lower(): table for table in tables}
    ordered: list[Table] = []
    while left:
        free = [table for name, table in left.items() if not (table.parents - {name}) & left.keys()]
        ordered += free or [next(iter(left.values()))]
        done = {table.name for table in ordered}
        left = {name: table for name, table in left.items() if table.name not in done}
    return ordered
