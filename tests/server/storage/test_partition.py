from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from petra_server.errors import StartupError, StorageFailed
from petra_server.storage import partition as partition_module
from petra_server.storage.batch import PARTITION_FAMILY, Batch
from petra_server.storage.engine import EngineStalled
from petra_server.storage.partition import Partition
from tests.server.storage.places import open_partition


def crash_image(path: Path, copy: Path) -> Path:
    """What a process that is killed now leaves behind: what it has written into files, flushed or not.

    Only for a database that was not opened often, so that no compaction changes the files meanwhile.
    """
    if copy.exists():
        shutil.rmtree(copy)
    return Path(shutil.copytree(path, copy))


def take(partition: Partition, count: int) -> list[int]:
    """Versions that are given out and kept with one batch."""
    versions = [partition.next_version() for _ in range(count)]
    partition.append(Batch(writes=[(0, b"k", b"%d" % versions[-1])]))
    return versions


def taken_by_a_process_that_is_killed(path: Path) -> list[int]:
    """The versions that it had given out by then."""
    script = (
        "import asyncio, os, pathlib, signal, sys\n"
        "from tests.server.storage.places import open_partition\n"
        "from tests.server.storage.test_partition import take\n"
        "async def scenario():\n"
        "    async with open_partition(pathlib.Path(sys.argv[1])) as partition:\n"
        "        print(*take(partition, 2), flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(scenario())\n"
    )
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [sys.executable, "-c", script, path], env=os.environ | paths, stdout=subprocess.PIPE, text=True
    )
    assert ended.returncode == -signal.SIGKILL
    return [int(version) for version in ended.stdout.split()]


async def first_version(path: Path) -> int:
    async with open_partition(path) as partition:
        return partition.next_version()


class TestVersions:
    def test_begin_at_one_and_go_on_without_a_gap_after_a_clean_close(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data") as partition:
                assert take(partition, 3) == [1, 2, 3]
            async with open_partition(tmp_path / "data") as partition:
                assert take(partition, 2) == [4, 5]

        asyncio.run(scenario())

    def test_only_grow_whenever_the_process_is_killed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(partition_module, "VERSION_STRIDE", 8)

        async def scenario() -> None:
            async with open_partition(tmp_path / "data") as partition:
                for count in (1, 2, 3, 20, 1, 7):
                    newest = take(partition, count)[-1]
                    assert await first_version(crash_image(tmp_path / "data", tmp_path / "copy")) > newest

        asyncio.run(scenario())

    def test_only_grow_over_crash_after_crash(self, tmp_path: Path) -> None:
        newest = 0
        for _ in range(3):
            versions = taken_by_a_process_that_is_killed(tmp_path)
            assert versions[0] > newest
            newest = versions[-1]
        assert asyncio.run(first_version(tmp_path)) > newest

    def test_are_safe_when_the_batch_that_raises_the_ceiling_is_stalled(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(partition_module, "VERSION_STRIDE", 8)

        async def scenario() -> None:
            async with open_partition(tmp_path / "data") as partition:
                with monkeypatch.context() as patch:
                    patch.setattr(partition.engine, "write", _raise(EngineStalled("busy")))
                    with pytest.raises(EngineStalled):
                        take(partition, 20)
                newest = take(partition, 1)[-1]
                assert newest == 21
                assert await first_version(crash_image(tmp_path / "data", tmp_path / "copy")) > newest

        asyncio.run(scenario())


class TestCounts:
    def test_are_exact_after_a_clean_close(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data", counts=[7, 0]) as partition:
                assert (partition.counts, partition.counts_estimated) == ([0, 0], False)
            async with open_partition(tmp_path / "data", counts=[8, 9]) as partition:
                assert (partition.counts, partition.counts_estimated) == ([7, 0], False)
            async with open_partition(tmp_path / "data") as partition:
                assert (partition.counts, partition.counts_estimated) == ([8, 9], False)

        asyncio.run(scenario())

    def test_are_estimated_after_a_crash_and_from_then_on(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data") as partition:
                partition.append(Batch(writes=[(1, b"%d" % number, b"v") for number in range(5)]))
                image = crash_image(tmp_path / "data", tmp_path / "copy")
            for _ in range(2):
                async with open_partition(image, counts=[0, 99]) as partition:
                    assert (partition.counts, partition.counts_estimated) == ([0, 5], True)

        asyncio.run(scenario())

    def test_are_exact_after_a_crash_without_any_data(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data"):
                image = crash_image(tmp_path / "data", tmp_path / "copy")
            async with open_partition(image) as partition:
                assert (partition.counts, partition.counts_estimated) == ([0, 0], False)

        asyncio.run(scenario())


class TestClose:
    def test_during_a_stall_keeps_what_was_written_and_versions_still_grow(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data", counts=[1, 0]) as partition:
                newest = take(partition, 3)[-1]
                monkeypatch.setattr(partition.engine, "write", _raise(EngineStalled("busy")))
            async with open_partition(tmp_path / "data") as partition:
                assert partition.engine.get(0, b"k") == b"3"
                assert partition.next_version() > newest

        asyncio.run(scenario())

    def test_after_a_failed_write_raises_and_lets_go_of_the_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            with pytest.raises(StorageFailed):
                async with open_partition(tmp_path / "data") as partition:
                    monkeypatch.setattr(partition.engine, "write", _raise(StorageFailed("The disk is gone.")))
            assert await first_version(tmp_path / "data") > 0

        asyncio.run(scenario())


class TestDisk:
    def test_is_looked_at_after_every_stretch_of_writes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path / "data", disk_reserve_bytes=1 << 20) as partition:
                looks: list[int] = []
                monkeypatch.setattr(partition.disk, "look", lambda: looks.append(1))
                partition.append(Batch(writes=[(0, b"k", b"v" * 1_000), (0, b"gone", None)]))
                assert not looks
                partition.append(Batch(writes=[(0, b"k", b"v" * (1 << 17))]))
                assert looks == [1]

        asyncio.run(scenario())


def test_what_was_fixed_at_the_making_is_read_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_partition(tmp_path / "data", actors=3) as partition:
            meta = partition.meta
            assert (meta.format_version, meta.actors, meta.created_at_ms) == (1, 3, 1_700_000_000_000)
        async with open_partition(tmp_path / "data", actors=0) as partition:
            assert partition.meta == meta

    asyncio.run(scenario())


def test_a_partition_that_lost_its_own_record_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_partition(tmp_path / "data") as partition:
            partition.append(Batch(writes=[(PARTITION_FAMILY, b"petra", None)]))
        with pytest.raises(StartupError, match="lost its own record"):
            await first_version(tmp_path / "data")

    asyncio.run(scenario())


def _raise(error: Exception) -> object:
    def write(batch: Batch) -> None:
        raise error

    return write
