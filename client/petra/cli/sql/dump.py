"""A database as a script that makes it again: here, and in SQLite.

All rows are read by one query, so they are those of one moment, and they are streamed. The query says which version the
schema has, and is made again when that has changed since the schema was read.

What comes back is the same, value by value and rowid by rowid. A virtual table comes back by its rows, or is built
again from the table whose rows it shows; one whose rows cannot be read is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Final

from petra import Rows, Sql
from petra.cli.group import CannotRun
from petra.cli.running import NOT_FOUND, NOT_REACHED, OTHER_ERROR
from petra.cli.sql.literals import like as is_like
from petra.cli.sql.literals import literal, quoted, text_literal
from petra.cli.sql.schema import VERSION, Schema, Table, read_schema
from petra.cli.sql.splitting import ended
from petra.errors import InternalError
from petra.sql import Row, SqlValue

_ATTEMPTS: Final = 20
# Of one INSERT: few enough to be read by people, and many enough to be fast.
_ROWS: Final = 100
_CHARACTERS: Final = 16 << 10
# SQLite's own limit is 500 for SELECTs with UNION ALL between them.
_TERMS: Final = 400

_ROWS_READABLE: Final = frozenset(("fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"))
_NO_ROWS: Final = frozenset(("fts5vocab", "fts4aux"))
_FULL_TEXT: Final = frozenset(("fts3", "fts4", "fts5"))
_CONTENT: Final = re.compile(r"""[(,]\s*content\s*=\s*("[^"]*"|'[^']*'|[^\s,)]*)""", re.IGNORECASE)
_UNREADABLE: Final = re.compile(r"[(,]\s*(languageid|locale)\s*=\s*[^\s0]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows: what to select, from where, what puts them back, and what stands before and behind that."""

    expressions: tuple[str, ...]
    origin: str
    insert: str
    before: str = ""
    after: str = ""


def dump(sql: Sql, *, like: str = "", timeout: float) -> Iterator[str]:
    """The script, in parts; of tables and views whose names are LIKE something, or of all.

    Raises PetraError, and CannotRun for a virtual table that cannot be dumped, or when there is none of such a name.
    """
    for _ in range(_ATTEMPTS):
        schema = read_schema(sql, like, timeout)
        if like and not schema.entries:
            raise CannotRun(f"there is no table or view {like}.", NOT_FOUND)
        sources = list(_sources(schema, like))
        rows = sql.query(_query(sources), timeout=timeout)
        with closing(rows):
            _, version, *settings = next(rows)
            if version == schema.version:
                yield from _script(schema, sources, settings, rows, whole=not like)
                return
    raise CannotRun("tables are made and changed all the time: try again.", NOT_REACHED)


# What is read.


def _sources(schema: Schema, like: str) -> Iterator[_Source]:
    for table in schema.tables:
        if not table.module:
            yield _table(table)
    for table in schema.tables:
        if table.module and table.module not in _NO_ROWS:
            yield from _virtual(table, schema)
    if "sqlite_sequence" in schema.names and _counts(schema):
        where = f" WHERE {is_like('name', like)}" if like else ""
        before = f"DELETE FROM sqlite_sequence{where};\n"
        yield _Source(("name", "seq"), f"sqlite_sequence{where}", "INSERT INTO sqlite_sequence(name, seq)", before)
    if "sqlite_stat1" in schema.names and not like:
        yield _Source(
            ("tbl", "idx", "stat"),
            "sqlite_stat1",
            "INSERT INTO sqlite_stat1(tbl, idx, stat)",
            # So the table is there, and its rows are looked at.
            "ANALYZE sqlite_master;\nDELETE FROM sqlite_stat1;\n",
            "ANALYZE sqlite_master;\n",
        )


def _table(table: Table) -> _Source:
    # In the order of the rowid: an index may have all the columns, and another order.
    return _rows_of(table, table.rowid, f"{quoted(table.name)} NOT INDEXED")


def _rows_of(table: Table, rowid: str, origin: str, after: str = "") -> _Source:
    names = [*([rowid] if rowid else []), *map(quoted, table.columns)]
    insert = f"INSERT INTO {quoted(table.name)}({', '.join(names)})"
    return _Source(tuple(names), origin, insert, after=after)


def _virtual(table: Table, schema: Schema) -> Iterator[_Source]:
    name, module = quoted(table.name), table.module
    if module not in _ROWS_READABLE:
        raise CannotRun(f"{table.name} is a virtual table of a module that cannot be dumped.", OTHER_ERROR)
    if _UNREADABLE.search(table.sql):
        raise CannotRun(f"{table.name} has languages or locales, which cannot be read back: dump others.", OTHER_ERROR)
    if module not in _FULL_TEXT:
        yield _rows_of(table, "" if module.startswith("rtree") else "rowid", name)
        return
    if f"{table.name}_content" in schema.names:
        yield _rows_of(table, "rowid" if module == "fts5" else "docid", name)
    elif (content := _CONTENT.search(table.sql)) and content[1].strip("\"'"):
        rebuild = f"INSERT INTO {name}({name}) VALUES('rebuild');\n"
        yield _Source(("NULL",), "(SELECT 1 WHERE 0)", "", after=rebuild)
    else:
        raise CannotRun(f"{table.name} keeps an index and no texts, so it cannot be dumped: dump others.", OTHER_ERROR)
    if module == "fts5":
        settings = f"{quoted(f'{table.name}_config')} WHERE k <> 'version'"
        yield _Source(("k", "v"), settings, f"INSERT INTO {name}({name}, rank)")


def _counts(schema: Schema) -> bool:
    """Whether a table of it is one with AUTOINCREMENT, so that there is a table of the numbers they have reached."""
    return any("AUTOINCREMENT" in table.sql.upper() for table in schema.tables)


def _query(sources: Sequence[_Source]) -> str:
    """One query for all rows: the number of the source, then its values, then as many NULLs as the widest one needs."""
    width = max([3, *(len(source.expressions) for source in sources)])
    settings = "(SELECT user_version FROM pragma_user_version)", "(SELECT application_id FROM pragma_application_id)"
    terms = [_term(0, (VERSION, *settings), width, "")]
    for number, source in enumerate(sources, 1):
        terms.append(_term(number, list(map(_packed, source.expressions)), width, f" FROM {source.origin}"))
    groups = [" UNION ALL ".join(terms[at : at + _TERMS]) for at in range(0, len(terms), _TERMS)]
    if len(groups) == 1:
        return groups[0]
    return " UNION ALL ".join([f"SELECT * FROM ({group})" for group in groups])


def _term(number: int, expressions: Sequence[str], width: int, origin: str) -> str:
    values = [str(number), *expressions, *["NULL"] * (width - len(expressions))]
    return f"SELECT {', '.join(values)}{origin}"


def _packed(name: str) -> str:
    """Texts and blobs as blobs that begin with what they are: so a text may be one that is no UTF-8."""
    return (
        f"CASE typeof({name}) WHEN 'text' THEN CAST('t' || {name} AS BLOB)"
        f" WHEN 'blob' THEN CAST('b' || {name} AS BLOB) ELSE {name} END"
    )


# What is written.


def _script(
    schema: Schema, sources: Sequence[_Source], settings: Sequence[SqlValue], rows: Rows, *, whole: bool
) -> Iterator[str]:
    yield "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
    if whole:
        for name, value in zip(("user_version", "application_id"), settings, strict=False):
            if value:
                yield f"PRAGMA {name}={literal(value)};\n"
    for entry in schema.entries:
        if entry.kind in {"table", "index"}:
            yield f"{ended(entry.sql)}\n"
    yield from _inserts(sources, rows)
    for entry in schema.entries:
        if entry.kind in {"view", "trigger"}:
            yield f"{ended(entry.sql)}\n"
    yield "COMMIT;\n"


def _inserts(sources: Sequence[_Source], rows: Iterable[Row]) -> Iterator[str]:
    groups = groupby(rows, key=lambda row: row[0])
    number, group = next(groups, (0, iter(())))
    for at, source in enumerate(sources, 1):
        yield source.before
        if number == at:
            yield from _insert(source, group)
            number, group = next(groups, (0, iter(())))
        yield source.after
    if number:
        raise InternalError("The rows of the tables do not come in their order. This is a fault of Petra; report it.")


def _insert(source: _Source, rows: Iterable[Row]) -> Iterator[str]:
    width = len(source.expressions)
    lines: list[str] = []
    size = 0
    for row in rows:
        values = tuple(row)[1 : width + 1]
        line = f"({','.join(map(_value, values))})"
        if lines and (len(lines) == _ROWS or size + len(line) > _CHARACTERS):
            yield _statement(source, lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield _statement(source, lines)


def _statement(source: _Source, lines: Sequence[str]) -> str:
    return "".join(chain([source.insert, " VALUES\n", ",\n".join(lines), ";\n"]))


def _value(value: SqlValue) -> str:
    if isinstance(value, bytes):
        return text_literal(value[1:]) if value[:1] == b"t" else literal(value[1:])
    return literal(value)
