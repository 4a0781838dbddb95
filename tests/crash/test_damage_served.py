"""Damaged directories as whoever runs `petra serve` meets them. tests/crash/test_damage.py has the many cases."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Final

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from tests.crash.damages import cut, flip, record_offsets
from tests.server.rpc.calls import Connection
from tests.support.refusals import Refusal
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.crash.damages import Case
    from tests.support.pipelines import Outcome

pytestmark = pytest.mark.crash

_WRITES: Final = 2000
# So small that there are many logs and tables.
_SMALL: Final = ("--actors", "16", "--write-buffer-bytes", "1MiB", "--wal-bytes", "1MiB")
_POINT_IN_TIME: Final = (*_SMALL, "--wal-recovery", "point-in-time")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with numbered writes to flat keys, left by a server that was killed."""
    data = tmp_path_factory.mktemp("served") / "data"
    with ServerProcess(data, *_SMALL) as server, Connection(server.address) as connection:
        for number in range(_WRITES):
            write = pb.SetRequest(key=_key(number), value=_value(number))
            # Buffers this small make RocksDB ask for patience now and then.
            while isinstance(refusal := connection.ask(write), Refusal):
                assert refusal.reason == "OVERLOADED"
        server.kill()
    return data


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(good, tmp_path / "data", ignore=shutil.ignore_patterns("LOCK"))


def test_a_torn_log_is_served_up_to_the_tear(data: Path) -> None:
    newest = _files(data, "*.log")[-1]
    _damage(data, cut(newest.name, newest.stat().st_size * 2 // 3))
    with ServerProcess(data, *_SMALL) as server, Connection(server.address) as connection:
        assert 0 < _prefix(_read_all(connection)) < _WRITES


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*", "CURRENT"])
def test_a_damaged_file_is_refused_with_the_way_out(data: Path, pattern: str) -> None:
    path = _files(data, pattern)[0 if pattern != "*.log" else -1]
    _damage(data, flip(path.name, path.stat().st_size // 2, 3))
    server = ServerProcess(data, *_SMALL)
    with pytest.raises(RuntimeError, match="Restore it from a backup"):
        server.start()
    assert server.wait() > 0
    assert "Traceback" not in server.stderr_text()


def test_a_log_that_is_cut_before_others_is_refused(data: Path) -> None:
    *older, _ = _files(data, "*.log")
    log = older[len(older) // 2]
    _damage(data, cut(log.name, log.stat().st_size // 2))
    server = ServerProcess(data, *_SMALL)
    with pytest.raises(RuntimeError, match="Restore it from a backup"):
        server.start()
    assert server.wait() > 0


def test_point_in_time_recovery_serves_what_was_before_the_damage(data: Path) -> None:
    newest = _files(data, "*.log")[-1]
    starts = record_offsets(newest)
    _damage(data, flip(newest.name, starts[len(starts) // 2] + 20, 0))
    server = ServerProcess(data, *_SMALL)
    with pytest.raises(RuntimeError, match="--wal-recovery point-in-time"):
        server.start()
    with ServerProcess(data, *_POINT_IN_TIME) as server, Connection(server.address) as connection:
        assert 0 < _prefix(_read_all(connection)) < _WRITES
        assert isinstance(connection.ask(pb.SetRequest(key="new", value=b"x")), pb.SetResponse)
        assert server.terminate() == 0


def test_a_damaged_table_is_never_read_as_something_else(data: Path) -> None:
    table = max(_files(data, "*.sst"), key=lambda path: path.stat().st_size)
    _damage(data, flip(table.name, table.stat().st_size // 3, 5))
    with ServerProcess(data, *_SMALL) as server, Connection(server.address) as connection:
        outcomes = _read_all(connection)
        listed = connection.ask(pb.ListRequest(limit=10_000, keys_only=True))
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert refusals
    for refusal in refusals:
        assert (refusal.code, refusal.reason) in (
            (grpc.StatusCode.DATA_LOSS, "STORAGE_CORRUPT"),
            # A merge of tables that met the damage first ends the server.
            (grpc.StatusCode.UNAVAILABLE, "STORAGE_FAILED"),
            (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
            (grpc.StatusCode.UNAVAILABLE, ""),
        )
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, pb.GetResponse):
            assert outcome.entry.value == _value(number)
    if isinstance(listed, pb.ListResponse):
        missing = _WRITES - len(listed.entries)
        assert not missing, f"a listing left out {missing} entries and said that it was whole"


def _files(data: Path, pattern: str) -> list[Path]:
    return sorted(path for path in (data / "partition-0000").glob(pattern) if path.stat().st_size)


def _damage(data: Path, case: Case) -> None:
    [path] = (data / "partition-0000").glob(case.file)
    case.damage(path)


def _key(number: int) -> str:
    return f"key-{number:05}"


def _value(number: int) -> bytes:
    return b"%d " % number + random.Random(number).randbytes(2000)


def _read_all(connection: Connection) -> list[Outcome]:
    return [connection.ask(pb.GetRequest(key=_key(number))) for number in range(_WRITES)]


def _prefix(outcomes: Sequence[Outcome]) -> int:
    """How many of the writes are there; raises AssertionError when one is there that came after one that is not."""
    there = []
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, pb.GetResponse), outcome
        there.append(outcome.HasField("entry"))
        assert not there[-1] or outcome.entry.value == _value(number)
    assert there == sorted(there, reverse=True), "there is a hole"
    return sum(there)
