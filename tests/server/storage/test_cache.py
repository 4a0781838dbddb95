from __future__ import annotations

from collections import OrderedDict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from petra_server.storage.cache import ENTRY_OVERHEAD_BYTES, MISSING, CacheView, EntryCache
from petra_server.storage.records import Record

BUDGET_BYTES = 8_000
LARGEST_BYTES = BUDGET_BYTES // 8


def record(size_bytes: int, version: int = 1) -> Record:
    return Record(version, 0, 1, b"v" * size_bytes)


def cost(key: bytes, kept: Record | None) -> int:
    return len(key) + ENTRY_OVERHEAD_BYTES + (len(kept.value) if kept else 0)


class CacheAgainstModel(RuleBasedStateMachine):
    """Three actors' views beside a dictionary in the order of use. A key belongs to the actor that its number says."""

    @initialize(budget_bytes=st.sampled_from([0, 100, BUDGET_BYTES]))
    def make(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        cache = EntryCache(budget_bytes)
        self.views: list[CacheView] = [cache.view() for _ in range(3)]
        self.model: OrderedDict[bytes, Record | None] = OrderedDict()

    def view_of(self, number: int) -> CacheView:
        return self.views[number % 3]

    @rule(number=st.integers(0, 20), size=st.integers(0, LARGEST_BYTES + 50) | st.none(), version=st.integers(1, 9))
    def put(self, number: int, size: int | None, version: int) -> None:
        key, kept = b"%d" % number, None if size is None else record(size, version)
        self.view_of(number).put(key, kept)
        self.model.pop(key, None)
        if cost(key, kept) <= self.budget_bytes // 8:
            self.model[key] = kept
        while sum(cost(key, kept) for key, kept in self.model.items()) > self.budget_bytes:
            self.model.popitem(last=False)

    @rule(number=st.integers(0, 20))
    def get(self, number: int) -> None:
        key = b"%d" % number
        assert self.view_of(number).get(key) == self.model.get(key, MISSING)
        if key in self.model:
            self.model.move_to_end(key)

    @rule(number=st.integers(0, 20))
    def discard(self, number: int) -> None:
        self.view_of(number).discard(b"%d" % number)
        self.model.pop(b"%d" % number, None)

    @invariant()
    def the_figures_of_each_view_are_exact(self) -> None:
        for index, view in enumerate(getattr(self, "views", [])):
            own = {key: kept for key, kept in self.model.items() if int(key) % 3 == index}
            assert view.entries == len(own)
            assert view.bytes == sum(cost(key, kept) for key, kept in own.items())

    @invariant()
    def the_budget_is_never_exceeded(self) -> None:
        assert sum(view.bytes for view in getattr(self, "views", [])) <= getattr(self, "budget_bytes", 0)


TestCacheAgainstModel = CacheAgainstModel.TestCase
TestCacheAgainstModel.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


def test_an_absence_is_known_and_differs_from_knowing_nothing() -> None:
    view = EntryCache(BUDGET_BYTES).view()
    assert view.get(b"k") is MISSING
    view.put(b"k", None)
    assert view.get(b"k") is None


def test_what_would_push_too_much_out_is_not_kept_and_nothing_older_is_either() -> None:
    view = EntryCache(BUDGET_BYTES).view()
    view.put(b"k", record(10))
    view.put(b"other", record(10))
    view.put(b"k", record(LARGEST_BYTES))
    assert view.get(b"k") is MISSING
    assert view.get(b"other") == record(10)


def test_a_budget_of_nothing_turns_it_off() -> None:
    view = EntryCache(0).view()
    view.put(b"k", record(0))
    view.put(b"gone", None)
    assert (view.get(b"k"), view.get(b"gone"), view.entries, view.bytes) == (MISSING, MISSING, 0, 0)


def test_a_busy_actor_may_use_what_idle_ones_do_not() -> None:
    cache = EntryCache(BUDGET_BYTES)
    idle, busy = cache.view(), cache.view()
    idle.put(b"idle", record(10))
    for number in range(100):
        busy.put(b"busy %d" % number, record(10))
    assert (idle.entries, idle.bytes) == (0, 0)
    assert busy.bytes > BUDGET_BYTES - 2 * ENTRY_OVERHEAD_BYTES
