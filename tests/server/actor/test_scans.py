"""Reading and clearing ranges in one turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.actor import handlers
from petra_server.actor.handlers import CLEAR_STEPS, SCAN_BYTES, LongTurn
from petra_server.actor.operations import (
    ENTRY_MESSAGE_BYTES,
    Clear,
    CountReply,
    Scan,
    ScanNames,
    ScanNamesReply,
    ScanReply,
    Set,
)
from petra_server.errors import StorageCorrupt
from petra_server.storage.keys import KIND_ENTRY, entry_prefix, namespace_prefix, prefix_end
from tests.server.actor.stage import SCOPE, Stage, at, put

MANY = 1_000
LARGE = 1 << 20
# A turn looks at some megabytes at most.
LARGE_VALUE = bytes(LARGE)
MOST_LARGE_VALUES = SCAN_BYTES // LARGE


@pytest.fixture
def stage() -> Stage:
    return Stage()


def scan(
    stage: Stage, *, lower: str = "", upper: str = "", limit: int = MANY, size: int = LARGE, reverse: bool = False
) -> ScanReply:
    reply = stage.do(Scan(at(lower), at(upper) if upper else prefix_end(SCOPE), limit, size, reverse))
    assert isinstance(reply, ScanReply)
    return reply


def names(reply: ScanReply) -> list[str]:
    return [key.removeprefix(SCOPE).decode() for key, _ in reply.entries]


class TestScan:
    def test_gives_entries_in_the_order_of_their_bytes(self, stage: Stage) -> None:
        for name in ("b", "a", "é", "ab", "Z"):
            stage.do(put(name))
        assert names(scan(stage)) == ["Z", "a", "ab", "b", "é"]
        assert names(scan(stage, reverse=True)) == ["é", "b", "ab", "a", "Z"]

    def test_keeps_to_its_bounds(self, stage: Stage) -> None:
        for name in ("a", "b", "c", "d"):
            stage.do(put(name))
        for reverse in (False, True):
            assert sorted(names(scan(stage, lower="b", upper="d", reverse=reverse))) == ["b", "c"]
        assert scan(stage, lower="x") == ScanReply([], None)

    def test_leaves_out_what_has_expired(self, stage: Stage) -> None:
        stage.do(put("a", ttl_ms=5))
        stage.do(put("b", ttl_ms=6))
        stage.now_ms += 5
        assert names(scan(stage)) == ["b"]

    def test_ends_at_its_limit_and_says_where_to_go_on(self, stage: Stage) -> None:
        for name in ("a", "b", "c"):
            stage.do(put(name))
        assert scan(stage, limit=2).resume == at("b")
        assert scan(stage, limit=2, reverse=True).resume == at("b")
        assert scan(stage, limit=3).resume == at("c"), "it was not looked what comes next"
        assert scan(stage, limit=4).resume is None

    def test_ends_before_its_bytes_are_exceeded_but_always_goes_on(self, stage: Stage) -> None:
        for name in ("a", "b", "c"):
            stage.do(put(name, b"v" * 100))
        each = len(at("a")) + 100 + ENTRY_MESSAGE_BYTES
        assert names(scan(stage, size=2 * each)) == ["a", "b"]
        assert names(scan(stage, size=2 * each - 1)) == ["a"]
        assert scan(stage, size=1).resume == at("a")

    def test_without_values_counts_and_gives_keys_only(self, stage: Stage) -> None:
        for name in ("a", "b"):
            stage.do(put(name, b"v" * 100))
        reply = stage.do(Scan(SCOPE, prefix_end(SCOPE), MANY, 2 * (len(at("a")) + ENTRY_MESSAGE_BYTES), keys_only=True))
        assert isinstance(reply, ScanReply)
        assert [record.value for _, record in reply.entries] == [b"", b""]
        assert [record.version for _, record in reply.entries] == [1, 2]

    def test_of_expired_entries_is_bounded(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handlers, "SCAN_STEPS", 3)
        for number in range(7):
            stage.do(put(f"{number}", ttl_ms=5 if number < 5 else 0))
        stage.now_ms += 5
        assert scan(stage) == ScanReply([], at("2"))
        reply = scan(stage, lower="2\0")
        assert (names(reply), reply.resume) == (["5"], at("5"))

    @pytest.mark.parametrize("ttl_ms", [0, 5])
    def test_of_large_values_is_bounded_though_they_are_not_answered(self, stage: Stage, ttl_ms: int) -> None:
        for number in range(20):
            stage.do(put(f"{number:02}", LARGE_VALUE, ttl_ms=ttl_ms))
        stage.now_ms += 5
        found: list[str] = []
        turns, lower = 0, SCOPE
        while True:
            reply = stage.do(Scan(lower, prefix_end(SCOPE), MANY, LARGE, keys_only=True))
            assert isinstance(reply, ScanReply)
            found += names(reply)
            turns += 1
            if reply.resume is None:
                break
            lower = reply.resume + b"\x00"
        assert turns == 20 // MOST_LARGE_VALUES + 1
        assert found == ([] if ttl_ms else [f"{number:02}" for number in range(20)])

    def test_of_a_damaged_entry_is_refused(self, stage: Stage) -> None:
        stage.family.data[at("k")] = b""
        with pytest.raises(StorageCorrupt):
            scan(stage)

    @given(
        st.dictionaries(st.text("ab", min_size=1, max_size=3), st.integers(0, 3), max_size=10),
        st.integers(1, 4),
        st.integers(1, 500),
        st.integers(1, 5),
        st.booleans(),
    )
    def test_in_pieces_gives_the_whole(
        self, entries: dict[str, int], limit: int, size: int, steps: int, reverse: bool
    ) -> None:
        stage = Stage()
        for name, ttl_ms in entries.items():
            stage.do(put(name, ttl_ms=ttl_ms))
        stage.now_ms += 2
        found: list[str] = []
        lower, upper = SCOPE, prefix_end(SCOPE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handlers, "SCAN_STEPS", steps)
            for _ in range(20):
                reply = stage.do(Scan(lower, upper, limit, size, reverse))
                assert isinstance(reply, ScanReply)
                found += names(reply)
                if reply.resume is None:
                    break
                lower, upper = (lower, reply.resume) if reverse else (reply.resume + b"\x00", upper)
        assert found == sorted((name for name, ttl in entries.items() if not 0 < ttl <= 2), reverse=reverse)


class TestNames:
    PLACES = (("a", ""), ("a", "x"), ("a", "y"), ("b", "x"), ("b\0", "x"), ("c", ""))

    @pytest.fixture
    def filled(self, stage: Stage) -> Stage:
        for namespace, object_name in self.PLACES:
            for key in (b"1", b"2"):
                stage.do(Set(entry_prefix(namespace.encode(), object_name.encode()) + key, b"v", 1))
        return stage

    def all_names(self, stage: Stage, parent: bytes, limit: int = MANY) -> list[str]:
        found: list[bytes] = []
        lower = parent
        while True:
            reply = stage.do(ScanNames(parent, lower, prefix_end(parent), limit))
            assert isinstance(reply, ScanNamesReply)
            assert len(reply.names) <= limit
            found += reply.names
            if reply.resume is None:
                return [name.decode() for name in found]
            assert lower < reply.resume
            lower = reply.resume

    @pytest.mark.parametrize("limit", [1, 2, MANY])
    @pytest.mark.parametrize("steps", [1, 2, 3, MANY])
    def test_of_namespaces_and_objects_are_each_given_once_in_order(
        self, filled: Stage, monkeypatch: pytest.MonkeyPatch, steps: int, limit: int
    ) -> None:
        monkeypatch.setattr(handlers, "SCAN_STEPS", steps)
        assert self.all_names(filled, KIND_ENTRY, limit) == ["a", "b", "b\0", "c"]
        assert self.all_names(filled, namespace_prefix(b"a"), limit) == ["x", "y"]
        assert self.all_names(filled, namespace_prefix(b"b"), limit) == ["x"]
        assert self.all_names(filled, namespace_prefix(b"c"), limit) == [], "flat keys are in no object"

    @pytest.mark.parametrize("steps", [1, 2, MANY])
    def test_with_nothing_but_expired_entries_are_left_out(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, steps: int
    ) -> None:
        monkeypatch.setattr(handlers, "SCAN_STEPS", steps)
        for object_name, ttls in (("gone", (5, 5, 5)), ("half", (5, 5, 0)), ("kept", (0, 0, 0))):
            for number, ttl_ms in enumerate(ttls):
                stage.do(Set(entry_prefix(b"n", object_name.encode()) + b"%d" % number, b"v", 1, ttl_ms))
        stage.now_ms += 5
        assert self.all_names(stage, namespace_prefix(b"n")) == ["half", "kept"]


class TestClear:
    def clear(self, prefix: str = "") -> Clear:
        return Clear(at(prefix), prefix_end(at(prefix)))

    def test_removes_a_prefix_and_counts_what_was_there(self, stage: Stage) -> None:
        for name in ("a1", "a2", "b", "a3"):
            stage.do(put(name, ttl_ms=5 if name == "a3" else 0))
        stage.now_ms += 5
        assert stage.do(self.clear("a")) == CountReply(2)
        assert set(stage.entries()) == {at("b")}
        assert (stage.index(), stage.keys) == (set(), 1)

    def test_of_nothing_counts_nothing(self, stage: Stage) -> None:
        assert stage.do(self.clear()) == CountReply(0)

    def test_of_more_than_a_turn_may_look_at_is_not_begun(self, stage: Stage) -> None:
        for number in range(CLEAR_STEPS + 1):
            stage.do(put(f"{number:05}"))
        turn = stage.turn()
        with pytest.raises(LongTurn):
            stage.run(turn, self.clear())
        assert not turn.collect()
        stage.do(self.clear("00000"))
        assert stage.do(self.clear()) == CountReply(CLEAR_STEPS)

    def test_of_more_bytes_than_a_turn_may_look_at_is_not_begun(self, stage: Stage) -> None:
        for number in range(MOST_LARGE_VALUES):
            stage.do(put(f"{number}", LARGE_VALUE))
        turn = stage.turn()
        with pytest.raises(LongTurn):
            stage.run(turn, self.clear())
        assert not turn.collect()
        stage.do(self.clear("0"))
        assert stage.do(self.clear()) == CountReply(MOST_LARGE_VALUES - 1)
