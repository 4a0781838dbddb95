"""The expiry index, the sweep, and the count of entries: exact after whatever was done."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from petra_server.actor.handlers import SCAN_BYTES
from petra_server.actor.operations import (
    Clear,
    Delete,
    Get,
    Increment,
    Operation,
    Scan,
    Set,
    SetMany,
    Sweep,
    SweepReply,
    Touch,
    Transact,
)
from petra_server.actor.turn import NeedsWrites
from petra_server.errors import Refusal
from petra_server.storage.batch import Batch
from petra_server.storage.cache import MISSING
from petra_server.storage.keys import KIND_ENTRY, REQUEST_TTL_MS, expiry_key, prefix_end
from petra_server.storage.records import unpack_record
from tests.server.actor.stage import FAMILY, SCOPE, START_MS, Stage, at, put

NAMES = ["a", "ab", "b", "c"]
CLEAR = Clear(SCOPE, prefix_end(SCOPE))

keys = st.sampled_from(NAMES).map(at)
# Small enough that many run out while a test goes on, and that two often run out together.
ttls = st.sampled_from([0, 0, 1, 2, 3, 10])
sets = st.builds(
    Set, keys, st.sampled_from([b"1", b"x"]), st.just(1), ttls, st.sampled_from([None, None, 0, 1]), st.booleans()
)
steps = st.one_of(
    sets,
    st.builds(Delete, keys, st.sampled_from([None, None, 0, 1])),
    st.builds(Increment, keys, st.just(1), st.just(0), ttls),
    st.builds(Touch, keys, ttls),
    st.builds(Get, keys),
)
operations: st.SearchStrategy[Operation] = st.one_of(
    steps,
    st.builds(SetMany, st.lists(sets, max_size=3).map(tuple)),
    st.builds(Transact, st.just(()), st.lists(steps, max_size=4).map(tuple), st.just(1 << 20)),
    st.just(CLEAR),
    st.builds(Sweep, st.integers(1, 3)),
)


class Turns(RuleBasedStateMachine):
    """Turns of any operations, while time goes by."""

    @initialize(cache_bytes=st.sampled_from([0, 3_500, 1 << 20]))
    def begin(self, cache_bytes: int) -> None:
        self.stage = Stage(cache_bytes=cache_bytes)
        # Left behind by clears in slices, until a sweep comes by.
        self.stale: set[tuple[int, bytes]] = set()

    @rule(chosen=st.lists(st.tuples(operations, st.booleans(), st.sampled_from([b"", b"", b"id"])), max_size=4))
    def turn(self, chosen: list[tuple[Operation, bool, bytes]]) -> None:
        turn = self.stage.turn()
        for operation, sync, request_id in chosen:
            has_id = not isinstance(operation, Clear | Sweep | Get | Touch)
            try:
                self.stage.run(turn, operation, sync=sync, request_id=request_id if has_id else b"")
            except Refusal:
                pass
            except NeedsWrites:
                break
        self.stage.store(turn)

    @rule(ms=st.integers(1, 4))
    def wait(self, ms: int) -> None:
        self.stage.now_ms += ms

    @rule()
    def clear_in_slices(self) -> None:
        """As petra_server.actor.clearing does: it leaves the index to the sweep."""
        self.stale |= self.stage.expiring()
        for key in self.stage.entries():
            self.stage.cache.discard(key)
        self.stage.actor.keys -= len(self.stage.entries())
        self.stage.family.apply(Batch(range_deletes=[(FAMILY, CLEAR.lower, CLEAR.upper)]))

    @rule()
    def sweep_all(self) -> None:
        self.stage.do(Sweep(1_000))
        gone = {record for record in self.stage.index() if record[0] <= self.stage.now_ms}
        assert not gone
        assert all(not 0 < record.expires_at_ms <= self.stage.now_ms for record in self.stage.entries().values())

    @invariant()
    def the_index_says_exactly_what_expires(self) -> None:
        if hasattr(self, "stage"):
            index, expiring = self.stage.index(), self.stage.expiring()
            assert expiring <= index
            assert index - expiring <= self.stale

    @invariant()
    def the_count_is_exact(self) -> None:
        if hasattr(self, "stage"):
            assert self.stage.keys == len(self.stage.entries())

    @invariant()
    def the_cache_says_what_is_stored(self) -> None:
        if hasattr(self, "stage"):
            for key in map(at, NAMES):
                cached = self.stage.cache.get(key)
                assert cached is MISSING or cached == self.stage.entries().get(key)


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestSweep:
    def test_removes_what_has_expired_by_now_and_nothing_else(self, stage: Stage) -> None:
        stage.do(SetMany((put("now", ttl_ms=5), put("soon", ttl_ms=6), put("never"), put("before", ttl_ms=4))))
        stage.now_ms += 5
        reply = stage.do(Sweep(10))
        assert isinstance(reply, SweepReply)
        assert (reply.swept, reply.more) == (2, False)
        assert set(stage.entries()) == {at("soon"), at("never")}
        assert stage.index() == {(START_MS + 6, at("soon"))}
        assert stage.keys == 2

    def test_goes_on_where_the_last_one_ended(self, stage: Stage) -> None:
        for number in range(5):
            stage.do(put(f"k{number}", ttl_ms=number + 1))
        stage.now_ms += 4
        swept, resume, more = 0, b"", True
        while more:
            reply = stage.do(Sweep(2, resume))
            assert isinstance(reply, SweepReply)
            swept, resume, more = swept + reply.swept, reply.resume, reply.more
        assert (swept, set(stage.entries())) == (4, {at("k4")})
        stage.now_ms += 1
        assert stage.do(Sweep(2, resume)) == SweepReply(1, False, expiry_key(START_MS + 5, at("k4")) + b"\x00")

    def test_of_large_values_takes_several_turns(self, stage: Stage) -> None:
        for number in range(20):
            stage.do(put(f"k{number}", bytes(1 << 20), ttl_ms=5))
        stage.now_ms += 5
        swept: list[int] = []
        resume, more = b"", True
        while more:
            reply = stage.do(Sweep(100, resume))
            assert isinstance(reply, SweepReply)
            swept.append(reply.swept)
            resume, more = reply.resume, reply.more
        assert sum(swept) == 20
        assert max(swept) <= (SCAN_BYTES >> 20) + 1
        assert (stage.entries(), stage.index(), stage.keys) == ({}, set(), 0)

    def test_passes_over_a_damaged_entry(self, stage: Stage) -> None:
        stage.do(SetMany((put("damaged", ttl_ms=4), put("whole", ttl_ms=5))))
        stage.family.data[at("damaged")] = b"\xff"
        stage.cache.discard(at("damaged"))
        stage.now_ms += 5
        reply = stage.do(Sweep(10))
        assert isinstance(reply, SweepReply)
        assert (reply.swept, reply.more) == (1, False)
        assert list(stage.family.of_kind(KIND_ENTRY)) == [at("damaged")]

    def test_removes_index_records_that_a_clear_left_behind(self, stage: Stage) -> None:
        stage.do(SetMany((put("gone", ttl_ms=5), put("changed", ttl_ms=5))))
        stage.family.apply(Batch(range_deletes=[(FAMILY, CLEAR.lower, CLEAR.upper)]))
        for name in ("gone", "changed"):
            stage.cache.discard(at(name))
        stage.do(put("changed", ttl_ms=50))
        stage.now_ms += 5
        reply = stage.do(Sweep(10))
        assert isinstance(reply, SweepReply)
        assert reply.swept == 0
        assert stage.index() == {(START_MS + 50, at("changed"))}
        assert stage.value("changed") == b"v"

    def test_leaves_no_absences_in_the_cache(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=5))
        stage.now_ms += 5
        stage.do(Sweep(10))
        assert stage.cache.get(at("k")) is MISSING

    def test_forgets_requests_that_nobody_may_repeat(self, stage: Stage) -> None:
        stage.do(put("k"), request_id=b"old")
        stage.now_ms += 2 * REQUEST_TTL_MS
        stage.do(put("k"), request_id=b"new")
        assert len(stage.requests()) == 2
        stage.do(Sweep(10))
        [left] = stage.requests()
        assert left.endswith(b"new")

    def test_of_nothing_writes_nothing(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=5))
        turn = stage.turn()
        assert stage.run(turn, Sweep(10), sync=False) == SweepReply(0, False, b"")
        assert not turn.collect()

    @given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 20)), max_size=20), st.integers(0, 20))
    def test_changes_no_answer(self, written: list[tuple[str, int]], later_ms: int) -> None:
        stage = Stage()
        for name, ttl_ms in written:
            stage.do(put(name, ttl_ms=ttl_ms))
        stage.now_ms += later_ms
        everything = Scan(SCOPE, prefix_end(SCOPE), 100, 1 << 20)
        before = [stage.do(everything), [stage.record(name) for name in NAMES]]
        stage.do(Sweep(100))
        assert [stage.do(everything), [stage.record(name) for name in NAMES]] == before
        assert len(stage.family.of_kind(KIND_ENTRY)) == sum(stage.record(name) is not None for name in NAMES)
        assert all(unpack_record(value) for value in stage.family.of_kind(KIND_ENTRY).values())
