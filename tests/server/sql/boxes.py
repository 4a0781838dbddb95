"""A database of ours over a dictionary of pages, beside a plain SQLite of the same version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from petra_server.errors import Refusal
from petra_server.sql.database import Database, Stop
from petra_server.sql.statements import Outcome, SqlLimits, Statement
from petra_server.storage.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from petra_server.sql.cells import SqlValue

LIMITS = SqlLimits(
    max_sql_bytes=1 << 20,
    max_value_bytes=4 << 20,
    max_rows=100_000,
    max_result_bytes=32 << 20,
    max_write_bytes=32 << 20,
    max_scratch_bytes=64 << 20,
    max_database_bytes=1 << 30,
)

Row = tuple["SqlValue", ...]
NOW_MS = 1_000_000


def no_entries(key: bytes) -> Record | None:
    """For a database whose object has none."""
    return None


class Box:
    """One object's database, stored as the actor does it: pages in a dictionary, after each list."""

    def __init__(self, limits: SqlLimits = LIMITS, *, cache_bytes: int = 1 << 20) -> None:
        self.pages: dict[int, bytes] = {}
        self._limits = limits
        self._cache_bytes = cache_bytes
        self.database = self._open()

    def _open(self) -> Database:
        return Database(self.pages.get, no_entries, self._limits, cache_bytes=self._cache_bytes)

    def reopen(self) -> None:
        """What a restart does, and what is done after a batch could not be stored."""
        self.database.close()
        self.database = self._open()

    def close(self) -> None:
        self.database.close()

    def try_run(self, *statements: Statement, store: bool = True) -> Outcome:
        """Runs a list. Raises what it raises; a database that is broken then is opened again."""
        try:
            outcome = self.database.run(statements, Stop(), now_ms=NOW_MS)
        except Exception:
            if self.database.broken:
                self.reopen()
            raise
        if store:
            self.store(outcome)
        return outcome

    def store(self, outcome: Outcome) -> None:
        if outcome.gone_from:
            for number in [number for number in self.pages if number >= outcome.gone_from]:
                del self.pages[number]
        self.pages.update(outcome.pages)
        self.database.stored()

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row] | str:
        """The rows, or "error" with the kind of it."""
        try:
            return self.try_run(Statement(sql, tuple(values))).results[0].rows
        except Refusal as refusal:
            return f"error {refusal.reason}"

    def rows(self, sql: str, *values: SqlValue) -> list[Row]:
        return self.try_run(Statement(sql, values)).results[0].rows


class Plain:
    """A plain SQLite in memory, each list a transaction."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        self.connection.close()

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row] | str:
        self.connection.execute("BEGIN")
        try:
            rows: list[Row] = list(self.connection.execute(sql, values or None))
            self.connection.execute("COMMIT")
        except apsw.ConstraintError:
            outcome: list[Row] | str = "error SQL_CONSTRAINT"
        except (apsw.SQLError, apsw.MismatchError, apsw.TooBigError) as error:
            outcome = "error SQL_TOO_LARGE" if isinstance(error, apsw.TooBigError) else "error SQL_ERROR"
        except UnicodeDecodeError:
            outcome = "error SQL_ERROR"
        else:
            return rows
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        return outcome

    def figures(self, before: int) -> tuple[int, int]:
        """What the last statement changed by itself, and in all since `before`."""
        total = self.connection.total_changes() - before
        return (self.connection.changes() if total else 0), total
