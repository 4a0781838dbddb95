"""Making a data directory, and refusing those that cannot be opened."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from petra_server.clock import ManualClock
from petra_server.errors import StartupError
from petra_server.storage import directory as directory_module
from petra_server.storage.batch import Batch
from petra_server.storage.engine import Engine
from petra_server.storage.partition import Partition
from tests.server.storage.places import open_partition, partition_options


def make(path: Path, *, actors: int = 2) -> None:
    async def scenario() -> None:
        async with open_partition(path, actors=actors) as partition:
            partition.append(Batch(writes=[(0, b"kept", b"v")]))

    asyncio.run(scenario())


def refusal(path: Path, *, actors: int = 2) -> str:
    with pytest.raises(StartupError) as caught:
        Partition.open(partition_options(path, actors=actors), ManualClock())
    return str(caught.value)


def contents(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it on the way."""


def killed_at(step: str) -> Callable[..., object]:
    def instead(*_: object, **__: object) -> object:
        raise KilledError(step)

    return instead


class TestMaking:
    def test_leaves_the_lock_the_marker_and_the_database(self, tmp_path: Path) -> None:
        make(tmp_path / "deep" / "data")
        assert contents(tmp_path / "deep" / "data") == {"LOCK", "PETRA", "partition-0000"}

    @pytest.mark.parametrize(
        ("owner", "step"),
        [
            (shutil, "rmtree"),
            (Engine, "open"),
            (Engine, "write"),
            (Engine, "flush_wal"),
            (Engine, "close"),
            (json, "dump"),
            (os, "fsync"),
            (Path, "rename"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_was_killed_at_any_step_is_begun_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, killed_at(step))
            with pytest.raises(KilledError):
                Partition.open(partition_options(tmp_path / "data", actors=1), ManualClock())
        # The engine that was killed has no one to close it in this process: what it left stands under another name.
        (tmp_path / "data").rename(tmp_path / "left")
        make(tmp_path / "left", actors=3)
        assert contents(tmp_path / "left") == {"LOCK", "PETRA", "partition-0000"}
        assert "cannot be opened with 2" in refusal(tmp_path / "left", actors=2)

    def test_that_was_killed_after_its_last_step_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(directory_module, "_sync_directory", killed_at("sync"))
            with pytest.raises(KilledError):
                Partition.open(partition_options(tmp_path / "data"), ManualClock())
        make(tmp_path / "data", actors=0)

    @pytest.mark.parametrize(
        "left", [{}, {"LOCK": ""}, {"LOCK": "", "PETRA": "{}", "partition-0000.new/CURRENT": "x"}, {"PETRA": ""}]
    )
    def test_goes_over_what_an_earlier_one_left(self, tmp_path: Path, left: dict[str, str]) -> None:
        (tmp_path / "data" / "partition-0000.new").mkdir(parents=True)
        for name, text in left.items():
            (tmp_path / "data" / name).write_text(text)
        make(tmp_path / "data")

    def test_where_there_are_files_of_others_is_refused_and_touches_nothing(self, tmp_path: Path) -> None:
        for name in ("holiday.jpg", "notes"):
            (tmp_path / name).write_text("mine")
        message = refusal(tmp_path)
        assert "is not empty and holds no whole Petra data: holiday.jpg, notes" in message
        assert contents(tmp_path) == {"holiday.jpg", "notes"}

    def test_where_a_file_is_in_the_way_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("mine")
        assert "cannot be used" in refusal(tmp_path / "data")


class TestOpening:
    def test_with_another_number_of_actors_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path, actors=2)
        assert "has 2 actors and cannot be opened with 3" in refusal(tmp_path, actors=3)

    def test_a_newer_format_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path)
        (tmp_path / "PETRA").write_text(json.dumps({"format_version": 2, "actors": 2}))
        assert "has format 2, and this Petra knows formats up to 1" in refusal(tmp_path)

    @pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"format_version": "?", "actors": 2}'])
    def test_a_damaged_marker_is_refused(self, tmp_path: Path, text: str) -> None:
        make(tmp_path)
        (tmp_path / "PETRA").write_text(text)
        assert f"{tmp_path / 'PETRA'} is damaged" in refusal(tmp_path)

    def test_a_lost_marker_is_refused_and_the_data_left_alone(self, tmp_path: Path) -> None:
        make(tmp_path)
        marker = (tmp_path / "PETRA").read_text()
        (tmp_path / "PETRA").unlink()
        assert "holds no whole Petra data: partition-0000" in refusal(tmp_path)
        (tmp_path / "PETRA").write_text(marker)
        make(tmp_path)

    def test_a_marker_that_the_database_denies_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path, actors=2)
        (tmp_path / "PETRA").write_text(json.dumps({"format_version": 1, "actors": 3}))
        assert "should have 3 actors, and RocksDB knows 2" in refusal(tmp_path, actors=0)

    def test_a_lost_database_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path)
        (tmp_path / "partition-0000").rename(tmp_path.with_name("elsewhere"))
        assert "Restore it from a backup" in refusal(tmp_path)

    def test_a_second_time_is_refused_and_names_who_has_it(self, tmp_path: Path) -> None:
        script = (
            "import sys, fcntl; lock = open(sys.argv[1], 'a+'); fcntl.flock(lock, fcntl.LOCK_EX);"
            "lock.write('process 4711\\n'); lock.flush(); print('locked', flush=True); sys.stdin.read()"
        )
        make(tmp_path)
        (tmp_path / "LOCK").write_text("")
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "LOCK")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"locked\n"
            assert f"{tmp_path} is in use by process 4711" in refusal(tmp_path)
            other.communicate()
        make(tmp_path)

    def test_a_second_time_in_one_process_is_refused_too(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with open_partition(tmp_path):
                assert "is in use by process" in refusal(tmp_path)

        asyncio.run(scenario())

    def test_after_a_refusal_it_is_not_locked(self, tmp_path: Path) -> None:
        make(tmp_path)
        refusal(tmp_path, actors=3)
        make(tmp_path)
