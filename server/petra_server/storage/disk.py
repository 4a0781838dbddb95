"""The disk watermark: writes are refused before the disk is full, so that what is acknowledged can still be kept.

The reserve is room for what RocksDB has in memory and must write out, and for a compaction. Loop thread only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)

# Of a file system, when the reserve is not set.
AUTOMATIC_RESERVE_SHARE = 0.05
AUTOMATIC_RESERVE_LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A file system's size and what of it this process may still use, in bytes."""

    total_bytes: int
    free_bytes: int


def disk_space(path: Path) -> DiskSpace:
    stat = os.statvfs(path)
    return DiskSpace(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)


class DiskGuard:
    """Says whether writes may go on.

    Looks again when told to, and after every stretch of written bytes that could have used up a good part of the
    reserve.
    """

    def __init__(self, space: Callable[[], DiskSpace], pending_bytes: Callable[[], int], *, reserve_bytes: int) -> None:
        self._space = space
        self._pending_bytes = pending_bytes
        self._reserve_setting_bytes = reserve_bytes
        self._written_bytes = 0

        self.reserve_bytes = 0
        self.free_bytes = 0
        self.writable = True
        # Whether the sweeper may write: it frees space in the end, and needs a little of the reserve for it.
        self.sweepable = True
        self.look()

    def look(self) -> None:
        """Measures again."""
        try:
            space = self._space()
        except OSError as error:
            # What was known last still holds as well as anything; the next look is soon.
            _log.warning("cannot see the free space", error=str(error))
            return
        reserve = self._reserve_setting_bytes or min(
            AUTOMATIC_RESERVE_LIMIT_BYTES, int(space.total_bytes * AUTOMATIC_RESERVE_SHARE)
        )
        self._written_bytes = 0
        self.reserve_bytes = reserve
        self.free_bytes = space.free_bytes
        self.writable = space.free_bytes >= reserve + self._pending_bytes()
        self.sweepable = space.free_bytes >= reserve // 2

    def wrote(self, size_bytes: int) -> None:
        """Counts what was written since the last look."""
        self._written_bytes += size_bytes
        if self._written_bytes > self.reserve_bytes // 8:
            self.look()
