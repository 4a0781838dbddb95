from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra_server.storage.batch import PARTITION_FAMILY, Batch
from petra_server.storage.engine import DEFAULT_FAMILY, Engine, EngineOpenError, EngineStalled
from tests.server.storage.places import ENGINE_OPTIONS, FAMILIES

KEYS = st.lists(st.sampled_from(b"\x00ab\xff"), min_size=1, max_size=3).map(bytes)
# Beyond every one of KEYS.
LAST = b"\xff" * 4


def put(engine: Engine, *pairs: tuple[bytes, bytes], family: int = 0) -> None:
    engine.write(Batch(writes=[(family, key, value) for key, value in pairs]))


class TestWrite:
    def test_is_seen_at_once_in_its_own_family_only(self, engine: Engine) -> None:
        engine.write(Batch(writes=[(0, b"k", b"zero"), (1, b"k", b"one"), (PARTITION_FAMILY, b"k", b"own")]))
        assert [engine.get(family, b"k") for family in (0, 1, PARTITION_FAMILY)] == [b"zero", b"one", b"own"]
        engine.write(Batch(writes=[(0, b"k", None)]))
        assert [engine.get(family, b"k") for family in (0, 1)] == [None, b"one"]

    def test_ranges_are_deleted_before_anything_is_put(self, engine: Engine) -> None:
        put(engine, (b"a", b"old"), (b"b", b"old"), (b"c", b"old"))
        engine.write(Batch(writes=[(0, b"b", b"new")], range_deletes=[(0, b"a", b"c")]))
        assert list(engine.scan(0, b"", LAST)) == [(b"b", b"new"), (b"c", b"old")]

    def test_of_one_key_several_times_keeps_the_last(self, engine: Engine) -> None:
        engine.write(
            Batch(writes=[(0, b"k", b"1"), (0, b"k", None), (0, b"k", b"2"), (0, b"gone", b"1"), (0, b"gone", None)])
        )
        assert list(engine.scan(0, b"", LAST)) == [(b"k", b"2")]

    def test_of_an_unknown_family_writes_nothing_at_all(self, engine: Engine) -> None:
        with pytest.raises(KeyError):
            engine.write(Batch(writes=[(0, b"k", b"v"), (7, b"k", b"v")]))
        assert engine.get(0, b"k") is None

    def test_applied_twice_is_applied_once(self, engine: Engine) -> None:
        batch = Batch(writes=[(0, b"b", b"new"), (0, b"c", None)], range_deletes=[(0, b"a", b"c")])
        put(engine, (b"a", b"old"), (b"c", b"old"))
        engine.write(batch)
        once = list(engine.scan(0, b"", LAST))
        engine.write(batch)
        assert list(engine.scan(0, b"", LAST)) == once

    def test_is_refused_and_not_done_while_rocksdb_is_behind(self, tmp_path: Path) -> None:
        small = dataclasses.replace(ENGINE_OPTIONS, write_buffer_bytes=64 << 10)
        engine = Engine.open(tmp_path / "db", FAMILIES, small, create=True)
        value = b"v" * (1 << 20)

        def fill() -> int:
            # Each fills a write buffer, and writing that out takes longer than filling the next.
            for number in range(1_000):
                try:
                    put(engine, (b"%d" % number, value))
                except EngineStalled:
                    return number
            pytest.fail("the disk keeps up with whatever is written")

        try:
            refused = fill()
            assert engine.get(0, b"%d" % refused) is None
            assert all(engine.get(0, b"%d" % number) == value for number in range(refused))
        finally:
            engine.close()


class TestScan:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sets(KEYS, max_size=12), KEYS, KEYS, st.booleans())
    def test_gives_what_lies_within_both_bounds(
        self, engine: Engine, keys: set[bytes], lower: bytes, upper: bytes, reverse: bool
    ) -> None:
        engine.write(Batch(writes=[(0, key, b"v") for key in keys], range_deletes=[(0, b"", LAST)]))
        expected = sorted((key for key in keys if lower <= key < upper), reverse=reverse)
        assert [key for key, _ in engine.scan(0, lower, upper, reverse=reverse)] == expected

    def test_backwards_ends_at_the_lower_bound(self, engine: Engine) -> None:
        put(engine, *((bytes((byte,)), b"v") for byte in range(100)))
        found = [key[0] for key, _ in engine.scan(0, bytes((40,)), bytes((60,)), reverse=True)]
        assert found == list(range(59, 39, -1))

    def test_shows_the_moment_it_was_begun(self, engine: Engine) -> None:
        put(engine, (b"a", b"old"), (b"c", b"old"))
        forward = engine.scan(0, b"", LAST)
        backward = engine.scan(0, b"", LAST, reverse=True)
        engine.write(Batch(writes=[(0, b"b", b"new"), (0, b"c", b"new")], range_deletes=[(0, b"a", b"b")]))
        assert list(forward) == [(b"a", b"old"), (b"c", b"old")]
        assert list(backward) == [(b"c", b"old"), (b"a", b"old")]

    def test_stays_in_its_family(self, engine: Engine) -> None:
        put(engine, (b"a", b"0"))
        put(engine, (b"b", b"1"), family=1)
        assert list(engine.scan(1, b"", LAST)) == [(b"b", b"1")]


class TestOpen:
    def test_again_in_one_process_finds_what_was_flushed(self, open_engine: Callable[[], Engine]) -> None:
        engine = open_engine()
        put(engine, (b"k", b"v"))
        engine.flush_wal()
        assert open_engine().get(0, b"k") == b"v"

    def test_names_the_families_of_a_directory(self, open_engine: Callable[[], Engine], tmp_path: Path) -> None:
        open_engine()
        assert set(Engine.families(tmp_path / "db")) == {DEFAULT_FAMILY, *FAMILIES}

    def test_of_a_missing_directory_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(EngineOpenError):
            Engine.families(tmp_path / "none")
        with pytest.raises(EngineOpenError):
            Engine.open(tmp_path / "none", FAMILIES, ENGINE_OPTIONS, create=False)

    def test_twice_is_an_error(self, engine: Engine, tmp_path: Path) -> None:
        with pytest.raises(EngineOpenError):
            Engine.open(tmp_path / "db", FAMILIES, ENGINE_OPTIONS, create=False)


class TestFigures:
    def test_keys_are_estimated(self, engine: Engine) -> None:
        assert engine.estimated_keys(0) == 0
        put(engine, *((b"%d" % number, b"v") for number in range(100)))
        assert (engine.estimated_keys(0), engine.estimated_keys(1)) == (100, 0)

    def test_keys_are_estimated_from_tables_too(self, open_engine: Callable[[], Engine]) -> None:
        put(open_engine(), *((b"%d" % number, b"v") for number in range(100)))
        # The first opening moves the log into a table; the second one knows nothing but the table.
        open_engine()
        assert open_engine().estimated_keys(0) == 100

    def test_bytes_in_memory_grow_with_what_is_written(self, engine: Engine) -> None:
        before = engine.memtable_bytes()
        put(engine, (b"k", b"v" * 500_000))
        assert engine.memtable_bytes() >= before + 500_000
