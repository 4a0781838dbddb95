"""What is known of the request ids of late: a stored one is never taken for a new one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.actor.operations import Increment, IncrementReply
from petra_server.actor.recent import ActorRequests, RecentRequests
from petra_server.storage.keys import REQUEST_TTL_MS, request_bucket
from tests.server.actor.stage import START_MS, MemoryFamily, Stage, at

ADD = Increment(at("n"), 1)
ID, OTHER = b"0123456789abcdef", b"another"
BUCKET = request_bucket(START_MS)


@given(st.lists(st.tuples(st.integers(0, 8), st.binary(min_size=1, max_size=2)), max_size=30))
def test_whatever_was_added_may_be_held_in_whatever_order_the_buckets_come(added: list[tuple[int, bytes]]) -> None:
    recent = RecentRequests(table_bits=8)
    for count, (bucket, request_id) in enumerate(added, start=1):
        recent.add(bucket, request_id)
        assert all(recent.may_hold(*earlier) for earlier in added[:count])


def test_nearly_all_new_ids_are_known_to_be_new() -> None:
    recent = RecentRequests()
    for number in range(1_000):
        recent.add(BUCKET, b"old %d" % number)
    taken_for_old = [recent.may_hold(BUCKET, b"new %d" % number) for number in range(1_000)]
    assert sum(taken_for_old) < 10


def test_an_id_is_known_in_its_own_bucket_only() -> None:
    recent = RecentRequests()
    recent.add(BUCKET, ID)
    assert [recent.may_hold(bucket, ID) for bucket in (BUCKET - 1, BUCKET, BUCKET + 1)] == [False, True, False]
    assert not recent.may_hold(BUCKET, OTHER)


def test_of_buckets_long_past_nothing_is_known() -> None:
    recent = RecentRequests()
    for bucket in range(3):
        recent.add(bucket, ID)
    assert recent.may_hold(0, OTHER)
    assert [recent.may_hold(bucket, OTHER) for bucket in (1, 2, 3)] == [False] * 3


def test_new_ids_are_not_looked_for_in_the_store() -> None:
    stage = Stage()
    for number in range(20):
        assert stage.do(ADD, request_id=b"%d" % number) == IncrementReply(number + 1, number + 1)
    # The one read is of the counter.
    assert stage.family.reads == 1


def test_what_an_earlier_process_has_stored_is_found() -> None:
    earlier = Stage()
    first = earlier.do(ADD, request_id=ID)
    for later_ms in (0, REQUEST_TTL_MS - 1):
        stage = Stage()
        stage.family.data = dict(earlier.family.data)
        stage.now_ms = START_MS + later_ms
        assert stage.do(ADD, request_id=OTHER) == IncrementReply(2, 1)
        assert stage.do(ADD, request_id=ID) == first


@pytest.mark.parametrize("step_ms", [-REQUEST_TTL_MS, -3 * REQUEST_TTL_MS])
def test_a_request_is_found_also_when_the_clock_was_set_back_and_forth(step_ms: int) -> None:
    stage = Stage()
    first = stage.do(ADD, request_id=ID)
    stage.now_ms += step_ms
    for number in range(4):
        stage.do(ADD, request_id=b"%d" % number)
        stage.now_ms -= REQUEST_TTL_MS
    stage.now_ms = START_MS
    assert stage.do(ADD, request_id=ID) == first


def test_the_store_is_asked_for_inherited_buckets_only() -> None:
    family = MemoryFamily()
    earlier = Stage()
    earlier.do(ADD, request_id=ID)
    family.data = dict(earlier.family.data)
    requests = ActorRequests(RecentRequests(), family)
    assert requests.places(BUCKET, OTHER) == [BUCKET, BUCKET - 1]
    assert requests.places(BUCKET + 1, OTHER) == [BUCKET]
    assert requests.places(BUCKET + 2, OTHER) == []
