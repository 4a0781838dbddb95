"""What a database can be asked, and what it answers: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from petra_server.sql.cells import NO_CELLS, Cells, SqlValue

# What a result takes of a message beside its columns and cells.
RESULT_BYTES = 64


class Statement(NamedTuple):
    """SQL text and its parameters: by position, or by name when there are `names`, one for each parameter.

    `times` executes it so often, each time with its share of the parameters, in order.
    """

    sql: str
    parameters: tuple[SqlValue, ...] = ()
    names: tuple[str, ...] = ()
    times: int = 1


class Column(NamedTuple):
    """A column of an answer. The declared type is empty for an expression."""

    name: str
    declared_type: str


class StatementResult(NamedTuple):
    """What one Statement did.

    Columns, cells and `last_insert_rowid` are those of its last SQL statement; the figures are sums over all of them.
    `changes` counts as sqlite3_changes does, `rows_written` also what triggers and foreign keys changed. `rows_read` is
    as near as SQLite tells: the steps of full scans, or the rows of the answer where they are more.
    """

    columns: tuple[Column, ...]
    cells: Cells
    changes: int
    last_insert_rowid: int
    rows_read: int
    rows_written: int
    duration_us: int

    @property
    def rows(self) -> list[tuple[SqlValue, ...]]:
        """The cells as rows."""
        values, width = self.cells.values(), len(self.columns)
        return [tuple(values[at : at + width]) for at in range(0, len(values), width)] if width else []


# Of a statement that did nothing.
NO_RESULT = StatementResult((), NO_CELLS, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlLimits:
    """What bounds SQL; see petra_server.settings for the meaning of each."""

    max_sql_bytes: int
    max_value_bytes: int
    max_rows: int
    max_result_bytes: int
    max_write_bytes: int
    max_scratch_bytes: int
    max_database_bytes: int


@dataclass(slots=True)
class Outcome:
    """What a list of statements did. When there are `pages` they are to be stored, and its database told so."""

    results: tuple[StatementResult, ...]
    # Changed pages by their numbers; empty when nothing was changed.
    pages: dict[int, bytes] = field(repr=False)
    # Pages from this number on are gone; 0: none went.
    gone_from: int
    database_bytes: int
    # Whether every statement was one that only reads.
    read_only: bool
    # About how much the results take of a message.
    size_bytes: int = 0
    # Whether they looked at entries of the object.
    saw_entries: bool = False
