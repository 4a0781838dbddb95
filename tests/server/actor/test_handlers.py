"""What each operation does to entries, one turn each."""

from __future__ import annotations

import pytest

from petra_server.actor.operations import (
    AnswerBudget,
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Get,
    GetMany,
    GetManyReply,
    GetReply,
    Increment,
    IncrementReply,
    Set,
    SetMany,
    SetManyReply,
    SetReply,
    Touch,
    TouchReply,
)
from petra_server.errors import Reason
from petra_server.storage.records import ENCODING_JSON, Record
from tests.server.actor.stage import START_MS, Stage, at, put, reason

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestSetAndGet:
    def test_what_was_set_is_there_with_version_encoding_and_expiry(self, stage: Stage) -> None:
        assert stage.do(Set(at("k"), b"{}", ENCODING_JSON, ttl_ms=50)) == SetReply(1)
        assert stage.do(Get(at("k"))) == GetReply(Record(1, START_MS + 50, ENCODING_JSON, b"{}"))

    def test_an_absent_key_has_no_record(self, stage: Stage) -> None:
        assert stage.do(Get(at("gone"))) == GetReply(None)

    def test_setting_removes_an_old_expiry(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=50))
        stage.do(put("k"))
        assert stage.record("k") == Record(2, 0, 1, b"v")

    def test_setting_keeps_the_expiry_when_asked_to(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=50))
        stage.do(put("k", b"new", keep=True))
        assert stage.record("k") == Record(2, START_MS + 50, 1, b"new")

    @pytest.mark.parametrize("ttl_ms", [0, 10])
    def test_there_is_no_expiry_to_keep_of_what_is_absent_or_expired(self, stage: Stage, ttl_ms: int) -> None:
        if ttl_ms:
            stage.do(put("k", ttl_ms=ttl_ms))
            stage.now_ms += ttl_ms
        stage.do(put("k", keep=True))
        record = stage.record("k")
        assert record is not None
        assert record.expires_at_ms == 0

    def test_an_entry_is_gone_from_the_very_millisecond_of_its_expiry(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=50))
        stage.now_ms = START_MS + 49
        assert stage.value("k") == b"v"
        stage.now_ms = START_MS + 50
        assert stage.value("k") is None


class TestConditions:
    def test_hold_for_the_present_version(self, stage: Stage) -> None:
        stage.do(put("k"))
        assert stage.do(put("k", if_version=1)) == SetReply(2)
        assert stage.do(Delete(at("k"), if_version=2)) == DeleteReply(True)

    def test_of_zero_hold_for_what_is_absent_or_expired(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=5, if_version=0))
        assert reason(stage.refusal(put("k", if_version=0))) == (Reason.VERSION_CONFLICT, "if_version")
        stage.now_ms += 5
        assert stage.do(put("k", if_version=0)) == SetReply(2)
        assert stage.do(Delete(at("gone"), if_version=0)) == DeleteReply(False)

    @pytest.mark.parametrize("operation", [put("k", if_version=7), Delete(at("k"), if_version=7)])
    def test_that_do_not_hold_say_what_is_there(self, stage: Stage, operation: Set | Delete) -> None:
        absent = stage.refusal(operation)
        assert (absent.metadata["version"], absent.metadata["key"]) == ("0", "k")
        assert "is absent" in absent.message
        stage.do(put("k"))
        present = stage.refusal(operation)
        assert present.metadata["version"] == "1"
        assert "has version 1, and the request asks for version 7" in present.message

    def test_of_an_expired_entry_see_an_absence(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=5))
        stage.now_ms += 5
        assert stage.refusal(put("k", if_version=1)).metadata["version"] == "0"


class TestDelete:
    def test_says_whether_there_was_something(self, stage: Stage) -> None:
        stage.do(put("k"))
        assert [stage.do(Delete(at("k"))) for _ in range(2)] == [DeleteReply(True), DeleteReply(False)]
        assert (stage.entries(), stage.keys) == ({}, 0)

    def test_of_an_expired_entry_deletes_nothing_that_anyone_saw(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=5))
        stage.now_ms += 5
        assert stage.do(Delete(at("k"))) == DeleteReply(False)


class TestMany:
    def test_getting_many_answers_in_order_with_gaps(self, stage: Stage) -> None:
        stage.do(put("a", b"1"))
        stage.do(put("b", b"2", ttl_ms=5))
        stage.do(put("expired", ttl_ms=1))
        stage.now_ms += 1
        names = ("b", "gone", "a", "expired", "b")
        reply = stage.do(GetMany(tuple(map(at, names)), AnswerBudget(1 << 20)))
        assert isinstance(reply, GetManyReply)
        assert [record and record.value for record in reply.records] == [b"2", None, b"1", None, b"2"]

    def test_getting_more_than_an_answer_holds_is_refused(self, stage: Stage) -> None:
        stage.do(put("k", b"v" * 100))
        keys = (at("k"), at("k"))
        assert stage.refusal(GetMany(keys, AnswerBudget(200))).reason is Reason.RESPONSE_TOO_LARGE
        assert isinstance(stage.do(GetMany(keys, AnswerBudget(400))), GetManyReply)

    def test_setting_many_answers_versions_in_order(self, stage: Stage) -> None:
        assert stage.do(SetMany((put("b"), put("a", ttl_ms=5)))) == SetManyReply((1, 2))
        assert (stage.record("b"), stage.record("a")) == (Record(1, 0, 1, b"v"), Record(2, START_MS + 5, 1, b"v"))

    def test_setting_many_is_all_or_nothing(self, stage: Stage) -> None:
        stage.do(put("c"))
        refusal = stage.refusal(SetMany((put("a"), put("c", if_version=9), put("b"))))
        assert (refusal.reason, refusal.metadata["key"]) == (Reason.VERSION_CONFLICT, "c")
        assert set(stage.entries()) == {at("c")}

    def test_deleting_many_counts_what_was_there(self, stage: Stage) -> None:
        stage.do(SetMany((put("a"), put("b"), put("expired", ttl_ms=1))))
        stage.now_ms += 1
        assert stage.do(DeleteMany(tuple(map(at, ("a", "gone", "b", "a", "expired"))))) == CountReply(2)


class TestIncrement:
    def test_an_absent_entry_counts_from_its_initial_value_and_gets_the_ttl(self, stage: Stage) -> None:
        assert stage.do(Increment(at("n"), 5, initial=100, ttl_ms=50)) == IncrementReply(105, 1)
        assert stage.record("n") == Record(1, START_MS + 50, ENCODING_JSON, b"105")

    def test_an_entry_that_exists_keeps_its_expiry(self, stage: Stage) -> None:
        stage.do(Increment(at("n"), 5, ttl_ms=50))
        stage.now_ms += 10
        assert stage.do(Increment(at("n"), -7, initial=100, ttl_ms=50)) == IncrementReply(-2, 2)
        assert stage.record("n") == Record(2, START_MS + 50, ENCODING_JSON, b"-2")

    def test_an_expired_entry_counts_from_the_initial_value(self, stage: Stage) -> None:
        stage.do(Increment(at("n"), 5, ttl_ms=50))
        stage.now_ms += 50
        assert stage.do(Increment(at("n"), 1, initial=10)) == IncrementReply(11, 2)

    def test_of_nothing_creates_the_entry_even_so(self, stage: Stage) -> None:
        assert stage.do(Increment(at("n"), 0)) == IncrementReply(0, 1)
        assert stage.value("n") == b"0"

    @pytest.mark.parametrize(
        "value", [b"7", b" 7\n", b"\t\r7 ", b"-0", b"-12", b"0", b"%d" % INT64_MIN, b"%d" % INT64_MAX]
    )
    def test_counts_from_any_json_integer(self, stage: Stage, value: bytes) -> None:
        stage.do(put("n", value))
        assert stage.do(Increment(at("n"), 0)) == IncrementReply(int(value), 2)

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"x",
            b"1.0",
            b"1e3",
            b"+1",
            b"01",
            b"-",
            b'"1"',
            b"[1]",
            b"null",
            b"1 2",
            b"\xff",
            b"\x0b1",
            b"1" * 5_000,
        ],
    )
    def test_refuses_what_is_no_json_integer(self, stage: Stage, value: bytes) -> None:
        stage.do(put("n", value))
        assert reason(stage.refusal(Increment(at("n"), 1))) == (Reason.NOT_AN_INTEGER, "key")

    @pytest.mark.parametrize(
        ("value", "delta"), [(INT64_MAX, 1), (INT64_MIN, -1), (INT64_MAX + 1, -1), (INT64_MIN - 1, 1), (1, INT64_MAX)]
    )
    def test_refuses_what_does_not_fit_into_64_bits(self, stage: Stage, value: int, delta: int) -> None:
        stage.do(put("n", b"%d" % value))
        assert reason(stage.refusal(Increment(at("n"), delta))) == (Reason.INTEGER_OVERFLOW, "delta")

    def test_refuses_an_initial_sum_that_does_not_fit_and_creates_nothing(self, stage: Stage) -> None:
        assert stage.refusal(Increment(at("n"), 1, initial=INT64_MAX)).reason is Reason.INTEGER_OVERFLOW


class TestTouch:
    def test_sets_a_new_expiry_and_keeps_version_and_value(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=50))
        stage.now_ms += 10
        assert stage.do(Touch(at("k"), 100)) == TouchReply(True, START_MS + 110)
        assert stage.record("k") == Record(1, START_MS + 110, 1, b"v")
        assert stage.do(Touch(at("k"), 0)) == TouchReply(True, 0)
        assert stage.record("k") == Record(1, 0, 1, b"v")

    def test_of_what_is_absent_or_expired_finds_nothing(self, stage: Stage) -> None:
        stage.do(put("k", ttl_ms=50))
        stage.now_ms += 50
        assert [stage.do(Touch(at(name), 9)) for name in ("k", "gone")] == [TouchReply(False, 0)] * 2
        assert stage.value("k") is None

    def test_that_changes_nothing_writes_nothing(self, stage: Stage) -> None:
        stage.do(put("k"))
        turn = stage.turn()
        assert stage.run(turn, Touch(at("k"), 0)) == TouchReply(True, 0)
        assert not turn.collect()
