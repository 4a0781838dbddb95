"""A partition: one data directory with its RocksDB, its log of commits, and what its actors need of them.

It guarantees that a directory is opened by one process, with the format and the number of actors it was made with;
that versions only grow, also across crashes; and that a batch is written whole or not at all. Loop thread only, once
opened.

The records of the partition's own column family:

    petra     JSON: format_version, actors, id (a UUID), created_at_ms
    versions  8 bytes, big-endian: no version above it was ever given out
    counts    JSON: the number of entries of each actor; only there after a clean close
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from petra_server.clock import Clock
from petra_server.errors import StartupError
from petra_server.storage.batch import PARTITION_FAMILY, Batch
from petra_server.storage.cache import EntryCache
from petra_server.storage.committer import Committer
from petra_server.storage.disk import DiskGuard, disk_space
from petra_server.storage.engine import DEFAULT_FAMILY, Engine, EngineOpenError, EngineOptions

FORMAT_VERSION = 1
DEFAULT_ACTORS = 64

# How far ahead of the newest version the stored ceiling is set. A crash skips what is left of it, so no version that
# a lost BUFFERED write had is ever given out again. At half of it the ceiling is raised, long before it is needed.
VERSION_STRIDE = 1 << 20

_DIRECTORY = "partition-0000"
_META_KEY = b"petra"
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


@dataclass(frozen=True, slots=True)
class PartitionMeta:
    """What was fixed when the directory was made."""

    format_version: int
    actors: int
    data_id: str
    created_at_ms: int


class Partition:
    """An open partition. Use `open`."""

    def __init__(self, lock: IO[str], engine: Engine, meta: PartitionMeta, options: PartitionOptions) -> None:
        # Set once.
        self._lock = lock
        self.engine = engine
        self.meta = meta
        self.cache = EntryCache(options.cache_bytes)
        self.committer = Committer(engine, buffered_flush_ms=options.buffered_flush_ms)
        self.disk = DiskGuard(
            lambda: disk_space(options.path), engine.memtable_bytes, reserve_bytes=options.disk_reserve_bytes
        )
        # Entries of each actor at the opening, and whether that is an estimate.
        self.counts, self.counts_estimated = self._read_counts()
        # Owned by the loop.
        self._version = int.from_bytes(engine.get(PARTITION_FAMILY, _VERSIONS_KEY) or b"", "big")
        self._version_ceiling = 0
        self._raise_ceiling_at = 0

    @classmethod
    def open(cls, options: PartitionOptions, clock: Clock) -> Partition:
        """Opens or makes a data directory. Raises StartupError with a sentence that says what to do."""
        lock = _lock(options.path)
        try:
            directory = options.path / _DIRECTORY
            actors = _actors_of(directory, options)
            try:
                engine = Engine.open(directory, [f"actor-{index:04d}" for index in range(actors)], options.engine)
            except EngineOpenError as error:
                raise StartupError(_open_failure(options.path, str(error))) from None
            try:
                partition = cls(lock, engine, _read_or_write_meta(engine, actors, clock), options)
                partition._open_versions()
            except BaseException:
                engine.close()
                raise
        except BaseException:
            lock.close()
            raise
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
                self.committer.append(batch)
            await self.committer.close()
        finally:
            self.engine.close()
            self._lock.close()

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


def _lock(path: Path) -> IO[str]:
    """Makes the directory and takes its lock, which the process holds until it ends."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "LOCK").open("a+")
    except OSError as error:
        raise StartupError(
            f"The data directory {path} cannot be used: {error.strerror}. Name another with --data, or mend its rights."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise StartupError(
            f"The data directory {path} is in use by {holder}. Stop that server, or name another directory with --data."
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}\n")
    lock.flush()
    return lock


def _actors_of(directory: Path, options: PartitionOptions) -> int:
    """How many actors the directory has, or is to be made with."""
    if not (directory / "CURRENT").exists():
        strangers = sorted(entry.name for entry in options.path.iterdir() if entry.name not in ("LOCK", _DIRECTORY))
        if strangers or (directory.exists() and any(name.suffix == ".sst" for name in directory.iterdir())):
            raise StartupError(
                f"The directory {options.path} is not empty and holds no Petra data that can be opened"
                f" (found {', '.join(strangers[:3]) or 'tables without a CURRENT file'})."
                " Name an empty directory with --data, or restore a backup."
            )
        return options.actors or DEFAULT_ACTORS
    try:
        families = set(Engine.families(directory)) - {DEFAULT_FAMILY}
    except EngineOpenError as error:
        raise StartupError(_open_failure(options.path, str(error))) from None
    known = {f"actor-{index:04d}" for index in range(len(families))}
    if families - known:
        raise StartupError(
            f"The data directory {options.path} was made by a newer Petra: it has parts that this one does not know"
            f" ({', '.join(sorted(families - known)[:3])}). Start the newer version."
        )
    if options.actors and families and options.actors != len(families):
        raise StartupError(
            f"The data directory {options.path} has {len(families)} actors and cannot be opened with {options.actors}:"
            " the number is fixed when a directory is made. Leave --actors out, or name another directory with --data."
        )
    return len(families) or options.actors or DEFAULT_ACTORS


def _read_or_write_meta(engine: Engine, actors: int, clock: Clock) -> PartitionMeta:
    stored = engine.get(PARTITION_FAMILY, _META_KEY)
    if stored is None:
        # Made just now, or by a process that ended before this line: nothing else is written earlier.
        if any(engine.estimated_keys(index) for index in range(actors)):
            raise StartupError(
                "The data directory has entries but not the record that says its format. Restore it from a backup."
            )
        meta = PartitionMeta(FORMAT_VERSION, actors, str(uuid.uuid4()), clock.now_ms())
        batch = Batch()
        fields = {
            "format_version": meta.format_version,
            "actors": meta.actors,
            "id": meta.data_id,
            "created_at_ms": meta.created_at_ms,
        }
        batch.writes.append((PARTITION_FAMILY, _META_KEY, json.dumps(fields).encode()))
        engine.write(batch)
        engine.flush_wal()
        return meta
    fields = json.loads(stored)
    if fields["format_version"] > FORMAT_VERSION:
        raise StartupError(
            f"The data directory has format {fields['format_version']}, and this Petra knows formats up to"
            f" {FORMAT_VERSION}. Start the newer version that wrote it."
        )
    if fields["actors"] != actors:
        raise StartupError(
            f"The data directory was made with {fields['actors']} actors and {actors} are there."
            " Restore it from a backup."
        )
    return PartitionMeta(fields["format_version"], actors, fields["id"], fields["created_at_ms"])


def _open_failure(path: Path, message: str) -> str:
    if "Corruption" in message:
        return (
            f"The data directory {path} is damaged ({message}). Restore it from a backup; or, to keep only what was"
            " written before the damage, start once with --wal-recovery point-in-time."
        )
    return f"The data directory {path} cannot be opened ({message}). See its rights and the disk, then start again."
