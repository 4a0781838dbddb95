"""A turn as such: what its operations see, what is stored, what its answers wait for."""

from __future__ import annotations

import pytest

from petra_server.actor.operations import (
    Clear,
    Condition,
    CountReply,
    Delete,
    DeleteReply,
    Get,
    GetReply,
    Increment,
    Operation,
    Scan,
    Set,
    SetMany,
    SetReply,
    Step,
    Transact,
    TransactReply,
)
from petra_server.actor.turn import NeedsWrites
from petra_server.errors import Reason, Refusal
from petra_server.storage.batch import Batch
from petra_server.storage.keys import prefix_end
from petra_server.storage.records import Record
from tests.server.actor.stage import FAMILY, SCOPE, Stage, at, put

EVERYTHING = Scan(SCOPE, prefix_end(SCOPE), 100, 1 << 20)


def transact(*steps: Step, conditions: tuple[Condition, ...] = ()) -> Transact:
    return Transact(conditions, steps, 1 << 20)


class TestOperationsOfOneTurn:
    def test_each_sees_those_before_it(self) -> None:
        operations: list[Operation] = [
            put("k", b"1"),
            Get(at("k")),
            Increment(at("k"), 4),
            Delete(at("k")),
            Get(at("k")),
        ]
        stage = Stage()
        replies = stage.run_all(stage.turn(), operations)
        assert [replies[0], *replies[3:]] == [SetReply(1), DeleteReply(True), GetReply(None)]
        assert replies[1] == GetReply(Record(1, 0, 1, b"1"))

    def test_nothing_outside_changes_until_the_turn_is_stored(self) -> None:
        stage = Stage()
        stage.do(put("k", b"old"))
        before, figures = dict(stage.family.data), (stage.cache.entries, stage.cache.bytes)
        turn = stage.turn()
        stage.run_all(turn, [put("k", b"new"), put("other")])
        assert stage.family.data == before
        assert (stage.cache.entries, stage.cache.bytes) == (figures[0] + 1, stage.cache.bytes), "an absence was learned"
        assert stage.run(stage.turn(), Get(at("k"))) == GetReply(Record(1, 0, 1, b"old"))
        stage.store(turn)
        assert stage.value("k") == b"new"

    def test_a_turn_that_is_thrown_away_leaves_nothing(self) -> None:
        stage = Stage()
        stage.run_all(stage.turn(), [put("k"), put("other", ttl_ms=5)])
        assert stage.family.data == {}
        assert stage.value("k") is None

    def test_only_the_last_state_of_a_key_is_written(self) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run_all(turn, [put("k", b"%d" % number) for number in range(5)])
        assert len(stage.store(turn).writes) == 1
        assert stage.value("k") == b"4"

    def test_what_comes_and_goes_within_it_is_never_written(self) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run_all(turn, [put("k", ttl_ms=50), Delete(at("k"))])
        assert stage.store(turn) == Batch()
        assert stage.keys == 0

    def test_versions_grow_with_every_write(self) -> None:
        stage = Stage()
        turn = stage.turn()
        assert stage.run_all(turn, [put("a"), put("b"), put("a")]) == [SetReply(1), SetReply(2), SetReply(3)]
        stage.store(turn)
        assert stage.actor.version == 3

    @pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
    def test_what_is_stored_is_seen_by_later_ones_with_and_without_a_cache(self, cache_bytes: int) -> None:
        stage = Stage(cache_bytes=cache_bytes)
        stage.do(put("k", b"1"))
        assert stage.value("k") == b"1"
        stage.do(Delete(at("k")))
        assert stage.value("k") is None

    def test_the_cache_spares_reads_of_entries_and_of_absences(self) -> None:
        stage = Stage()
        assert stage.value("gone") is None
        stage.do(put("k"))
        reads = stage.family.reads
        assert (stage.value("gone"), stage.value("k")) == (None, b"v")
        assert stage.family.reads == reads
        assert (stage.cache.hits, stage.cache.misses) == (2, 2)

    def test_the_family_stands_in_every_write(self) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run(turn, put("k", ttl_ms=5), request_id=b"id")
        assert {family for family, _, _ in stage.store(turn).writes} == {FAMILY}


class TestReadsOfRanges:
    @pytest.mark.parametrize("operation", [EVERYTHING, Clear(SCOPE, prefix_end(SCOPE))])
    def test_wait_for_a_turn_of_their_own_after_writes(self, operation: Scan | Clear) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run(turn, put("k"))
        with pytest.raises(NeedsWrites):
            stage.run(turn, operation)
        stage.store(turn)
        reply = stage.do(operation)
        assert reply == CountReply(1) if isinstance(operation, Clear) else reply

    def test_go_on_in_the_same_turn_when_nothing_was_written(self) -> None:
        stage = Stage()
        stage.do(put("k"))
        turn = stage.turn()
        stage.run_all(turn, [Get(at("k")), Delete(at("gone")), EVERYTHING, EVERYTHING])

    def test_go_on_after_writes_that_were_taken_back(self) -> None:
        stage = Stage()
        turn = stage.turn()
        reply = stage.run(turn, transact(put("k"), Delete(at("k"), if_version=77)))
        assert isinstance(reply, TransactReply)
        stage.run(turn, EVERYTHING)


class TestRefusals:
    def test_of_one_operation_leave_those_around_it_alone(self) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run(turn, put("a"))
        with pytest.raises(Refusal):
            stage.run(turn, put("b", if_version=9))
        stage.run(turn, put("c"))
        stage.store(turn)
        assert set(stage.entries()) == {at("a"), at("c")}
        assert stage.keys == 2

    def test_half_way_through_take_everything_of_it_back(self) -> None:
        stage = Stage()
        stage.do(put("word", b"no number", ttl_ms=1_000))
        stage.do(put("kept", b"old", ttl_ms=2_000))
        turn = stage.turn()
        stage.run(turn, put("mine", b"1"))
        with pytest.raises(Refusal) as caught:
            stage.run(
                turn,
                transact(put("mine", b"2"), put("new"), Delete(at("kept")), put("new", b"x"), Increment(at("word"), 1)),
            )
        assert caught.value.reason is Reason.NOT_AN_INTEGER
        assert stage.run(turn, Get(at("mine"))) == GetReply(Record(3, 0, 1, b"1"))
        stage.store(turn)
        assert {key: record.value for key, record in stage.entries().items()} == {
            at("word"): b"no number",
            at("kept"): b"old",
            at("mine"): b"1",
        }
        assert stage.index() == stage.expiring()
        assert stage.keys == 3

    def test_at_a_damaged_record_take_everything_of_it_back(self) -> None:
        stage = Stage()
        stage.family.data[at("damaged")] = b"\x09"
        items = tuple(Set(at(name), b"v", 1) for name in ("a", "b", "damaged", "c"))
        assert stage.refusal(SetMany(items)).reason is Reason.STORAGE_CORRUPT
        assert stage.refusal(transact(put("a"), Get(at("damaged")))).reason is Reason.STORAGE_CORRUPT
        assert (stage.value("a"), stage.keys) == (None, 0)

    def test_a_key_written_again_after_a_refusal_is_counted_once(self) -> None:
        stage = Stage()
        turn = stage.turn()
        with pytest.raises(Refusal):
            stage.run(turn, transact(put("k"), put("word", b"x"), Increment(at("word"), 1)))
        stage.run(turn, put("k", ttl_ms=10))
        stage.store(turn)
        assert (stage.keys, stage.index()) == (1, stage.expiring())


class TestGates:
    """What an answer waits for: 0 for nothing, else a generation. The open one is 1 at first."""

    def gate(self, stage: Stage, *operations: Get | Set | Delete | Transact, sync: bool = True) -> int:
        """Of the last operation of a turn that is stored then."""
        turn = stage.turn()
        for operation in operations:
            try:
                stage.run(turn, operation, sync=sync)
            except Refusal:
                continue
        stage.store(turn)
        return turn.gate

    def test_a_write_waits_for_the_open_generation(self) -> None:
        assert self.gate(Stage(), put("k")) == 1

    def test_a_buffered_write_waits_for_nothing_and_neither_do_its_readers(self) -> None:
        stage = Stage()
        assert self.gate(stage, put("k"), sync=False) == 0
        assert self.gate(stage, Get(at("k"))) == 0

    def test_a_read_waits_for_what_it_saw(self) -> None:
        stage = Stage()
        self.gate(stage, put("k"))
        assert self.gate(stage, Get(at("k"))) == 1
        assert self.gate(stage, Get(at("other"))) == 0
        stage.close_generation()
        assert self.gate(stage, Get(at("k"))) == 1, "the generation that is being flushed"
        self.gate(stage, put("other"))
        assert self.gate(stage, Get(at("other"))) == 2
        stage.end_flush()
        assert self.gate(stage, Get(at("k"))) == 0

    def test_a_read_of_several_waits_for_the_newest(self) -> None:
        stage = Stage()
        self.gate(stage, put("older"))
        stage.close_generation()
        self.gate(stage, put("newer"))
        for names in (("older", "newer"), ("newer", "older")):
            assert self.gate(stage, transact(*(Get(at(name)) for name in names)), sync=False) == 2

    def test_a_read_in_the_turn_of_the_write_waits_too(self) -> None:
        assert self.gate(Stage(), put("k"), Get(at("k"))) == 1
        assert self.gate(Stage(), put("k"), Get(at("other"))) == 0

    def test_an_absence_is_seen_as_well(self) -> None:
        stage = Stage()
        self.gate(stage, put("k"))
        stage.settle()
        self.gate(stage, Delete(at("k")))
        assert self.gate(stage, Get(at("k"))) == 2
        assert self.gate(stage, Delete(at("k"))) == 2, "it was not there, and that is not durable yet"

    def test_a_version_conflict_shows_a_version(self) -> None:
        stage = Stage()
        self.gate(stage, put("k"))
        assert self.gate(stage, put("k", if_version=9)) == 1
        assert self.gate(stage, transact(conditions=(Condition(at("k"), 9),))) == 1

    def test_a_buffered_write_over_one_that_is_not_durable_waits_for_it(self) -> None:
        stage = Stage()
        self.gate(stage, put("k"))
        assert self.gate(stage, put("k", b"new"), sync=False) == 1
        stage.close_generation()
        assert self.gate(stage, put("k", b"newer"), sync=False) == 1
        stage.end_flush()
        assert self.gate(stage, put("k", b"newest"), sync=False) == 0

    def test_a_buffered_write_in_the_turn_of_a_durable_one_waits_for_it(self) -> None:
        stage = Stage()
        turn = stage.turn()
        stage.run(turn, put("k"))
        stage.run(turn, put("k", b"new"), sync=False)
        assert turn.gate == 1

    def test_a_durable_write_over_a_buffered_one_waits_for_itself(self) -> None:
        stage = Stage()
        self.gate(stage, put("k"), sync=False)
        assert self.gate(stage, put("k")) == 1

    def test_what_a_clear_left_is_waited_for_by_every_answer(self) -> None:
        stage = Stage()
        turn = stage.turn(floor=7)
        stage.run(turn, Get(at("k")))
        assert turn.gate == 7

    def test_a_write_that_changes_nothing_waits_for_nothing(self) -> None:
        assert self.gate(Stage(), Delete(at("gone"))) == 0
