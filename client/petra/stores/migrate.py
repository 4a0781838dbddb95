"""Applies the migrations of a package to the database of an object.

Each migration is one atomic step together with the record that it was done, so whoever is killed leaves all of it or
nothing. Any number of processes may do this at the same time, as they do when they start together.
"""

from __future__ import annotations

from types import ModuleType

from petra._layers import own_object
from petra.errors import InvalidArgument, SqlConstraint, SqlError
from petra.objects import AsyncObject
from petra.stores.discovery import Migration, find_migrations
from petra.stores.errors import MigrationFailed
from petra.stores.history import (
    Applied,
    MigrationStatus,
    application,
    applied_query,
    failed_statement,
    has_no_table,
    next_migration,
    read_applied,
    statuses,
    was_overtaken,
)
from petra.values import Seconds, to_timeout

# Of each migration; an index on a table of millions of rows takes so long.
_TIMEOUT = 60.0


class Migrations:
    """The migrations of a package, as they were when this was made."""

    def __init__(self, package: str | ModuleType, *, source: str | None = None, timeout: Seconds = _TIMEOUT) -> None:
        """Reads the package. See petra.stores.discovery for what is a migration.

        `source` is how a database tells them from those of other packages: the package's name, unless given; give the
        old one when you rename the package. `timeout` is for each migration. Raises ModuleNotFoundError, and
        InvalidArgument that names the migration.
        """
        self._found = find_migrations(package)
        self._source = source or (package if isinstance(package, str) else package.__name__)
        self._timeout = to_timeout(timeout)

    async def migrate(self, database: AsyncObject) -> list[str]:
        """Applies what is not applied yet to an object's database, and returns the names of what this call has done.

        Raises MigrationConflict, and does nothing, when a migration that was applied is not in the package or not as
        it was, and when one that was not comes before one that was; MigrationFailed for a migration that the server
        refuses, and those before it are applied then; and TypeError for what is no object of this tree.
        """
        place = own_object(database, AsyncObject, "stores")
        done: list[str] = []
        while True:
            applied = await self._applied(place)
            migration = next_migration(self._found, applied)
            if migration is None:
                return done
            if await self._apply(place, migration, applied):
                done.append(migration.name)

    async def status(self, database: AsyncObject) -> list[MigrationStatus]:
        """What is applied to an object's database and what is not, by name. Nothing is changed."""
        return statuses(self._found, await self._applied(own_object(database, AsyncObject, "stores")))

    async def _applied(self, database: AsyncObject) -> list[Applied]:
        sql, params = applied_query(self._source)
        try:
            return read_applied(await database.sql.execute(sql, params))
        except SqlError as error:
            if has_no_table(error):
                return []
            raise

    async def _apply(self, database: AsyncObject, migration: Migration, applied: list[Applied]) -> bool:
        """Whether this call did it; otherwise another one has done it, or something, since `applied` was read."""
        statements = application(migration, applied, self._source)
        try:
            # On disk before the next one begins, whatever the client's own durability is.
            await database.sql.batch(statements, durability="fsync", timeout=self._timeout)
        except (SqlConstraint, InvalidArgument) as error:
            if isinstance(error, SqlConstraint) and was_overtaken(error):
                return False
            statement = failed_statement(error.field, migration)
            where = f", at {statement:.80}" if statement else ""
            message = f"The migration {migration.name!r} failed, and nothing of it was done{where}: {error}"
            raise MigrationFailed(message, name=migration.name, statement=statement) from error
        return True
