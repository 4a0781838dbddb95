"""The functions by which SQL reads the entries of its object, beside the rows of its database.

    petra_value(key)     the value: a text when it is JSON, a blob when it is bytes, NULL when there is no such entry
    petra_version(key)   the version, 0 when there is no such entry

They see what is stored when a list of statements begins; the operations of a Transact that the list is a part of are
not done yet then. They may not be used in the schema, which would hold what changes without it.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from petra_server.sql.cells import SqlValue
from petra_server.storage.records import ENCODING_JSON, Record

# An entry as it is kept, expired or not.
ReadEntry = Callable[[bytes], Record | None]


class Entries:
    """The entries of one object, for one connection. `now_ms` is set before each list."""

    __slots__ = ("_read", "now_ms", "seen")

    def __init__(self, read: ReadEntry) -> None:
        self._read = read
        self.now_ms = 0
        # Whether any was looked for since the list began.
        self.seen = False

    def offer_to(self, connection: apsw.Connection) -> None:
        """Makes the functions known to a connection."""
        for name, function in (("petra_value", self._value), ("petra_version", self._version)):
            connection.create_scalar_function(name, function, 1, flags=apsw.SQLITE_DIRECTONLY)

    def _value(self, *arguments: SqlValue) -> SqlValue:
        record = self._find(*arguments)
        if record is None:
            return None
        return record.value.decode("utf-8", "replace") if record.encoding == ENCODING_JSON else record.value

    def _version(self, *arguments: SqlValue) -> SqlValue:
        record = self._find(*arguments)
        return 0 if record is None else record.version

    def _find(self, key: SqlValue) -> Record | None:
        self.seen = True
        if not isinstance(key, str):
            return None
        record = self._read(key.encode())
        return None if record is None or 0 < record.expires_at_ms <= self.now_ms else record
