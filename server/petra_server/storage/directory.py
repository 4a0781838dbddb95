"""The data directory: who has it, what it was made with, and whether it is whole.

It holds LOCK, which the serving process has locked; PETRA, a marker that says format and number of actors in JSON, so
that a directory of another kind is refused before RocksDB touches it; and partition-0000, the database, which is made
beside its place and then renamed, so that it is there whole or not at all. The record of how it was made stands in the
partition's own column family:

    petra     JSON: format_version, actors, id (a UUID), created_at_ms
"""

from __future__ import annotations

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
from petra_server.storage.engine import DEFAULT_FAMILY, Engine, EngineOpenError, EngineOptions
from petra_server.storage.record_log import find_damage, holds_writes

FORMAT_VERSION = 1
DEFAULT_ACTORS = 64

_LOCK = "LOCK"
_MARKER = "PETRA"
_DIRECTORY = "partition-0000"
_UNFINISHED = "partition-0000.new"
_META_KEY = b"petra"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data directory is, how many actors it is to have (0: those that it has), and its engine's budgets."""

    path: Path
    actors: int
    engine: EngineOptions


@dataclass(frozen=True, slots=True)
class PartitionMeta:
    """What was fixed when the directory was made."""

    format_version: int
    actors: int
    data_id: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A data directory that this process has."""

    meta: PartitionMeta
    engine: Engine
    lock: IO[str]

    def close(self) -> None:
        """Closes the database and gives the directory up. Raises StorageFailed as Engine.close does."""
        try:
            self.engine.close()
        finally:
            self.lock.close()


def open_directory(place: Place, clock: Clock) -> OpenDirectory:
    """Opens a data directory, or makes it. Raises StartupError with a sentence that says what to do."""
    if place.path.is_dir() and not (place.path / _MARKER).exists():
        # Before the lock, which would leave a file in somebody else's directory.
        _refuse_strangers(place.path)
    lock = _lock(place.path)
    try:
        if not (place.path / _MARKER).exists() or (place.path / _UNFINISHED).exists():
            _make(place, clock)
        _check_logs(place)
        actors = _read_marker(place)
        try:
            engine = Engine.open(place.path / _DIRECTORY, _family_names(actors), place.engine, create=False)
        except EngineOpenError as error:
            raise StartupError(open_failure(place.path, str(error))) from None
        try:
            return OpenDirectory(_read_meta(engine), engine, lock)
        except BaseException as error:
            with suppress(StorageFailed):
                engine.close()
            if isinstance(error, StorageCorrupt | StorageFailed):
                raise StartupError(open_failure(place.path, error.message)) from None
            raise
    except BaseException:
        lock.close()
        raise


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


def _family_names(actors: int) -> list[str]:
    return [f"actor-{index:04d}" for index in range(actors)]


def _make(place: Place, clock: Clock) -> None:
    """Makes the data directory: first the database beside its place, then the marker, and then it takes its place.

    So a process that ends in between leaves something that is made anew, and never one that seems to be whole.
    """
    _refuse_strangers(place.path)
    try:
        _make_beside(place, clock)
    except OSError as error:
        raise StartupError(
            f"The data directory {place.path} cannot be made: {error.strerror}. Make room, or name another."
        ) from None


def _refuse_strangers(path: Path) -> None:
    """Raises StartupError when there is anything that a directory in the making does not have."""
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in (_LOCK, _UNFINISHED, _MARKER))
    if strangers:
        raise StartupError(
            f"The directory {path} is not empty and holds no whole Petra data: {', '.join(strangers[:3])}."
            " Name an empty directory with --data, or restore a backup."
        )


def _make_beside(place: Place, clock: Clock) -> None:
    unfinished, marker = place.path / _UNFINISHED, place.path / _MARKER
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    actors = place.actors or DEFAULT_ACTORS
    meta = {
        "format_version": FORMAT_VERSION,
        "actors": actors,
        "id": str(uuid.uuid4()),
        "created_at_ms": clock.now_ms(),
    }
    try:
        engine = Engine.open(unfinished, _family_names(actors), place.engine, create=True)
        engine.write(Batch(writes=[(PARTITION_FAMILY, _META_KEY, json.dumps(meta).encode())]))
        engine.flush_wal()
        engine.close()
    except (EngineOpenError, StorageFailed) as error:
        raise StartupError(open_failure(place.path, str(error))) from None
    with marker.open("w") as out:
        json.dump({"format_version": FORMAT_VERSION, "actors": actors}, out)
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(place.path / _DIRECTORY)
    _sync_directory(place.path)


def _read_marker(place: Place) -> int:
    """How many actors the directory has. Raises StartupError when it cannot be opened by this version."""
    path = place.path
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
    if place.actors and place.actors != actors:
        raise StartupError(
            f"The data directory {path} has {actors} actors and cannot be opened with {place.actors}:"
            " the number is fixed when a directory is made. Leave --actors out, or name another directory with --data."
        )
    try:
        families = set(Engine.families(path / _DIRECTORY)) - {DEFAULT_FAMILY}
    except EngineOpenError as error:
        raise StartupError(open_failure(path, str(error))) from None
    if families != set(_family_names(actors)):
        raise StartupError(
            f"The data directory {path} is damaged: it should have {actors} actors, and RocksDB knows {len(families)}."
            " Restore it from a backup."
        )
    return actors


def _check_logs(place: Place) -> None:
    """Raises StartupError for damage that RocksDB would not notice, or never come back from; see record_log.

    For point-in-time recovery the newest log is cut off where it is damaged.
    """
    directory, point_in_time = place.path / _DIRECTORY, place.engine.point_in_time_recovery
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
            f"The data directory {place.path} is damaged ({path.name} at byte {damage})."
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


def _sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_failure(path: Path, message: str) -> str:
    """What to tell of an opening that failed with this message of RocksDB."""
    if "Corruption" in message:
        return (
            f"The data directory {path} is damaged ({message}). Restore it from a backup; or, to keep only what was"
            " written before the damage, start once with --wal-recovery point-in-time."
        )
    if "No such file" in message:
        return f"The data directory {path} is damaged ({message}). Restore it from a backup."
    return f"The data directory {path} cannot be opened ({message}). See its rights and the disk, then start again."


def _read_meta(engine: Engine) -> PartitionMeta:
    stored = engine.get(PARTITION_FAMILY, _META_KEY)
    if stored is None:
        raise StartupError("The data directory has lost its own record. Restore it from a backup.")
    fields = json.loads(stored)
    return PartitionMeta(fields["format_version"], fields["actors"], fields["id"], fields["created_at_ms"])
