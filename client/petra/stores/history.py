"""Which migrations a database has seen, how that is kept, and what it means for those of a package. Pure.

The table `_migrations` has a row for each that was applied: number, name, checksum, and when. A row is inserted in the
same atomic step in which the statements run, and before them. Numbers are unique for each set of migrations, and the
next one is taken from what was read, so of several processes that saw the same state one inserts its row; for the
others the whole step fails, they look again, and find it done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from petra.errors import SqlConstraint, SqlError
from petra.sql import Row, SqlValue
from petra.stores.discovery import Migration
from petra.stores.errors import MigrationConflict

MigrationState: TypeAlias = Literal["applied", "pending", "edited", "missing", "out_of_order"]

# By the clock of the server's machine, in milliseconds since the epoch.
NOW: Final = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TABLE: Final = f"""CREATE TABLE IF NOT EXISTS _migrations (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL DEFAULT ({NOW}),
    PRIMARY KEY (source, number),
    UNIQUE (source, name)
) WITHOUT ROWID"""
_RECORD: Final = "INSERT INTO _migrations (source, number, name, checksum) VALUES (?, ?, ?, ?)"
_APPLIED: Final = "SELECT number, name, checksum, applied_at FROM _migrations WHERE source = ? ORDER BY number"
# Where the record and the migration's own statements are in the list that applies it.
_RECORD_AT, _OWN_AT = 1, 2

_ADVICE: Final[Mapping[MigrationState, str]] = {
    "edited": "was changed after it had been applied. Restore its text, and write what is new as another migration",
    "missing": "was applied to this database, and is not in the package. Restore it, or use a newer program",
    "out_of_order": "comes before one that was applied already. Give it a name that comes after all of these",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of the table."""

    number: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration of a package or of a database, and when it was applied, if it was.

    `pending` ones are the next to run. With any that is `edited`, `missing` (from the package) or `out_of_order`
    nothing runs.
    """

    name: str
    state: MigrationState
    applied_at: datetime | None


def moment(milliseconds: int) -> datetime:
    """A time of the database."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def applied_query(source: str) -> tuple[str, tuple[str]]:
    """The statement that reads what was applied, and its parameters."""
    return _APPLIED, (source,)


def read_applied(rows: Iterable[Row]) -> list[Applied]:
    return [Applied(row["number"], row["name"], row["checksum"], moment(row["applied_at"])) for row in rows]


def has_no_table(error: SqlError) -> bool:
    """Whether a query failed because nothing was ever applied."""
    return "no such table: _migrations" in str(error)


def statuses(found: Sequence[Migration], applied: Sequence[Applied]) -> list[MigrationStatus]:
    """The migrations of a package and of a database, in the order of their names."""
    done = {one.name: one for one in applied}
    given = {one.name: one for one in found}
    last = max(done, default="")

    def state(name: str) -> MigrationState:
        if name not in given:
            return "missing"
        if name not in done:
            return "out_of_order" if name < last else "pending"
        return "applied" if done[name].checksum == given[name].checksum else "edited"

    return [
        MigrationStatus(name, state(name), done[name].applied_at if name in done else None)
        for name in sorted({*done, *given})
    ]


def next_migration(found: Sequence[Migration], applied: Sequence[Applied]) -> Migration | None:
    """What is to be applied next; None when all is done. Raises MigrationConflict."""
    all_of_them = statuses(found, applied)
    for status in all_of_them:
        if status.state in _ADVICE:
            message = f"The migration {status.name!r} {_ADVICE[status.state]}. Nothing was done."
            raise MigrationConflict(message, name=status.name, state=status.state)
    pending = {status.name for status in all_of_them if status.state == "pending"}
    return next((migration for migration in found if migration.name in pending), None)


def application(
    migration: Migration, applied: Sequence[Applied], source: str
) -> list[tuple[str, tuple[SqlValue, ...]]]:
    """The list of statements that applies a migration and records it, or fails when somebody else was faster."""
    number = applied[-1].number + 1 if applied else 1
    record = source, number, migration.name, migration.checksum
    return [(_TABLE, ()), (_RECORD, record), *((statement, ()) for statement in migration.statements)]


def was_overtaken(error: SqlConstraint) -> bool:
    """Whether that list failed because another process has recorded a migration meanwhile."""
    return error.field == f"statements[{_RECORD_AT}].sql"


def failed_statement(field: str, migration: Migration) -> str:
    """The statement of a migration that an error of that list is about; empty when it is none of them alone."""
    own = {f"statements[{at}].sql": text for at, text in enumerate(migration.statements, _OWN_AT)}
    return own.get(field, "")
