"""A full disk: writes are refused, reads go on, what was acknowledged is kept, and room ends it by itself."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from contextlib import contextmanager
from itertools import count, islice
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
import pytest

from petra.v1 import admin_pb2
from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection
from tests.support.refusals import Refusal
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.pipelines import Request

pytestmark = pytest.mark.crash

_T = TypeVar("_T")

_DISK_BYTES: Final = 96 << 20
_RESERVE_BYTES: Final = 16 << 20
_ARGS: Final = (
    *("--disk-reserve-bytes", str(_RESERVE_BYTES)),
    *("--write-buffer-bytes", "4MiB", "--wal-bytes", "4MiB"),
    *("--sweep-interval-ms", "50"),
)
# The server looks at the disk many times in this many refused requests.
_MOST_TRIES: Final = 20_000
_VALUE: Final = random.Random("value").randbytes(60_000)

_MUTATIONS: Final[tuple[Request, ...]] = (
    pb.SetRequest(key="other", value=b"x"),
    pb.IncrementRequest(key="counter", delta=1),
    pb.SetManyRequest(object="room", items=[pb.SetItem(key="a", value=b"x"), pb.SetItem(key="b", value=b"x")]),
    pb.TransactRequest(object="room", operations=[pb.Operation(set=pb.SetItem(key="a", value=b"x"))]),
    pb.SetRequest(key="other", value=b"x", durability=pb.DURABILITY_BUFFERED),
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system (run it as root, or in a container with CAP_SYS_ADMIN)")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "petra-test", str(path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a small file system here (needs CAP_SYS_ADMIN): {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_writes_are_refused_and_resume_by_themselves(disk: Path) -> None:
    with ServerProcess(disk / "data", *_ARGS) as server, Connection(server.address) as connection:
        before = connection.ask(pb.SetRequest(key="kept", value=_VALUE))
        assert isinstance(before, pb.SetResponse)
        with _ballast(disk):
            refusal = _first(connection, pb.SetRequest(key="kept", value=b"new"), Refusal)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
            assert refusal.retry_after_ms > 0
            assert "disk" in refusal.message
            for request in _MUTATIONS:
                for outcome in (connection.ask(request), connection.ask_piped(request)):
                    assert isinstance(outcome, Refusal)
                    assert outcome.reason == "DISK_FULL"
                    assert outcome.retry_after_ms > 0
            _can_read(connection)
            info = connection.admin.GetInfo(admin_pb2.GetInfoRequest())
            assert not info.writable
            assert info.disk_free_bytes < info.disk_reserve_bytes + _RESERVE_BYTES
            assert info.disk_reserve_bytes == _RESERVE_BYTES
        after = _first(connection, pb.SetRequest(key="kept", value=b"newest"), pb.SetResponse)
        assert after.version > before.version
        assert connection.admin.GetInfo(admin_pb2.GetInfoRequest()).writable
        for request in _MUTATIONS:
            assert not isinstance(connection.ask(request), Refusal)
        assert server.terminate() == 0


def test_a_server_that_fills_its_disk_itself_stays_up(disk: Path, crash_report: list[str]) -> None:
    written: dict[str, int] = {}
    with ServerProcess(disk / "data", *_ARGS) as server, Connection(server.address) as connection:
        for number in count():
            key = f"key-{number:05}"
            outcome = connection.ask(pb.SetRequest(key=key, value=_value(number)))
            if isinstance(outcome, Refusal):
                assert outcome.reason in ("DISK_FULL", "OVERLOADED"), outcome
                if outcome.reason == "DISK_FULL":
                    break
                continue
            assert isinstance(outcome, pb.SetResponse)
            written[key] = outcome.version
        assert len(written) * len(_VALUE) > _DISK_BYTES / 3
        _check_all(connection, written)
        assert not server.ended
        server.kill()
    with ServerProcess(disk / "data", *_ARGS) as server, Connection(server.address) as connection:
        _check_all(connection, written)
        assert server.terminate() == 0
    crash_report.append(f"a disk of {_DISK_BYTES >> 20} MiB was full after {len(written)} values, all of them kept")


@contextmanager
def _ballast(disk: Path) -> Iterator[None]:
    """Takes all but half of the reserve."""
    path = disk / "ballast"
    stat = os.statvfs(disk)
    with path.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, stat.f_bavail * stat.f_frsize - _RESERVE_BYTES // 2)
    try:
        yield
    finally:
        path.unlink()


def _first(connection: Connection, request: Request, kind: type[_T]) -> _T:
    """The first answer of a kind to a request that is sent again and again."""
    for outcome in islice((connection.ask(request) for _ in count()), _MOST_TRIES):
        if isinstance(outcome, kind):
            return outcome
    raise AssertionError(f"no {kind.__name__} in {_MOST_TRIES} tries")


def _can_read(connection: Connection) -> None:
    got = connection.ask(pb.GetRequest(key="kept"))
    assert isinstance(got, pb.GetResponse)
    many = connection.ask_piped(pb.GetManyRequest(keys=["kept", "other"]))
    assert isinstance(many, pb.GetManyResponse)
    listed = connection.ask(pb.ListRequest())
    assert isinstance(listed, pb.ListResponse)
    assert list(many.entries) == list(listed.entries) == [got.entry]


def _value(number: int) -> bytes:
    """Different each time, and nothing that could be compressed."""
    return b"%d " % number + random.Random(number).randbytes(len(_VALUE))


def _check_all(connection: Connection, written: dict[str, int]) -> None:
    for key, version in written.items():
        got = connection.ask(pb.GetRequest(key=key))
        assert isinstance(got, pb.GetResponse), got
        assert got.entry.version == version
        assert got.entry.value == _value(int(key.removeprefix("key-")))
