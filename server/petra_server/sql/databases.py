"""The open databases of a server, least recently used first out, within a number and a budget of memory.

A database that is taken stays open until it is given back. Any thread may call anything; a database itself is used by
one thread at a time, which is its actor's business.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import apsw

from petra_server.sql.database import Database
from petra_server.sql.entries import ReadEntry
from petra_server.sql.pages import ReadPage
from petra_server.sql.statements import SqlLimits

# Of the budget, what one connection's page cache may take.
_CACHE_SHARE = 4
_LEAST_CACHE_BYTES = 256 << 10


class Databases:
    """Opens databases, and closes those that there is no room for."""

    def __init__(self, limits: SqlLimits, *, max_open: int, cache_bytes: int, memory_bytes: int) -> None:
        """`memory_bytes` bounds all that SQLite allocates in this process; a statement that needs more is refused."""
        self._limits = limits
        self._max_open = max_open
        self._budget_bytes = cache_bytes
        self._lock = threading.Lock()
        # Those that are taken are not in it.
        self._idle: OrderedDict[bytes, Database] = OrderedDict()
        self._taken: dict[bytes, Database] = {}
        self._idle_bytes = 0
        apsw.hard_heap_limit(memory_bytes)

    def take(self, name: bytes, read: ReadPage, read_entry: ReadEntry) -> Database:
        """The database of this name, opened over what these read when it is not open. Raises what they do."""
        with self._lock:
            database = self._taken.get(name)
            if database is None:
                database = self._idle.pop(name, None)
                if database is not None:
                    self._idle_bytes -= database.memory_bytes
                    self._taken[name] = database
        if database is None:
            database = self.open(read, read_entry)
            with self._lock:
                self._taken[name] = database
        return database

    def give_back(self, name: bytes, *, stored: bool) -> None:
        """Says that nobody uses it now, and whether its pages are stored. It is closed when it is of no more use."""
        with self._lock:
            database = self._taken.pop(name, None)
            if database is None:
                return
            if stored:
                database.stored()
            if database.broken or database.unstored:
                leaving = [database]
            else:
                self._idle[name] = database
                self._idle_bytes += database.memory_bytes
                leaving = self._make_room()
        for one in leaving:
            one.close()

    def drop(self, name: bytes) -> None:
        """Closes a database that nobody has taken, because what it was opened over is no more."""
        with self._lock:
            database = self._idle.pop(name, None)
            if database is not None:
                self._idle_bytes -= database.memory_bytes
        if database is not None:
            database.close()

    def open(self, read: ReadPage, read_entry: ReadEntry) -> Database:
        """A database that is nobody else's; its owner closes it."""
        cache_bytes = max(_LEAST_CACHE_BYTES, self._budget_bytes // _CACHE_SHARE)
        return Database(read, read_entry, self._limits, cache_bytes=cache_bytes)

    def close(self) -> None:
        """Closes all of them."""
        with self._lock:
            leaving = [*self._idle.values(), *self._taken.values()]
            self._idle.clear()
            self._taken.clear()
            self._idle_bytes = 0
        for database in leaving:
            database.close()

    def figures(self) -> tuple[int, int]:
        """How many databases are open, and about how much memory those that are idle take."""
        with self._lock:
            return len(self._idle) + len(self._taken), self._idle_bytes

    def _make_room(self) -> list[Database]:
        leaving = []
        while self._idle and (
            len(self._idle) + len(self._taken) > self._max_open or self._idle_bytes > self._budget_bytes
        ):
            _, database = self._idle.popitem(last=False)
            self._idle_bytes -= database.memory_bytes
            leaving.append(database)
        return leaving


def memory_used() -> int:
    """Bytes that SQLite has allocated in this process."""
    return apsw.memory_used()
