"""Damaged files: a directory then shows the history up to some moment, or refuses with a way out; never anything else.

Copies of one directory are damaged in one place each: bits flipped, files cut or gone.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.crash.archive import BATCHES, Finding, Opener, Prefix, Refused, Unreadable, Wrong, copy, make_own
from tests.crash.damages import HEAD_BYTES, LENGTH_OFFSET, TYPE_OFFSET, Case, cut, flip, gone, record_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.crash

_T = TypeVar("_T")

# The last two: PETRA, the marker of a directory, holds two small numbers.
_WAYS_OUT = ("Restore", "restore a backup", "Start the newer version", "Leave --actors out")


class Bench:
    """A good directory, and copies of it to damage."""

    def __init__(self, data: Path, opener: Opener, random_: random.Random, report: list[str]) -> None:
        self.random = random_
        self._data = data
        self._opener = opener
        self._report = report
        self.database = data / "partition-0000"

    def files(self, pattern: str) -> list[Path]:
        """In the order in which they were begun."""
        return sorted(path for path in self.database.glob(pattern) if path.stat().st_size)

    def find(self, case: Case | None = None, *, point_in_time: bool = False) -> Finding:
        scratch = self._data.with_name("damaged")
        copy(self._data, scratch)
        if case is not None:
            [path] = scratch.rglob(case.file)
            make_own(path)
            case.damage(path)
        return self._opener.find(scratch, point_in_time=point_in_time)

    def try_all(self, cases: Sequence[Case], *, point_in_time: bool = False) -> list[Finding]:
        """What each case shows; AssertionError with all that show what they must not."""
        findings = [self.find(case, point_in_time=point_in_time) for case in cases]
        bad = [
            f"{case.file} {case.what}: {finding}"
            for case, finding in zip(cases, findings, strict=True)
            if not _allowed(finding)
        ]
        counts = Counter(type(finding).__name__ for finding in findings)
        self._report.append(f"{len(cases)} damages, such as {cases[0].what} of {cases[0].file}: {dict(counts)}")
        assert not bad, "\n".join([f"{len(bad)} of {len(cases)} damages were not met well:", *bad[:20]])
        return findings

    def some_offsets(self, path: Path, count: int) -> list[int]:
        return [self.random.randrange(path.stat().st_size) for _ in range(count)]

    def sample(self, choices: Sequence[_T], count: int) -> list[_T]:
        """So many of them, or all."""
        return self.random.sample(choices, min(count, len(choices)))

    def flips(self, path: Path, offsets: Sequence[int]) -> list[Case]:
        return [flip(path.name, offset, self.random.randrange(8)) for offset in offsets]


def _allowed(finding: Finding) -> bool:
    match finding:
        case Prefix():
            return True
        case Unreadable(message):
            return "Restore" in message
        case Refused(message):
            return message.startswith("The ") and message.endswith(".") and any(way in message for way in _WAYS_OUT)
        case Wrong():
            return False


@pytest.fixture(scope="module")
def opener() -> Iterator[Opener]:
    with Opener() as opener:
        yield opener


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, opener: Opener) -> Path:
    data = tmp_path_factory.mktemp("damage") / "data"
    opener.make(data)
    return data


@pytest.fixture
def bench(data: Path, opener: Opener, crash_seed: str, crash_report: list[str]) -> Bench:
    return Bench(data, opener, random.Random(crash_seed), crash_report)


def test_without_damage_all_is_there(bench: Bench) -> None:
    assert bench.find() == bench.find(point_in_time=True) == Prefix(BATCHES)
    assert len(bench.files("*.log")) >= 2
    assert len(bench.files("*.sst")) >= 8
    assert len(record_offsets(bench.files("MANIFEST-*")[0])) >= 100


def test_a_torn_tail_of_the_newest_log_is_dropped(bench: Bench) -> None:
    newest = bench.files("*.log")[-1]
    size = newest.stat().st_size
    offsets = sorted({*range(size - 40, size), *record_offsets(newest)[-5:], *bench.some_offsets(newest, 40), 0})
    findings = bench.try_all([cut(newest.name, offset) for offset in offsets])
    kept = [finding.batches for finding in findings if isinstance(finding, Prefix)]
    assert len(kept) == len(offsets), "a torn tail is what every crash leaves, so it must not be refused"
    assert kept == sorted(kept)
    assert kept[0] < kept[-1] == BATCHES - 1


def test_point_in_time_drops_a_torn_tail_too(bench: Bench) -> None:
    newest = bench.files("*.log")[-1]
    cases = [cut(newest.name, offset) for offset in bench.some_offsets(newest, 15)]
    assert all(isinstance(finding, Prefix) for finding in bench.try_all(cases, point_in_time=True))


@pytest.mark.parametrize("point_in_time", [False, True], ids=["tail", "point-in-time"])
def test_older_logs_that_are_cut_or_gone_leave_no_hole(bench: Bench, point_in_time: bool) -> None:
    cases = []
    for log in bench.sample(bench.files("*.log")[:-1], 6):
        boundaries = bench.sample(record_offsets(log), 8)
        offsets = [*bench.some_offsets(log, 8), *boundaries, 0, log.stat().st_size - 1]
        cases += [gone(log.name), *(cut(log.name, offset) for offset in offsets)]
    bench.try_all(cases, point_in_time=point_in_time)


@pytest.mark.parametrize("point_in_time", [False, True], ids=["tail", "point-in-time"])
def test_flipped_bits_in_logs(bench: Bench, point_in_time: bool) -> None:
    cases = []
    *older, newest = bench.files("*.log")
    for log in [*bench.sample(older, 6), newest]:
        heads = [start + bench.random.randrange(HEAD_BYTES) for start in bench.sample(record_offsets(log), 10)]
        # The one damage to a type that RocksDB does not come back from: "a part of a recycled log".
        cases += [flip(log.name, start + TYPE_OFFSET, 2) for start in bench.sample(record_offsets(log), 2)]
        cases += bench.flips(
            log, [*bench.some_offsets(log, 15), *heads, *range(log.stat().st_size - 5, log.stat().st_size)]
        )
    bench.try_all(cases, point_in_time=point_in_time)


def test_flipped_bits_in_tables_and_tables_cut_or_gone(bench: Bench) -> None:
    tables = bench.files("*.sst")
    cases = []
    for table in bench.sample(tables, 8):
        size = table.stat().st_size
        tail = [bench.random.randrange(max(0, size - 1500), size) for _ in range(6)]
        cases += [
            *bench.flips(table, [*bench.some_offsets(table, 6), *tail]),
            cut(table.name, size // 2),
            gone(table.name),
        ]
    bench.try_all(cases)


@pytest.mark.parametrize("point_in_time", [False, True], ids=["tail", "point-in-time"])
def test_a_manifest_that_is_cut_or_has_flipped_bits(bench: Bench, point_in_time: bool) -> None:
    [manifest] = bench.files("MANIFEST-*")
    records = record_offsets(manifest)
    last = [*records[:20:4], *records[-25:]]
    cases = [
        cut(manifest.name, offset) for offset in [*bench.some_offsets(manifest, 15), *last, *(at + 9 for at in last)]
    ]
    cases += bench.flips(
        manifest, [*bench.some_offsets(manifest, 25), *(at + LENGTH_OFFSET + bench.random.randrange(2) for at in last)]
    )
    cases += [flip(manifest.name, at + TYPE_OFFSET, 2) for at in bench.sample(records, 2)]
    bench.try_all([*cases, gone(manifest.name)], point_in_time=point_in_time)


def test_the_small_files(bench: Bench) -> None:
    cases = []
    for pattern in ("CURRENT", "IDENTITY", "OPTIONS-*", "PETRA"):
        path = sorted([*bench.database.glob(pattern), *bench.database.parent.glob(pattern)])[-1]
        size = path.stat().st_size
        offsets = range(size) if size < 60 else bench.some_offsets(path, 20)
        cases += [*bench.flips(path, offsets), cut(path.name, 0), cut(path.name, size // 2), gone(path.name)]
    for case, finding in zip(cases, bench.try_all(cases), strict=True):
        assert finding == Prefix(BATCHES) or isinstance(finding, Refused), f"{case.file} {case.what}: {finding}"
