"""One open database: a connection of SQLite over a page file. It runs lists of statements, each as one transaction.

What a list changed is in its Outcome, and in SQLite's mind committed. Whoever runs it stores the pages and calls
`stored`; when they cannot be stored, or `broken` is set, the database is to be closed and opened again, which leaves it
as the store has it.

One thread at a time, but for `interrupt`, which any thread may call while a list runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from petra_server.errors import Reason, Refusal
from petra_server.sql.cells import Cells, SqlValue, cells_of
from petra_server.sql.entries import Entries, ReadEntry
from petra_server.sql.failures import (
    Interrupted,
    keeps_connection,
    missing_parameter,
    no_writes,
    one_statement,
    parameters_of_one_name,
    refusal_of,
)
from petra_server.sql.figures import Part
from petra_server.sql.functions import bound_functions
from petra_server.sql.guards import BEGIN, COMMIT, ROLLBACK, Guard, limit_connection
from petra_server.sql.pages import PAGE_BYTES, PageFile, ReadPage
from petra_server.sql.statements import RESULT_BYTES, Column, Outcome, SqlLimits, Statement, StatementResult
from petra_server.sql.vfs import VFS, Scratch

# Prepared statements that a connection keeps.
_STATEMENT_CACHE = 64
# Names and parsed definitions of a schema, in memory as long as its database is open.
_MAX_SCHEMA_BYTES = 16 << 20
_MAX_SCHEMA_OBJECTS = 10_000

# What a text has in it that defers the checks of foreign keys.
_DEFERS = "defer_foreign_keys"

# Rows as Python holds them may be so many times as large as in a message: small numbers are.
_MEMORY_FACTOR = 8

_MEMORY = (apsw.SQLITE_DBSTATUS_CACHE_USED, apsw.SQLITE_DBSTATUS_SCHEMA_USED, apsw.SQLITE_DBSTATUS_STMT_USED)


class Stop:
    """Set by whoever wants a list to end, beside `Database.interrupt`, which what runs between steps does not see."""

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False


class Database:
    """An open database. Opening reads its first page."""

    def __init__(self, read: ReadPage, read_entry: ReadEntry, limits: SqlLimits, *, cache_bytes: int) -> None:
        self._limits = limits
        self._file = file = PageFile(read, max_write_bytes=limits.max_write_bytes)
        self._guard = Guard()
        self._entries = Entries(read_entry)
        self._scratch = Scratch(limits.max_scratch_bytes)
        self._connection = connection = VFS.connect(file, statement_cache=_STATEMENT_CACHE)
        self._set_up(cache_bytes)
        self._control = connection.cursor()
        self._cursor = connection.cursor()
        self._cursor.exec_trace = self._begins
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._ended)
        connection.authorizer = self._guard
        # Nothing may be asked of it any more but `close`.
        self.broken = False
        # About as much as it holds in memory; measured after each list.
        self.memory_bytes = 0
        # Of the list that runs.
        self._stop = Stop()
        self._read_only: Refusal | None = None
        self._single = False
        self._wrote = False
        # Whether pages were written before its transaction began, which a rollback leaves as they are.
        self._wrote_apart = False
        self._left_rows = self._left_bytes = self._left_memory_bytes = 0
        self._part = Part(connection)
        self._rows: Iterator[Any] = iter(())

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    @property
    def unstored(self) -> bool:
        """Whether there are pages that SQLite has committed and that are not stored."""
        return self._file.unstored

    def run(
        self,
        statements: Sequence[Statement],
        stop: Stop,
        *,
        now_ms: int,
        read_only: Refusal | None = None,
        max_result_bytes: int = 0,
        single: bool = False,
    ) -> Outcome:
        """Runs a list as one transaction. `read_only` is what statements that write are refused with.

        Entries that have expired by `now_ms` are not there.

        `max_result_bytes` may be less than the limit; 0: the limit. With `single` a text may have one SQL statement.

        Raises Refusal, with nothing changed; Interrupted when `stop` was requested; and any fault of ours.
        """
        self._begin_list(stop, now_ms, read_only, max_result_bytes, single=single)
        try:
            results = tuple([self._run_one(index, statement) for index, statement in enumerate(statements)])
            if self._guard.schema_changed:
                self._check_schema()
            if self._wrote:
                self._control.execute(COMMIT)
        except Exception as error:
            self._roll_back()
            self._end_list()
            raise self._told(error) from error
        self._end_list()
        pages, gone_from = self._file.commit()
        if pages and read_only is not None:
            # A statement that SQLite does not call a writing one, such as REINDEX.
            self.broken = True
            raise read_only
        return Outcome(
            results,
            pages,
            gone_from,
            self._file.size_bytes,
            read_only=not (self._wrote or pages),
            size_bytes=(max_result_bytes or self._limits.max_result_bytes) - self._left_bytes,
            saw_entries=self._entries.seen,
        )

    def open_query(self, statement: Statement, stop: Stop, *, now_ms: int) -> tuple[Column, ...]:
        """Begins a query whose rows are taken with `take_rows`, and says what its columns are.

        Such a database is for this query alone: it ends with `close`. Raises as `run` does.
        """
        self._begin_list(stop, now_ms, no_writes(), single=True)
        part = self._part = Part(self._connection)
        self._guard.enabled = True
        try:
            self._rows = iter(self._cursor.execute(statement.sql, _bindings(statement.parameters, statement.names)))
        except Exception as error:
            raise self._told(error) from error
        finally:
            VFS.opening.scratch = None
        return part.columns

    def take_rows(self, max_rows: int, max_bytes: int) -> Cells:
        """The next rows of the query, none at its end. Raises as `run` does."""
        VFS.opening.scratch = self._scratch
        part, taken, memory_bytes = self._part, 0, 0
        part.row_count += len(part.rows)
        part.rows.clear()
        try:
            for row in self._rows:
                part.rows.append(row)
                taken += 1
                memory_bytes += sum(map(sys.getsizeof, row))
                if taken == max_rows or memory_bytes > max_bytes:
                    break
            return cells_of(part.rows)[0]
        except Exception as error:
            raise self._told(error) from error
        finally:
            VFS.opening.scratch = None

    def figures(self) -> StatementResult:
        """Of the query whose rows were taken; without cells."""
        return self._part.result()[0]

    def stored(self) -> None:
        """The pages of all outcomes are stored."""
        self._file.stored()

    def interrupt(self) -> None:
        """Has the statement that runs fail, when one runs. Set `stop` first."""
        self._connection.interrupt()

    def close(self) -> None:
        self.broken = True
        self._connection.close(force=True)

    # One list.

    def _begin_list(
        self, stop: Stop, now_ms: int, read_only: Refusal | None, max_result_bytes: int = 0, *, single: bool
    ) -> None:
        self._stop, self._read_only, self._single = stop, read_only, single
        self._entries.now_ms, self._entries.seen = now_ms, False
        self._wrote = self._wrote_apart = False
        self._left_rows = self._limits.max_rows
        self._left_bytes = max_result_bytes or self._limits.max_result_bytes
        self._left_memory_bytes = _MEMORY_FACTOR * self._left_bytes
        self._scratch.overflowed = False
        self._guard.refusal = None
        self._guard.enabled = self._guard.deferred = False
        VFS.opening.scratch = self._scratch

    def _end_list(self) -> None:
        VFS.opening.scratch = None
        if self._guard.deferred:
            # Without a transaction that ended it, it would go on for whoever comes next.
            self._control.execute("PRAGMA defer_foreign_keys = OFF")
        status = self._connection.status
        self.memory_bytes = sum([status(what)[0] for what in _MEMORY])

    def _run_one(self, index: int, statement: Statement) -> StatementResult:
        part = self._part = Part(self._connection)
        self._guard.enabled = True
        try:
            for bindings in _shares(statement):
                self._take(part, self._execute(statement.sql, bindings))
            result, size_bytes = part.result()
            self._left_bytes -= RESULT_BYTES + size_bytes
            if self._left_bytes < 0:
                raise self._too_large()
        except Exception as error:
            error.add_note(f"statements[{index}]")
            raise
        self._guard.enabled = False
        return result

    def _execute(self, sql: str, bindings: Any) -> Iterable[Any]:  # noqa: ANN401 - as apsw takes them
        try:
            return self._cursor.execute(sql, bindings)
        except KeyError as error:
            # So apsw says that a dictionary lacks a name.
            raise missing_parameter(str(error.args[0])) from None

    def _take(self, part: Part, cursor: Iterable[Any]) -> None:
        """Takes the rows, as many as the answer may have and memory may hold."""
        for row in cursor:
            part.rows.append(row)
            self._left_rows -= 1
            self._left_memory_bytes -= sum(map(sys.getsizeof, row))
            if self._left_rows < 0 or self._left_memory_bytes < 0:
                raise self._too_large()

    def _too_large(self) -> Refusal:
        limits = self._limits
        return Refusal(
            Reason.RESULT_TOO_LARGE,
            f"The answer has more than {limits.max_rows} rows or {limits.max_result_bytes} bytes."
            " Nothing was changed. Ask for less with LIMIT, or use Query, which streams.",
            field="sql",
        )

    # What SQLite and apsw call.

    def _begins(self, cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        """A statement of the user is about to run."""
        if self._stop.requested:
            raise Interrupted
        if not cursor.has_vdbe:
            # A comment behind the last statement, whose rows are the answer.
            return True
        if self._single and self._part.begun:
            raise one_statement()
        if not self._wrote:
            writes = not cursor.is_readonly and not cursor.is_explain
            if writes and self._read_only is not None:
                raise self._read_only
            # Reads alone need no transaction: nobody else writes. What is deferred is deferred to the end of one.
            if writes or (self._read_only is None and _DEFERS in sql.lower()):
                self._begin()
        if self._part.rows:
            self._give_back(self._part.rows)
        self._part.begins(cursor)
        return True

    def _give_back(self, rows: Sequence[Sequence[SqlValue]]) -> None:
        """Rows that are not part of the answer, since another statement or execution follows."""
        self._left_rows += len(rows)
        self._left_memory_bytes += sum([sys.getsizeof(value) for row in rows for value in row])

    def _begin(self) -> None:
        # PRAGMA optimize writes, and SQLite says that it only reads.
        self._wrote_apart = bool(self._file.dirty)
        self._guard.enabled = False
        self._control.execute(BEGIN)
        self._guard.enabled = True
        self._wrote = True

    def _ended(self, event: dict[str, Any]) -> None:
        self._part.scanned += event["stmt_status"]["SQLITE_STMTSTATUS_FULLSCAN_STEP"]

    # Ends.

    def _check_schema(self) -> None:
        """Raises Refusal when the list has made the schema larger than it may be."""
        self._guard.schema_changed = False
        if self._connection.status(apsw.SQLITE_DBSTATUS_SCHEMA_USED)[0] > _MAX_SCHEMA_BYTES:
            raise Refusal(
                Reason.SQL_TOO_LARGE,
                f"The schema would take more than {_MAX_SCHEMA_BYTES >> 20} MiB of memory. Nothing was changed."
                " Use fewer tables, or several objects.",
                field="sql",
            )

    def _roll_back(self) -> None:
        """Rolls back what SQLite has not rolled back by itself, and forgets what it wrote."""
        self._guard.enabled = False
        try:
            self._cursor.close(force=True)
            self._cursor = self._connection.cursor()
            self._cursor.exec_trace = self._begins
            if self._connection.in_transaction:
                self._control.execute(ROLLBACK)
        except apsw.Error:
            self.broken = True
        if self._wrote_apart or (self._file.dirty and not self._wrote):
            # Written without a transaction of ours, and so committed as far as SQLite is concerned.
            self.broken = True
        self._file.roll_back()

    def _told(self, error: Exception) -> Exception:
        """What a failed list is told."""
        if self._file.failure is not None:
            self.broken = True
            return self._file.failure
        if not keeps_connection(error):
            self.broken = True
        if isinstance(error, apsw.InterruptError):
            return Interrupted()
        refusal = self._refusal_of(error)
        if refusal is None:
            return error
        field = next(iter(getattr(error, "__notes__", ())), "")
        return refusal.within(field) if field and refusal.field else refusal

    def _refusal_of(self, error: Exception) -> Refusal | None:
        if isinstance(error, Refusal):
            return error
        if self._guard.refusal is not None and isinstance(error, apsw.AuthError | apsw.SQLError):
            return self._guard.refusal
        if self._scratch.overflowed or isinstance(error, apsw.FullError):
            limits = self._limits
            return Refusal(
                Reason.SQL_TOO_LARGE,
                "The statements write too much at once, or their database would be too large. Nothing was changed."
                f" Together they may write {limits.max_write_bytes} bytes of pages and use {limits.max_scratch_bytes}"
                f" for sorting, in a database of {limits.max_database_bytes}. Do less at a time.",
                field="sql",
            )
        if isinstance(error, apsw.AbortError) and "schema objects" in str(error):
            return Refusal(
                Reason.SQL_TOO_LARGE,
                f"A schema has {_MAX_SCHEMA_OBJECTS} tables, indexes, views and triggers at most. Nothing was changed."
                " Use fewer, or several objects.",
                field="sql",
            )
        return refusal_of(error)

    def _set_up(self, cache_bytes: int) -> None:
        limits, page_bytes = self._limits, self._file.page_bytes
        self._connection.execute(
            f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY;"
            f" PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -{cache_bytes >> 10};"
            f" PRAGMA foreign_keys = ON; PRAGMA max_page_count = {limits.max_database_bytes // page_bytes};"
        ).fetchall()
        limit_connection(self._connection, limits)
        self._entries.offer_to(self._connection)
        bound_functions(self._connection)
        self._connection.limit(apsw.SQLITE_LIMIT_SCHEMA, _MAX_SCHEMA_OBJECTS)


def _shares(statement: Statement) -> Iterator[Any]:
    """The bindings of each execution."""
    _, parameters, names, times = statement
    if times == 1:
        yield _bindings(parameters, names)
        return
    width = len(parameters) // times
    for at in range(0, width * times, width) if width else [0] * times:
        yield _bindings(parameters[at : at + width], names)


def _bindings(parameters: Sequence[SqlValue], names: Sequence[str]) -> Sequence[SqlValue] | dict[str, SqlValue] | None:
    if names:
        bindings = dict(zip([name.lstrip(":@$") for name in names], parameters, strict=True))
        if len(bindings) != len(names):
            raise parameters_of_one_name()
        return bindings
    return parameters or None
