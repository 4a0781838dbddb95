from __future__ import annotations

import pytest

from petra_server.actor.operations import (
    Algorithm,
    Condition,
    Delete,
    DeleteReply,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    SetReply,
    Step,
    Throttle,
    ThrottleReply,
    Touch,
    TouchReply,
    Transact,
    TransactReply,
)
from petra_server.errors import Reason
from petra_server.storage.records import ENCODING_JSON, Record
from tests.server.actor.stage import START_MS, Stage, at, put, reason


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.do(put("one", b"1"))
    return stage


def transact(*steps: Step, conditions: tuple[Condition, ...] = (), limit_bytes: int = 1 << 20) -> Transact:
    return Transact(conditions, steps, limit_bytes)


def throttle(cost: int, *, limit: int = 2) -> Throttle:
    return Throttle(at("limit"), Algorithm.FIXED_WINDOW, limit, 1_000, limit, cost)


def test_steps_are_done_in_order_and_see_those_before_them(stage: Stage) -> None:
    reply = stage.do(
        transact(
            Get(at("one")), Increment(at("one"), 2), Get(at("one")), Touch(at("one"), 9), Delete(at("one")), put("new")
        )
    )
    assert reply == TransactReply(
        True,
        (
            GetReply(Record(1, 0, 1, b"1")),
            IncrementReply(3, 2),
            GetReply(Record(2, 0, ENCODING_JSON, b"3")),
            TouchReply(True, START_MS + 9),
            DeleteReply(True),
            SetReply(3),
        ),
        (),
    )
    assert set(stage.entries()) == {at("new")}


def test_conditions_are_checked_before_the_first_step(stage: Stage) -> None:
    conditions = (Condition(at("one"), 1), Condition(at("new"), 0))
    assert stage.do(transact(put("new"), put("one", b"2"), conditions=conditions)) == TransactReply(
        True, (SetReply(2), SetReply(3)), ()
    )


def test_all_conditions_that_do_not_hold_are_told_with_what_is_there(stage: Stage) -> None:
    stage.do(put("expired", ttl_ms=5))
    stage.now_ms += 5
    before = dict(stage.family.data)
    conditions = tuple(
        Condition(at(name), version) for name, version in [("one", 9), ("gone", 7), ("expired", 2), ("new", 0)]
    )
    assert stage.do(transact(put("one"), conditions=conditions)) == TransactReply(
        False, (), ((at("one"), Record(1, 0, 1, b"1")), (at("gone"), None), (at("expired"), None))
    )
    assert stage.family.data == before


def test_a_step_whose_version_is_wrong_is_a_conflict_that_undoes_all(stage: Stage) -> None:
    before = dict(stage.family.data)
    reply = stage.do(transact(put("new"), put("one", b"mine"), Delete(at("one"), if_version=1), put("other")))
    assert reply == TransactReply(False, (), ((at("one"), Record(1, 0, 1, b"1")),)), (
        "what is there, not what it made of it"
    )
    assert stage.family.data == before


def test_a_refused_step_is_named_and_undoes_all(stage: Stage) -> None:
    stage.do(put("word", b"x"))
    refusal = stage.refusal(transact(put("new"), Increment(at("word"), 1)))
    assert reason(refusal) == (Reason.NOT_AN_INTEGER, "operations[1].increment.key")
    assert "Nothing of the transaction was done" in refusal.message


def test_a_denied_throttle_does_not_end_it(stage: Stage) -> None:
    reply = stage.do(transact(throttle(2), throttle(1), put("new")))
    assert isinstance(reply, TransactReply)
    allowed = [result.allowed for result in reply.results if isinstance(result, ThrottleReply)]
    assert (reply.committed, allowed) == (True, [True, False])
    assert stage.value("new") == b"v"


def test_more_than_an_answer_holds_is_refused_and_undone(stage: Stage) -> None:
    stage.do(put("big", b"v" * 300))
    steps = (put("new"), Get(at("big")), Get(at("big")))
    assert stage.refusal(transact(*steps, limit_bytes=500)).reason is Reason.RESPONSE_TOO_LARGE
    assert isinstance(stage.do(transact(*steps)), TransactReply)


def test_answers_without_entries_take_room_as_well(stage: Stage) -> None:
    steps: list[Step] = [put("new"), *(throttle(1, limit=100) for _ in range(20))]
    assert stage.refusal(transact(*steps, limit_bytes=500)).reason is Reason.RESPONSE_TOO_LARGE
    assert isinstance(stage.do(transact(*steps)), TransactReply)


def test_without_steps_it_only_checks(stage: Stage) -> None:
    assert stage.do(transact(conditions=(Condition(at("one"), 1),))) == TransactReply(True, (), ())
    assert stage.do(transact()) == TransactReply(True, (), ())


def test_what_it_took_back_can_be_written_by_the_next_one_of_the_turn(stage: Stage) -> None:
    turn = stage.turn()
    stage.run(turn, transact(put("a", ttl_ms=5), put("one", ttl_ms=7), Delete(at("a"), if_version=99)))
    stage.run(turn, put("a", b"next"))
    stage.store(turn)
    assert stage.value("a") == b"next"
    assert stage.value("one") == b"1"
    assert (stage.keys, stage.index()) == (2, set())
