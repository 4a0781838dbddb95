"""What is known of one Statement while it runs: its columns and rows, and what it has read and changed.

Of a text with several SQL statements the rows are those of the last one, and the figures are sums over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import apsw

from petra_server.sql.cells import NO_CELLS, SqlValue, cells_of
from petra_server.sql.statements import Column, StatementResult


class Part:
    """Of one Statement on one connection, from its beginning on. `rows` is filled by whoever takes them."""

    __slots__ = (
        "_changes",
        "_connection",
        "_started_ns",
        "_total",
        "_written",
        "begun",
        "columns",
        "row_count",
        "rows",
        "scanned",
    )

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._started_ns = time.perf_counter_ns()
        self._total = connection.total_changes()
        self._changes = self._written = 0
        # Whether an SQL statement of the text has begun.
        self.begun = False
        self.columns: tuple[Column, ...] = ()
        self.rows: list[Sequence[SqlValue]] = []
        # Rows that were given out or dropped.
        self.row_count = 0
        self.scanned = 0

    def begins(self, cursor: apsw.Cursor) -> None:
        """Another SQL statement of the text is about to run, or the same once more."""
        self.begun = True
        self._count()
        self.row_count += len(self.rows)
        self.rows.clear()
        self.columns = tuple([Column(name, declared or "") for name, declared in cursor.get_description()])

    def result(self) -> tuple[StatementResult, int]:
        """And about how many bytes it takes of a message."""
        self._count()
        if self.columns:
            cells, size_bytes = cells_of(self.rows)
            size_bytes += sum([len(name) + len(declared) for name, declared in self.columns])
        else:
            cells, size_bytes = NO_CELLS, 0
        result = StatementResult(
            self.columns,
            cells,
            self._changes,
            self._connection.last_insert_rowid(),
            max(self.scanned, self.row_count + len(self.rows)),
            self._written,
            (time.perf_counter_ns() - self._started_ns) // 1_000,
        )
        return result, size_bytes

    def _count(self) -> None:
        """Counts what has changed since it was last counted: sqlite3_changes speaks of the last statement only."""
        total = self._connection.total_changes()
        if total != self._total:
            self._changes += self._connection.changes()
            self._written += total - self._total
            self._total = total
