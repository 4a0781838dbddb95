"""A request with an id that was done already answers as it did the first time, and changes nothing."""

from __future__ import annotations

import pytest

from petra_server.actor.operations import (
    Algorithm,
    Condition,
    Delete,
    DeleteMany,
    DeleteReply,
    Get,
    Increment,
    IncrementReply,
    Operation,
    Set,
    SetMany,
    Sweep,
    Throttle,
    Transact,
)
from petra_server.errors import Reason, Refusal, StorageCorrupt
from petra_server.storage.keys import REQUEST_TTL_MS, entry_prefix
from tests.server.actor.stage import SCOPE, START_MS, Stage, at, put, reason

ID = b"0123456789abcdef"
# Where a bucket of requests begins.
BUCKET_MS = START_MS - START_MS % REQUEST_TTL_MS
ADD = Increment(at("n"), 1)


@pytest.fixture
def stage() -> Stage:
    return Stage()


EACH = [
    put("k", ttl_ms=60_000),
    Delete(at("k")),
    Delete(at("gone")),
    ADD,
    SetMany((put("a"), put("b"))),
    DeleteMany((at("k"), at("gone"))),
    Throttle(at("limit"), Algorithm.GCRA, 3, 1_000, 3, 1),
    Transact((Condition(at("k"), 1),), (put("k"), Get(at("k")), Delete(at("k")), ADD), 1 << 20),
    Transact((), (Get(at("k")),), 1 << 20),
]


@pytest.mark.parametrize("operation", EACH, ids=lambda operation: type(operation).__name__)
def test_a_repeated_request_answers_as_before_and_changes_nothing(stage: Stage, operation: Operation) -> None:
    stage.do(put("k", b"1"))
    first = stage.do(operation, request_id=ID)
    stage.do(put("other"))
    stored = dict(stage.family.data)
    stage.now_ms += 1_234
    assert stage.do(operation, request_id=ID) == first
    assert stage.family.data == stored


def test_a_request_repeated_within_one_turn_is_done_once(stage: Stage) -> None:
    turn = stage.turn()
    assert [stage.run(turn, ADD, request_id=ID) for _ in range(3)] == [IncrementReply(1, 1)] * 3
    stage.store(turn)
    assert stage.value("n") == b"1"


def test_its_record_goes_with_its_effect(stage: Stage) -> None:
    turn = stage.turn()
    stage.run(turn, ADD, request_id=ID)
    batch = stage.store(turn)
    assert len(stage.requests()) == 1
    assert len(batch.writes) == 2


def test_without_an_id_nothing_is_remembered(stage: Stage) -> None:
    assert [stage.do(ADD), stage.do(ADD)] == [IncrementReply(1, 1), IncrementReply(2, 2)]
    assert stage.requests() == {}


@pytest.mark.parametrize("start_ms", [BUCKET_MS, BUCKET_MS + 1, BUCKET_MS + REQUEST_TTL_MS - 1])
def test_it_is_remembered_for_exactly_ten_minutes_wherever_its_bucket_begins(stage: Stage, start_ms: int) -> None:
    stage.now_ms = start_ms
    stage.do(ADD, request_id=ID)
    for later_ms in (0, 1, REQUEST_TTL_MS // 2, 599_999):
        stage.now_ms = start_ms + later_ms
        stage.do(Sweep(100))
        assert stage.do(ADD, request_id=ID) == IncrementReply(1, 1)
    stage.now_ms = start_ms + 600_000
    assert stage.do(ADD, request_id=ID) == IncrementReply(2, 2)
    stage.now_ms += 599_999
    assert stage.do(ADD, request_id=ID) == IncrementReply(2, 2)


@pytest.mark.parametrize("other", [Increment(at("n"), 2), Increment(at("m"), 1), put("n", b"1"), Delete(at("n"))])
def test_an_id_used_for_another_request_is_refused(stage: Stage, other: Operation) -> None:
    stage.do(ADD, request_id=ID)
    assert reason(stage.refusal(other, request_id=ID)) == (Reason.REQUEST_ID_REUSED, "request_id")
    stage.now_ms += REQUEST_TTL_MS
    stage.do(other, request_id=ID)


def test_the_same_id_means_another_request_in_another_object(stage: Stage) -> None:
    other = entry_prefix(b"space", b"lobby")
    turn = stage.turn()
    replies = [stage.run(turn, ADD, scope=scope, request_id=ID) for scope in (SCOPE, other, SCOPE)]
    assert replies == [IncrementReply(1, 1), IncrementReply(2, 2), IncrementReply(1, 1)]


def test_what_was_refused_or_denied_was_not_applied_so_its_id_is_free(stage: Stage) -> None:
    stage.refusal(put("k", if_version=9), request_id=ID)
    stage.do(Transact((Condition(at("k"), 9),), (put("k"),), 1 << 20), request_id=ID)
    stage.do(Transact((), (put("k"), Delete(at("k"), if_version=9)), 1 << 20), request_id=ID)
    stage.do(Throttle(at("limit"), Algorithm.GCRA, 1, 1_000, 1, 1))
    stage.do(Throttle(at("limit"), Algorithm.GCRA, 1, 1_000, 1, 1), request_id=ID)
    assert stage.requests() == {}
    assert stage.do(Delete(at("gone")), request_id=ID) == DeleteReply(False)
    assert len(stage.requests()) == 1


def test_a_replay_waits_for_what_it_repeats(stage: Stage) -> None:
    stage.do(ADD, request_id=ID)
    turn = stage.turn()
    stage.run(turn, ADD, request_id=ID)
    assert turn.gate == 1
    stage.close_generation()
    turn = stage.turn()
    stage.run(turn, ADD, request_id=ID)
    assert turn.gate == 1
    stage.end_flush()
    turn = stage.turn()
    stage.run(turn, ADD, request_id=ID)
    assert turn.gate == 0


def test_even_a_request_that_changed_nothing_waits_for_its_record(stage: Stage) -> None:
    turn = stage.turn()
    stage.run(turn, Delete(at("gone")), request_id=ID)
    assert turn.gate == 1


def test_a_damaged_record_is_told(stage: Stage) -> None:
    stage.do(ADD, request_id=ID)
    [key] = stage.requests()
    stage.family.data[key] = b"\x00"
    with pytest.raises(StorageCorrupt):
        stage.do(ADD, request_id=ID)
    assert stage.value("n") == b"1"


def test_one_refused_half_way_is_not_remembered(stage: Stage) -> None:
    stage.do(put("word", b"x"))
    turn = stage.turn()
    steps: tuple[Set | Increment, ...] = (put("a"), Increment(at("word"), 1))
    with pytest.raises(Refusal):
        stage.run(turn, Transact((), steps, 1 << 20), request_id=ID)
    stage.store(turn)
    assert (stage.requests(), stage.value("a")) == ({}, None)


def test_a_repetition_with_another_durability_is_another_request(stage: Stage) -> None:
    """Or an FSYNC replay of a BUFFERED request could be acknowledged before it is on disk."""
    stage.do(ADD, request_id=ID, sync=False)
    assert stage.refusal(ADD, request_id=ID).reason is Reason.REQUEST_ID_REUSED
