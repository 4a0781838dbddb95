# Written by tools/blocking.py from petra/datastore/d1.py: change that, and run make blocking.
"""Objects on the SQL database of the datastore's object: one row each, which can be queried.

Each change is one step of the server, so that nothing has to be tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import petra.datastore.conditions as conditions
import petra.datastore.tables as tables
from petra.datastore.access import AUTH, StoredObject, shared, unshared, users_of
from petra.datastore.classes import StorageClass
from petra.datastore.errors import NotFoundOrNoAccess
from petra.datastore.keys import checked_text, checked_user
from petra.datastore.results import D1Result
from petra.errors import SqlError
from petra.sql import Params, Result, Row, Statement
from petra.values import Value

if TYPE_CHECKING:
    from petra.sync.datastore.store import Store

# Rows that are read at once: of 16 KiB each they fit into one answer.
_PORTION = 250


class D1Adapter:
    """The classes of a store that are rows, and raw SQL.

    Beside what was put and `_auth`, an object has its id, which is its key, and created_at and updated_at, in
    milliseconds since the Unix epoch by the server's machine.
    """

    def __init__(self, store: Store) -> None:
        """Made by a store."""
        self._store = store

    def get(self, cls: str, key: str) -> StoredObject | None:
        """The object with its `_auth`, or None when there is none or it does not name the user."""
        found = self._checked(cls, [key])
        with self._store.log.operation("get", cls, key) as outcome:
            rows = self._read(found, tables.get(found, [key], self._store.user_id))
            outcome.text = "ok" if rows else "absent"
            return tables.object_of(rows[0]) if rows else None

    def exists(self, cls: str, key: str) -> bool:
        """Whether there is such an object and the user sees it."""
        found = self._checked(cls, [key])
        with self._store.log.operation("exists", cls, key) as outcome:
            rows = self._read(found, tables.users(found, key, self._store.user_id))
            outcome.text = "ok" if rows else "absent"
            return bool(rows)

    def get_many(self, cls: str, keys: Iterable[str]) -> dict[str, StoredObject]:
        """The objects by their keys, without those that are not there or not seen."""
        wanted = list(dict.fromkeys(keys))
        found = self._checked(cls, wanted)
        with self._store.log.operation("get_many", cls, f"{len(wanted)} keys"):
            seen: dict[str, StoredObject] = {}
            for first in range(0, len(wanted), _PORTION):
                statement = tables.get(found, wanted[first : first + _PORTION], self._store.user_id)
                seen |= {row[tables.ID]: tables.object_of(row) for row in self._read(found, statement)}
            return {key: seen[key] for key in wanted if key in seen}

    def put(self, cls: str, key: str, data: Mapping[str, Value]) -> StoredObject:
        """Writes an object whole, and returns it. A new one names the user; one that is there keeps its users.

        Raises NotFoundOrNoAccess, and changes nothing, when it is somebody else's.
        """
        found = self._checked(cls, [key])
        statements = tables.put(found, {key: data}, self._store.user_id)
        with self._store.log.operation("put", cls, key):
            return (self._put(found, statements, {key: data}))[key]

    def put_many(self, cls: str, items: Mapping[str, Mapping[str, Value]]) -> dict[str, StoredObject]:
        """Writes up to 10,000 objects as `put`, and returns them, in one atomic step.

        When one of them is somebody else's, nothing is written.
        """
        found = self._checked(cls, items)
        statements = tables.put(found, items, self._store.user_id)
        with self._store.log.operation("put_many", cls, f"{len(items)} keys"):
            return self._put(found, statements, items) if items else {}

    def delete(self, cls: str, key: str) -> None:
        """Removes an object. Raises NotFoundOrNoAccess when there is none or it does not name the user."""
        found = self._checked(cls, [key])
        with self._store.log.operation("delete", cls, key):
            if not self._read(found, tables.delete(found, key, self._store.user_id)):
                raise NotFoundOrNoAccess(cls, key)

    def share(self, cls: str, key: str, user_id: str) -> list[str]:
        """Lets another user see and change an object, and returns all whom it names now.

        Raises NotFoundOrNoAccess when there is none or it does not name the user of the store.
        """
        found, other = self._checked(cls, [key]), checked_user(user_id)
        with self._store.log.operation("share", cls, key):
            before = self._change_users(found, key, tables.share(found, key, other, self._store.user_id))
            return users_of(shared(before, other) or before)

    def unshare(self, cls: str, key: str, user_id: str) -> list[str]:
        """Takes an object out of a user's sight, and returns all whom it names now. It may be the store's own user.

        Raises LastOwner when it names nobody else, but not to the system; and NotFoundOrNoAccess as `share`.
        """
        found, other = self._checked(cls, [key]), checked_user(user_id)
        with self._store.log.operation("unshare", cls, key):
            before = self._change_users(found, key, tables.unshare(found, key, other, self._store.user_id))
            return users_of(unshared(before, other, self._store.user_id) or before)

    def query(
        self,
        cls: str,
        where: Mapping[str, Value] | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[StoredObject]:
        """The objects that the user sees and that meet all conditions, in the order in which they were first put.

        `where` says for a field what it must be: a value, None for absent, a list for one of several, or a mapping of
        operators (=, !=, <, <=, >, >=, like), as `{"created_at": {">=": since}}`. Fields are id, created_at, updated_at
        and those of the data, with dots within a path. `order_by` is as "priority DESC, created_at". At most 10,000.
        Raises InvalidArgument for what is no field or no order.
        """
        found = self._store.datastore.classes.on("d1", cls)
        statement = conditions.query(found, where, order_by, limit, offset, self._store.user_id)
        with self._store.log.operation("query", cls, ""):
            return [tables.object_of(row) for row in self._read(found, statement)]

    # Raw SQL.

    def execute(self, sql: str, params: Params = ()) -> D1Result:
        """Executes SQL on the whole database, whoever the user is: it sees and may change the rows of all.

        The text is the program's own; what comes from a user belongs into `params`, by position or by name.
        """
        with self._store.log.operation("execute", "", _verb(sql)):
            return D1Result.of(self._store.database.sql.execute(sql, params))

    def batch(self, statements: Iterable[str | tuple[str, Params] | Statement]) -> list[D1Result]:
        """Executes statements in one step, all of them or none, as `execute`. Each is a str, or one with its params."""
        given = list(statements)
        with self._store.log.operation("batch", "", f"{len(given)} statements"):
            return [D1Result.of(result) for result in self._store.database.sql.batch(given)]

    # The common parts.

    def _read(self, found: StorageClass, statement: tables.Bound) -> list[Row]:
        """The rows of a statement that finds nothing where there is no table yet."""
        try:
            return (self._store.database.sql.execute(*statement)).rows
        except SqlError as error:
            if tables.is_missing(found, error):
                return []
            raise

    def _put(
        self, found: StorageClass, statements: list[tables.Bound], items: Mapping[str, Mapping[str, Value]]
    ) -> dict[str, StoredObject]:
        rows = {row[tables.ID]: row for result in self._write(found, statements) for row in result}
        for key in items:
            if key not in rows:
                # None was written. Which one is somebody else's is nobody's business either.
                raise NotFoundOrNoAccess(found.name, key)
        return {key: tables.object_of(rows[key], data) for key, data in items.items()}

    def _write(self, found: StorageClass, statements: list[tables.Bound]) -> list[Result]:
        """Executes statements in one step, and makes the tables in it where there are none yet."""
        try:
            return self._store.database.sql.batch(statements)
        except SqlError as error:
            if not tables.is_missing(found, error):
                raise
            made = tables.schema(found)
            return (self._store.database.sql.batch([*made, *statements]))[len(made) :]

    def _change_users(self, found: StorageClass, key: str, change: tables.Bound) -> StoredObject:
        """Makes a change of `_auth`; returns the object's users before it. Raises NotFoundOrNoAccess."""
        before = tables.users(found, key, self._store.user_id)
        try:
            rows = (self._store.database.sql.batch([before, change]))[0].rows
        except SqlError as error:
            if not tables.is_missing(found, error):
                raise
            rows = []
        if not rows:
            raise NotFoundOrNoAccess(found.name, key)
        return {AUTH: tables.users_in(rows[0])}

    def _checked(self, cls: str, keys: Iterable[str]) -> StorageClass:
        """The class. Raises UnknownClass and InvalidArgument."""
        for key in keys:
            checked_text(key, "key")
        return self._store.datastore.classes.on("d1", cls)


def _verb(sql: str) -> str:
    """The first word of a statement: values may stand in the others."""
    return "".join(sql.split(None, 1)[:1]).upper()
