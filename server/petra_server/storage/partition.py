"""A partition: one data directory with its RocksDB, its log of commits, and what its actors need of them.

It guarantees that a directory is opened by one process, with the format and the number of actors it was made with;
that versions only grow, also across crashes; and that a batch is written whole or not at all. Loop thread only, once
opened.

Its records in its own column family, beside the one of petra_server.storage.directory:

    versions  8 bytes, big-endian: no version above it was ever given out
    counts    JSON: the number of entries of each actor; only there after a clean close
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from petra_server.clock import Clock
from petra_server.errors import StartupError, StorageCorrupt, StorageFailed
from petra_server.storage.batch import PARTITION_FAMILY, Batch
from petra_server.storage.cache import EntryCache
from petra_server.storage.committer import Committer
from petra_server.storage.directory import OpenDirectory, Place, open_directory, open_failure
from petra_server.storage.disk import DiskGuard, disk_space
from petra_server.storage.engine import EngineOptions, EngineStalled

# How far ahead of the newest version the stored ceiling is set. A crash skips what is left of it, so no version that
# a lost BUFFERED write had is ever given out again. At half of it the ceiling is raised, long before it is needed.
VERSION_STRIDE = 1 << 20

_VERSIONS_KEY = b"versions"
_COUNTS_KEY = b"counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionOptions:
    """What a partition is opened with; see petra_server.settings for the meaning of each."""

    path: Path
    actors: int
    engine: EngineOptions
    cache_bytes: int
    disk_reserve_bytes: int
    buffered_flush_ms: int


class Partition:
    """An open partition. Use `open`."""

    def __init__(self, directory: OpenDirectory, options: PartitionOptions) -> None:
        # Set once.
        self._directory = directory
        self.engine = engine = directory.engine
        self.meta = directory.meta
        self.cache = EntryCache(options.cache_bytes)
        self.committer = Committer(engine, buffered_flush_ms=options.buffered_flush_ms)
        self.disk = DiskGuard(
            lambda: disk_space(options.path), engine.memtable_bytes, reserve_bytes=options.disk_reserve_bytes
        )
        # Entries of each actor at the opening, and whether that is an estimate.
        self.counts, self.counts_estimated = self._read_counts()
        # Owned by the loop. Keys and values handed to the engine so far.
        self.written_bytes = 0
        self._version = int.from_bytes(engine.get(PARTITION_FAMILY, _VERSIONS_KEY) or b"", "big")
        self._version_ceiling = 0
        self._raise_ceiling_at = 0

    @classmethod
    def open(cls, options: PartitionOptions, clock: Clock) -> Partition:
        """Opens or makes a data directory. Raises StartupError with a sentence that says what to do."""
        directory = open_directory(Place(options.path, options.actors, options.engine), clock)
        try:
            partition = cls(directory, options)
            partition._open_versions()
        except (StorageCorrupt, StorageFailed) as error:
            with suppress(StorageFailed):
                directory.close()
            raise StartupError(open_failure(options.path, error.message)) from None
        return partition

    def next_version(self) -> int:
        """A version that was never given out before. It is kept with the next batch."""
        self._version += 1
        return self._version

    def append(self, batch: Batch) -> int:
        """Writes a batch and returns its generation. Raises EngineStalled with nothing written, or StorageFailed."""
        ceiling = self._version_ceiling
        if self._version >= self._raise_ceiling_at:
            ceiling = self._version + VERSION_STRIDE
            batch.writes.append((PARTITION_FAMILY, _VERSIONS_KEY, ceiling.to_bytes(8, "big")))
        generation = self.committer.append(batch)
        if ceiling != self._version_ceiling:
            self._set_ceiling(ceiling)
        size_bytes = sum([len(key) + len(value) for _, key, value in batch.writes if value is not None])
        self.written_bytes += size_bytes
        self.disk.wrote(size_bytes)
        return generation

    async def close(self, counts: list[int]) -> None:
        """Flushes and closes. `counts` are the entries of each actor now.

        Raises StorageFailed when not everything that was written is durable; the directory is closed even so.
        """
        try:
            if self.committer.failure is None:
                batch = Batch()
                batch.writes.append((PARTITION_FAMILY, _VERSIONS_KEY, self._version.to_bytes(8, "big")))
                if not self.counts_estimated:
                    batch.writes.append((PARTITION_FAMILY, _COUNTS_KEY, json.dumps(counts).encode()))
                # When it cannot be written, the next opening takes this for a crash, which costs no more than versions
                # and exact counts; and `committer.close` says it when the storage has failed.
                with suppress(EngineStalled, StorageFailed):
                    self.committer.append(batch)
            await self.committer.close()
        finally:
            self._directory.close()

    def _open_versions(self) -> None:
        """From here on a crash is not a clean close, and the versions up to the ceiling are taken."""
        ceiling = self._version + VERSION_STRIDE
        batch = Batch()
        batch.writes.append((PARTITION_FAMILY, _VERSIONS_KEY, ceiling.to_bytes(8, "big")))
        batch.writes.append((PARTITION_FAMILY, _COUNTS_KEY, None))
        self.engine.write(batch)
        self.engine.flush_wal()
        self._set_ceiling(ceiling)

    def _set_ceiling(self, ceiling: int) -> None:
        self._version_ceiling = ceiling
        self._raise_ceiling_at = ceiling - VERSION_STRIDE // 2

    def _read_counts(self) -> tuple[list[int], bool]:
        stored = self.engine.get(PARTITION_FAMILY, _COUNTS_KEY)
        if stored is not None:
            return [int(count) for count in json.loads(stored)], False
        estimates = [self.engine.estimated_keys(index) for index in range(self.meta.actors)]
        return estimates, any(estimates)
