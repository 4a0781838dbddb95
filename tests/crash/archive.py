"""A data directory with a known history, and which moment of it a damaged copy shows.

The history is a numbered sequence of batches over several actors, with overwriting, removal and ranges, spread over
several logs and many tables. Because each batch leaves another state than all others, the state of an opened directory
says how many batches it holds, and that it holds no others.

Each directory is opened in a process of its own (see `Opener`): damaged files may well end it, and whatever is wrong
with one must not touch the next.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import select
import shutil
import signal
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final, Self

from petra_server.clock import ManualClock
from petra_server.errors import StartupError, StorageCorrupt
from petra_server.storage.batch import Batch
from petra_server.storage.engine import EngineOptions, EngineStalled
from petra_server.storage.partition import Partition, PartitionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

ACTORS: Final = 8
BATCHES: Final = 6000
_KEYS: Final = 200
_SEED: Final = "archive"
_PATIENCE_S: Final = 60
_HANG_S: Final = 5


@dataclass(frozen=True, slots=True)
class Prefix:
    """Exactly the first batches, and nothing else."""

    batches: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The directory could not be opened."""

    message: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The directory was opened, and a read failed."""

    message: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """The directory shows what never was. Or reading it ended the process."""

    why: str


Finding = Prefix | Refused | Unreadable | Wrong


def history() -> Iterator[Batch]:
    """The batches, the same ones each time. Some actors are busy and some hardly ever write."""
    choices = random.Random(_SEED)
    for number in range(1, BATCHES + 1):
        actor = choices.choices(range(ACTORS), weights=[30, 20, 10, 5, 2, 1, 1, 1])[0]
        batch = Batch()
        if choices.random() < 0.01:
            first = choices.randrange(_KEYS)
            batch.range_deletes.append((actor, _key(first), _key(first + 10)))
        if choices.random() < 0.1:
            batch.writes.append((actor, _key(choices.randrange(_KEYS)), None))
        for family in {actor, choices.randrange(ACTORS)} if choices.random() < 0.2 else {actor}:
            value = b"%d %s" % (number, choices.randbytes(choices.randrange(20, 400)))
            batch.writes.append((family, _key(choices.randrange(_KEYS)), value))
        yield batch


def _key(number: int) -> bytes:
    return b"\x01%06d" % number


def moments() -> dict[int, int]:
    """How many batches there are, by the digest of the state."""
    state: dict[tuple[int, bytes], bytes] = {}
    digest, out = 0, {0: 0}
    for number, batch in enumerate(history(), 1):
        gone = [
            (actor, key)
            for actor, first, end in batch.range_deletes
            for owner, key in state
            if owner == actor and first <= key < end
        ]
        for actor, key, value in [*((actor, key, None) for actor, key in gone), *batch.writes]:
            digest ^= _digest(actor, key, state.pop((actor, key), None)) ^ _digest(actor, key, value)
            if value is not None:
                state[actor, key] = value
        out[digest] = number
    return out


def _digest(actor: int, key: bytes, value: bytes | None) -> int:
    """Of one entry; that of a state is the exclusive or over its entries."""
    if value is None:
        return 0
    return int.from_bytes(hashlib.blake2b(b"%d " % actor + key + value, digest_size=16).digest(), "big")


def copy(data: Path, to: Path) -> None:
    """A copy to damage: tables are links, since nobody writes into a table, the rest is copied."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(data, to, copy_function=_link_or_copy, ignore=shutil.ignore_patterns("LOG*", "LOCK"))


def make_own(path: Path) -> None:
    """Makes a file of a copy a file of its own, in case it is a link."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(".sst"):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


class Opener:
    """Makes and opens data directories, each in a fork of a process that never opens one itself."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._moments = moments()

    def make(self, data: Path) -> None:
        """A directory with the whole history, left as by a process that was killed."""
        reading = self._pool.submit(_fork, _write_history, data).result(_PATIENCE_S)
        assert reading is None, "the writing process was not killed"

    def find(self, data: Path, *, point_in_time: bool = False) -> Finding:
        """What a directory shows. It is opened for writing, as a server does it."""
        reading = self._pool.submit(_fork, _read, data, point_in_time).result(_PATIENCE_S)
        if reading is None:
            return Wrong("the process ended or hung")
        if isinstance(reading, int):
            number = self._moments.get(reading)
            return Wrong("no moment of the history looked like this") if number is None else Prefix(number)
        return reading

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()


# The digest of what there is to read, or why there is nothing.
_Reading = int | Refused | Unreadable


def _fork(work: Callable[..., _Reading | None], *arguments: object) -> _Reading | None:
    """What `work` returns in a fork of this process; None when the fork ends, or hangs, without returning anything."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sink, pickle.dumps(work(*arguments)))
        except BaseException:  # noqa: BLE001 - a fork must not go on as its parent would
            # The test sees that nothing was returned, and pytest shows why.
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(sink)
    ready, _, _ = select.select([source], [], [], _HANG_S)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(source, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    reading: _Reading | None = pickle.loads(answer) if answer else None
    return reading


def _open(data: Path, *, point_in_time: bool = False) -> Partition:
    engine = EngineOptions(
        block_cache_bytes=1 << 20,
        write_buffer_bytes=256 << 10,
        wal_bytes=256 << 10,
        max_open_files=64,
        point_in_time_recovery=point_in_time,
    )
    options = PartitionOptions(
        path=data, actors=ACTORS, engine=engine, cache_bytes=0, disk_reserve_bytes=1, buffered_flush_ms=1000
    )
    return Partition.open(options, ManualClock())


def _write_history(data: Path) -> None:
    partition = _open(data)
    for number, batch in enumerate(history()):
        _append(partition, batch)
        if number % 50 == 0:
            partition.engine.flush_wal()
    partition.engine.flush_wal()
    os.kill(os.getpid(), signal.SIGKILL)


def _append(partition: Partition, batch: Batch) -> None:
    """Buffers this small make RocksDB ask for patience, and it does not say when it is done."""
    while True:
        try:
            partition.append(batch)
        except EngineStalled:
            time.sleep(0.005)
        else:
            return


def _read(data: Path, point_in_time: bool) -> _Reading:
    try:
        partition = _open(data, point_in_time=point_in_time)
    except StartupError as error:
        return Refused(str(error))
    try:
        digest = 0
        for actor in range(ACTORS):
            for key, value in partition.engine.scan(actor, b"\x00", b"\xff"):
                digest ^= _digest(actor, key, value)
    except StorageCorrupt as error:
        return Unreadable(error.message)
    return digest
