"""A partition: one data directory with its RocksDB, its log of commits, and what its actors need of them.

It guarantees that a directory is opened by one process, with the format and the number of actors it was made with;
that versions only grow, also across crashes; and that a batch is written whole or not at all. Loop thread only, once
opened.

The directory holds LOCK, which the serving process has locked; PETRA, a marker that says format and number of
actors in JSON, so that a directory of another kind is refused before RocksDB touches it; and partition-0000, the
database. The records of the partition's own column family:

    petra     JSON: format_version, actors, id (a UUID), created_at_ms
    versions  8 bytes, big-endian: no version above it was ever given out
    counts    JSON: the number of entries of each actor; only there after a clean close
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO

from petra_server.clock import Clock
from petra_server.errors import StartupError, StorageCorrupt, StorageFailed
from petra_server.storage.batch import PARTITION_FAMILY, Batch
from petra_server.storage.cache import EntryCache
from petra_server.storage.committer import Committer
from petra_server.storage.disk import DiskGuard, disk_space
from petra_server.storage.engine import DEFAULT_FAMILY, Engine, EngineOpenError, EngineOptions, EngineStalled
from petra_server.storage.record_log import find_damage, holds_writes

FORMAT_VERSION = 1
DEFAULT_ACTORS = 64

# How far ahead of the newest version the stored ceiling is set. A crash skips what is left of it, so no version that
# a lost BUFFERED write had is ever given out again. At half of it the ceiling is raised, long before it is needed.
VERSION_STRIDE = 1 << 20

_LOCK = "LOCK"
_MARKER = "PETRA"
_DIRECTORY = "partition-0000"
_UNFINISHED = "partition-0000.new"
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
        if options.path.is_dir() and not (options.path / _MARKER).exists():
            # Before the lock, which would leave a file in somebody else's directory.
            _refuse_strangers(options.path)
        lock = _lock(options.path)
        try:
            if not (options.path / _MARKER).exists() or (options.path / _UNFINISHED).exists():
                _make(options, clock)
            _check_logs(options)
            actors = _read_marker(options)
            try:
                engine = Engine.open(options.path / _DIRECTORY, _families(actors), options.engine, create=False)
            except EngineOpenError as error:
                raise StartupError(_open_failure(options.path, str(error))) from None
            try:
                partition = cls(lock, engine, _read_meta(engine), options)
                partition._open_versions()
            except (StorageCorrupt, StorageFailed) as error:
                with suppress(StorageFailed):
                    engine.close()
                raise StartupError(_open_failure(options.path, error.message)) from None
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
        self.disk.wrote(sum([len(key) + len(value) for _, key, value in batch.writes if value is not None]))
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
                with contextlib.suppress(EngineStalled, StorageFailed):
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
        lock = (path / _LOCK).open("a+")
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


def _families(actors: int) -> list[str]:
    return [f"actor-{index:04d}" for index in range(actors)]


def _make(options: PartitionOptions, clock: Clock) -> None:
    """Makes the data directory: first the database beside its place, then the marker, and then it takes its place.

    So a process that ends in between leaves something that is made anew, and never one that seems to be whole.
    """
    _refuse_strangers(options.path)
    try:
        _make_beside(options, clock)
    except OSError as error:
        raise StartupError(
            f"The data directory {options.path} cannot be made: {error.strerror}. Make room, or name another."
        ) from None


def _refuse_strangers(path: Path) -> None:
    """Raises StartupError when there is anything that a directory in the making does not have."""
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in (_LOCK, _UNFINISHED, _MARKER))
    if strangers:
        raise StartupError(
            f"The directory {path} is not empty and holds no whole Petra data: {', '.join(strangers[:3])}."
            " Name an empty directory with --data, or restore a backup."
        )


def _make_beside(options: PartitionOptions, clock: Clock) -> None:
    unfinished, marker = options.path / _UNFINISHED, options.path / _MARKER
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    actors = options.actors or DEFAULT_ACTORS
    meta = {
        "format_version": FORMAT_VERSION,
        "actors": actors,
        "id": str(uuid.uuid4()),
        "created_at_ms": clock.now_ms(),
    }
    try:
        engine = Engine.open(unfinished, _families(actors), options.engine, create=True)
        engine.write(Batch(writes=[(PARTITION_FAMILY, _META_KEY, json.dumps(meta).encode())]))
        engine.flush_wal()
        engine.close()
    except (EngineOpenError, StorageFailed) as error:
        raise StartupError(_open_failure(options.path, str(error))) from None
    with marker.open("w") as out:
        json.dump({"format_version": FORMAT_VERSION, "actors": actors}, out)
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(options.path / _DIRECTORY)
    _sync_directory(options.path)


def _read_marker(options: PartitionOptions) -> int:
    """How many actors the directory has. Raises StartupError when it cannot be opened by this version."""
    path = options.path
    try:
        marker = json.loads((path / _MARKER).read_text())
        version, actors = int(marker["format_version"]), int(marker["actors"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StartupError(
            f"The file {path / _MARKER} is damaged: it should say the format and the number of actors."
            " Restore the data directory from a backup."
        ) from None
    if version > FORMAT_VERSION:
        raise StartupError(
            f"The data directory {path} has format {version}, and this Petra knows formats up to {FORMAT_VERSION}."
            " Start the newer version that wrote it."
        )
    if options.actors and options.actors != actors:
        raise StartupError(
            f"The data directory {path} has {actors} actors and cannot be opened with {options.actors}:"
            " the number is fixed when a directory is made. Leave --actors out, or name another directory with --data."
        )
    try:
        families = set(Engine.families(path / _DIRECTORY)) - {DEFAULT_FAMILY}
    except EngineOpenError as error:
        raise StartupError(_open_failure(path, str(error))) from None
    if families != set(_families(actors)):
        raise StartupError(
            f"The data directory {path} is damaged: it should have {actors} actors, and RocksDB knows {len(families)}."
            " Restore it from a backup."
        )
    return actors


def _check_logs(options: PartitionOptions) -> None:
    """Raises StartupError for damage that RocksDB would not notice, or never come back from; see record_log.

    For point-in-time recovery the newest log is cut off where it is damaged.
    """
    directory, point_in_time = options.path / _DIRECTORY, options.engine.point_in_time_recovery
    logs = sorted(directory.glob("*.log"), key=lambda path: int(path.stem))
    with_writes = [path for path in logs if holds_writes(_head_of(path))]
    newest = with_writes[-1] if with_writes else None
    for path in [*directory.glob("MANIFEST-*"), *with_writes]:
        is_log = path.suffix == ".log"
        damage = _damage_of(path, torn_tail=point_in_time or not is_log or path == newest)
        if damage is None:
            continue
        if point_in_time and path == newest:
            os.truncate(path, damage)
            continue
        way_out = (
            "; or, to keep only what was written before the damage, start once with --wal-recovery point-in-time."
            if is_log and not point_in_time
            else "."
        )
        raise StartupError(
            f"The data directory {options.path} is damaged ({path.name} at byte {damage})."
            f" Restore it from a backup{way_out}"
        )


def _head_of(path: Path) -> bytes:
    with path.open("rb") as source:
        return source.read(64)


def _damage_of(path: Path, *, torn_tail: bool) -> int | None:
    if not path.stat().st_size:
        return None
    with path.open("rb") as source, mmap(source.fileno(), 0, access=ACCESS_READ) as data, memoryview(data) as view:
        return find_damage(view, torn_tail=torn_tail)


def _read_meta(engine: Engine) -> PartitionMeta:
    stored = engine.get(PARTITION_FAMILY, _META_KEY)
    if stored is None:
        raise StartupError("The data directory has lost its own record. Restore it from a backup.")
    fields = json.loads(stored)
    return PartitionMeta(fields["format_version"], fields["actors"], fields["id"], fields["created_at_ms"])


def _sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_failure(path: Path, message: str) -> str:
    if "Corruption" in message:
        return (
            f"The data directory {path} is damaged ({message}). Restore it from a backup; or, to keep only what was"
            " written before the damage, start once with --wal-recovery point-in-time."
        )
    if "No such file" in message:
        return f"The data directory {path} is damaged ({message}). Restore it from a backup."
    return f"The data directory {path} cannot be opened ({message}). See its rights and the disk, then start again."
