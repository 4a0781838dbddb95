"""SQLite's file system: page files under the names of their connections, and scratch files in memory.

Scratch is what SQLite spills: sorts, and tables that it makes for itself. It goes into files rather than into the heap
(temp_store=FILE) because a file can say that it is full, and then only the statement that filled it fails.
"""

from __future__ import annotations

import itertools
import threading

import apsw

from petra_server.sql.pages import PageFile

NAME = "petra"


class Scratch:
    """How much the scratch files of one connection may hold together."""

    __slots__ = ("limit_bytes", "overflowed", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.overflowed = False


class _ScratchFile:
    """A file in memory."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._data = bytearray()

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._data[offset : offset + amount])

    def xWrite(self, data: bytes | bytearray | memoryview, offset: int) -> None:  # noqa: N802
        missing = offset + len(data) - len(self._data)
        if missing > 0:
            scratch = self._scratch
            if scratch.used_bytes + missing > scratch.limit_bytes:
                scratch.overflowed = True
                raise apsw.FullError("too much scratch")
            scratch.used_bytes += missing
            self._data.extend(bytes(missing))
        self._data[offset : offset + len(data)] = data

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._scratch.used_bytes -= max(0, len(self._data) - size)
        del self._data[size:]

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._data)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Nothing is ever read after a crash."""

    def xLock(self, level: int) -> None:  # noqa: N802
        """Nobody else has it."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Nobody else has it."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xClose(self) -> None:  # noqa: N802
        self.xTruncate(0)


class _Opening(threading.local):
    """What the thread's connection is being opened over, and whose scratch it may use while it runs."""

    file: PageFile | None = None
    scratch: Scratch | None = None


class PetraVfs(apsw.VFS):
    """Registered once for the process."""

    def __init__(self) -> None:
        super().__init__(NAME, base="")
        self._numbers = itertools.count()
        self.opening = _Opening()

    def connect(self, file: PageFile, *, statement_cache: int) -> apsw.Connection:
        """A connection whose database is this file."""
        self.opening.file = file
        try:
            return apsw.Connection(f"database-{next(self._numbers)}", vfs=NAME, statementcachesize=statement_cache)
        finally:
            self.opening.file = None

    def xOpen(  # type: ignore[override]  # noqa: N802 - any object with its methods will do
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> PageFile | _ScratchFile:
        flags[1] = flags[0]
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB and self.opening.file is not None:
            return self.opening.file
        if name is None and self.opening.scratch is not None:
            return _ScratchFile(self.opening.scratch)
        raise apsw.CantOpenError("no such file")

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return False

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Journals are in memory."""

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


VFS = PetraVfs()
