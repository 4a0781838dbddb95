"""The file that SQLite takes for a database: pages read from a store, changed pages kept until they are stored.

A page is in one of three places, and the first that has it counts: `dirty`, written by the transaction that is under
way; `_committed`, by transactions that SQLite has committed and nobody has stored yet; and the store. `commit` and
`roll_back` end a transaction; `stored` says that the committed pages are in the store. If they cannot be stored the
file and its connection are of no use any more: SQLite believes in them.

What SQLite syncs and what it locks needs nothing here: the file has one user, and pages are handed over when its
COMMIT has returned. Used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

# Of new databases. A small change writes half of what it would with SQLite's usual 4 KiB; see ARCHITECTURE.md.
PAGE_BYTES = 2048

# In the header of a database, which is the beginning of page 1: the page size and the number of pages.
_PAGE_SIZE = slice(16, 18)
_PAGE_COUNT = slice(28, 32)
_HEADER_BYTES = 100
_NEVER = 1 << 32
# How a page of 64 KiB is written in two bytes.
_LARGEST_PAGE = 65_536

ReadPage = Callable[[int], bytes | None]


class PageFile:
    """One database. `read` gives a stored page, None when there is none; it may raise."""

    def __init__(self, read: ReadPage, *, max_write_bytes: int) -> None:
        self._read = read
        self._max_write_bytes = max_write_bytes
        self._committed: dict[int, bytes] = {}
        self.dirty: dict[int, bytes] = {}
        # The transaction under way writes more than it may. It can only be rolled back, which writes pages as well.
        self.overflowed = False
        # What `read` raised; SQLite only knows that the disk failed.
        self.failure: Exception | None = None
        first = read(1)
        self.page_bytes = PAGE_BYTES if first is None else _page_size(first)
        self.size_bytes = self._committed_bytes = database_bytes(first)
        # From this number on the store's pages are gone: for the transaction, for what is committed, for neither.
        self._gone_from = self._committed_gone_from = _NEVER

    # What becomes of a transaction.

    def commit(self) -> tuple[dict[int, bytes], int]:
        """The pages that the transaction changed, and the number from which on stored ones are gone, 0 for none.

        Those that are gone go first: a file may shrink and grow again.
        """
        pages, self.dirty = self.dirty, {}
        for number in [number for number in self._committed if number >= self._gone_from]:
            del self._committed[number]
        self._committed.update(pages)
        self._committed_bytes = self.size_bytes
        gone_from = 0 if self._gone_from == self._committed_gone_from else self._gone_from
        self._committed_gone_from = self._gone_from
        return pages, gone_from

    def roll_back(self) -> None:
        """Forgets what the transaction wrote, once SQLite has rolled it back."""
        self.dirty = {}
        self.overflowed = False
        self.size_bytes = self._committed_bytes
        self._gone_from = self._committed_gone_from

    def stored(self) -> None:
        """The committed pages are in the store."""
        self._committed = {}
        self._gone_from = self._committed_gone_from = _NEVER

    @property
    def unstored(self) -> bool:
        return bool(self._committed) or self._committed_gone_from != _NEVER

    # What SQLite calls.

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        index, start = divmod(offset, self.page_bytes)
        if offset >= self.size_bytes:
            return b""
        page = self._page(index + 1)
        return page if len(page) == amount else page[start : start + amount]

    def xWrite(self, data: bytes | bytearray | memoryview, offset: int) -> None:  # noqa: N802
        if not offset and len(data) >= _HEADER_BYTES:
            self.page_bytes = len(data)
        self.dirty[offset // self.page_bytes + 1] = bytes(data)
        if offset + len(data) > self.size_bytes:
            self.size_bytes = offset + len(data)
        if len(self.dirty) * self.page_bytes > self._max_write_bytes and not self.overflowed:
            self.overflowed = True
            raise apsw.FullError("too many pages in one transaction")

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if size < self.size_bytes:
            first_gone = size // self.page_bytes + 1
            if size < self._committed_bytes:
                self._gone_from = min(self._gone_from, first_gone)
            for number in [number for number in self.dirty if number >= first_gone]:
                del self.dirty[number]
        self.size_bytes = size

    def xFileSize(self) -> int:  # noqa: N802
        return self.size_bytes

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Nothing: see above."""

    def xLock(self, level: int) -> None:  # noqa: N802
        """Nothing: see above."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Nothing: see above."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE | apsw.SQLITE_IOCAP_SAFE_APPEND

    def xSectorSize(self) -> int:  # noqa: N802
        return self.page_bytes

    def xClose(self) -> None:  # noqa: N802
        """Nothing is open."""

    def _page(self, number: int) -> bytes:
        page = self.dirty.get(number)
        if page is None and number < self._gone_from:
            page = self._committed.get(number)
            if page is None and number < self._committed_gone_from:
                page = self._stored(number)
        # SQLite does not write pages that were free when their transaction ended.
        return bytes(self.page_bytes) if page is None else page

    def _stored(self, number: int) -> bytes | None:
        try:
            return self._read(number)
        except Exception as error:  # noqa: BLE001 - SQLite cannot pass it on
            self.failure = error
            raise apsw.IOError("a page cannot be read") from None


def _page_size(first: bytes) -> int:
    size = int.from_bytes(first[_PAGE_SIZE], "big")
    return _LARGEST_PAGE if size == 1 else size


def database_bytes(first: bytes | None) -> int:
    """The size of a database, from its first page; 0 when there is none."""
    return 0 if first is None else int.from_bytes(first[_PAGE_COUNT], "big") * _page_size(first)
