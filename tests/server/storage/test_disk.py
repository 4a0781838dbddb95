from __future__ import annotations

from pathlib import Path

import pytest

from petra_server.storage.disk import AUTOMATIC_RESERVE_LIMIT_BYTES, DiskGuard, DiskSpace, disk_space

MIB = 1 << 20


class Disk:
    """A file system of 1,000 MiB and a database with some MiB in memory, both as the test says."""

    def __init__(self, free_mib: int, reserve_mib: int = 80, total_mib: int = 1_000) -> None:
        self.total_mib, self.free_mib, self.pending_mib, self.looks = total_mib, free_mib, 0, 0
        self.guard = DiskGuard(self._space, lambda: self.pending_mib * MIB, reserve_bytes=reserve_mib * MIB)

    def _space(self) -> DiskSpace:
        self.looks += 1
        return DiskSpace(self.total_mib * MIB, self.free_mib * MIB)


def test_writes_end_below_the_reserve_and_resume_when_there_is_room() -> None:
    disk = Disk(free_mib=80)
    seen = [(disk.guard.writable, disk.guard.free_bytes)]
    for disk.free_mib in (79, 80):
        disk.guard.look()
        seen.append((disk.guard.writable, disk.guard.free_bytes))
    assert seen == [(True, 80 * MIB), (False, 79 * MIB), (True, 80 * MIB)]


def test_what_is_in_memory_needs_room_as_well() -> None:
    disk = Disk(free_mib=100)
    disk.pending_mib = 20
    disk.guard.look()
    assert disk.guard.writable
    disk.pending_mib = 21
    disk.guard.look()
    assert not disk.guard.writable


def test_the_sweeper_may_use_half_of_the_reserve() -> None:
    disk = Disk(free_mib=40)
    assert (disk.guard.writable, disk.guard.sweepable) == (False, True)
    disk.free_mib = 39
    disk.guard.look()
    assert not disk.guard.sweepable


def test_writing_an_eighth_of_the_reserve_has_it_look_again() -> None:
    disk = Disk(free_mib=100)
    disk.free_mib = 10
    disk.guard.wrote(10 * MIB)
    assert (disk.looks, disk.guard.writable) == (1, True)
    disk.guard.wrote(1)
    assert (disk.looks, disk.guard.writable) == (2, False)
    disk.guard.wrote(10 * MIB)
    assert disk.looks == 2, "the count begins anew with each look"


@pytest.mark.parametrize(
    ("total_mib", "reserve_bytes"), [(1_000, 50 * MIB), (1_000_000, AUTOMATIC_RESERVE_LIMIT_BYTES)]
)
def test_a_reserve_that_is_not_set_is_a_share_of_the_disk_with_a_limit(total_mib: int, reserve_bytes: int) -> None:
    assert Disk(free_mib=500, reserve_mib=0, total_mib=total_mib).guard.reserve_bytes == reserve_bytes


def test_a_real_file_system_is_measured(tmp_path: Path) -> None:
    space = disk_space(tmp_path)
    assert 0 <= space.free_bytes <= space.total_bytes
    assert space.total_bytes > 0


def test_a_file_system_that_does_not_say_leaves_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(free_mib=100)

    def broken() -> DiskSpace:
        disk.looks += 1
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(disk.guard, "_space", broken)
        disk.guard.look()
        disk.guard.wrote(11 * MIB)
        assert (disk.guard.writable, disk.guard.sweepable, disk.guard.free_bytes) == (True, True, 100 * MIB)
        assert disk.looks == 3, "each time anew"
    disk.free_mib = 10
    disk.guard.wrote(1)
    assert not disk.guard.writable
