"""Runs statements on the database of one object, and prints what they answer.

Rows of statements that read are streamed: memory holds some of them, however many they are. A Session is for one
thread. An interrupt ends the statement that it waits for, and leaves the session as it was.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from petra import Sql
from petra.cli.shown import counted
from petra.cli.sql.literals import with_parameters
from petra.cli.sql.printers import Mode, Printer, noted, printer, written
from petra.cli.sql.splitting import Piece
from petra.errors import SqlNotAllowed
from petra.sql import Column, Params, Result, Row, Statement

# Statements that begin so may be queries. The others are executed, as the server would refuse to stream them.
READING: Final = frozenset(("SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"))
# Of these it is of interest how many rows they have changed.
_CHANGING: Final = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"))
# Beyond it long values are sent as parameters: the server bounds the text of a statement, to 256 KiB unless set.
_LONG_TEXT: Final = 64 << 10


class Session:
    """A database, and how results are printed. Its fields may be set between statements."""

    def __init__(self, sql: Sql, *, mode: Mode = "table", readonly: bool = False, timeout: float = 30.0) -> None:
        self.sql = sql
        self.readonly = readonly
        self.mode = mode
        self.headers = True
        # Whether how long a statement took is printed.
        self.timer = False
        # In seconds, for each statement with all its rows.
        self.timeout = timeout
        # Whether somebody reads along, who is told how many rows there are.
        self.interactive = False

    @property
    def printer(self) -> Printer:
        """How results are printed now."""
        return printer(self.mode, headers=self.headers)

    def run(self, piece: Piece, params: Params = ()) -> None:
        """Runs a statement and prints its rows, or what it has changed. Raises PetraError."""
        with self.timed():
            if (self.readonly or piece.word in READING) and self._query(piece, params):
                return
            (result,) = self.batch([sendable(piece.text, params)])
            self.print_result(result)
            if piece.word in _CHANGING and not result.columns:
                self.printer.report({"changes": result.changes})

    def run_query(self, text: str) -> None:
        """Runs a statement of ours that reads, and prints its rows."""
        with self.timed():
            self._query(Piece(text, 1, "SELECT"), ())

    def batch(self, statements: Iterable[Statement]) -> list[Result]:
        """Runs statements in one step, and prints nothing."""
        return self.sql.batch(statements, timeout=self.timeout)

    def print_result(self, result: Result) -> None:
        """Prints the rows of a result, when it has some."""
        if result.columns:
            self._print(result.columns, result.rows)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around what the timer measures. What was printed in it is flushed."""
        started = time.perf_counter()
        yield
        sys.stdout.flush()
        if self.timer:
            noted(f"{(time.perf_counter() - started) * 1_000:.1f} ms.")

    def _query(self, piece: Piece, params: Params) -> bool:
        """Whether it was a query, and was printed."""
        statement = sendable(piece.text, params)
        with self.sql.query(statement.sql, statement.params, timeout=self.timeout) as rows:
            try:
                columns = rows.columns()
            except SqlNotAllowed:
                if self.readonly:
                    raise
                # It writes, or it is not allowed in any way, as will be said again.
                return False
            if columns:
                self._print(columns, rows)
        return True

    def _print(self, columns: Sequence[Column], rows: Iterable[Row]) -> None:
        count = self.printer.rows([column.name for column in columns], rows)
        if self.interactive and self.mode == "table":
            written(f"({counted(count, 'row', 'rows')})\n")


def sendable(text: str, params: Params = ()) -> Statement:
    """A statement as it is sent: the long values of a long text as parameters."""
    if params or len(text) <= _LONG_TEXT or text[:6].upper() == "CREATE":
        return Statement(text, params)
    return Statement(*with_parameters(text))
