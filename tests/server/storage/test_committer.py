from __future__ import annotations

import asyncio
import threading

import pytest

from petra_server.errors import StorageFailed
from petra_server.storage import committer as committer_module
from petra_server.storage.batch import Batch
from petra_server.storage.committer import Committer
from petra_server.storage.engine import EngineStalled
from tests.server.storage.logs import FAILURE, HeldLog, Witness, committing


def write(committer: Committer) -> int:
    """One write that is to be durable soon."""
    generation = committer.append(Batch(writes=[(0, b"k", b"v")]))
    committer.flush()
    return generation


class TestGroupCommit:
    def test_all_writes_of_a_tick_share_a_flush(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                assert [write(committer) for _ in range(5)] == [1] * 5
                log.let_through()
                await witness.until("durable")
                assert committer.durable_generation == 1
                assert log.flushes == [5]

        asyncio.run(scenario())

    def test_nothing_is_durable_before_its_flush_has_ended(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                await witness.until("closed")
                assert committer.durable_generation == 0
                log.let_through()
                await witness.until("durable")
                assert committer.durable_generation == 1

        asyncio.run(scenario())

    def test_writes_during_a_flush_share_the_next_one(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                await witness.until("closed")
                assert [write(committer) for _ in range(3)] == [2] * 3
                log.let_through()
                await witness.until("closed", 2)
                assert (committer.durable_generation, committer.open_generation) == (1, 3)
                assert write(committer) == 3
                log.let_through()
                await witness.until("durable", 2)
                assert committer.durable_generation == 2

        asyncio.run(scenario())

    def test_the_next_flush_begins_before_the_answers_of_this_one_are_sent(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                await witness.until("closed")
                write(committer)
                log.let_through()
                await witness.until("answered")
                assert witness.events == ["closed", "durable", "closed", "answered"]

        asyncio.run(scenario())

    def test_without_writes_nothing_is_flushed(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                log.let_through()
                await witness.until("answered")
                assert log.flushes == [1]
                assert witness.events == ["closed", "durable", "answered"]

        asyncio.run(scenario())


class TestCrowd:
    """Six wait for one flush, and three for the next one: so nine may come together."""

    @staticmethod
    async def six_and_three(committer: Committer, log: HeldLog, witness: Witness) -> None:
        for _ in range(6):
            write(committer)
        await witness.until("closed")
        for _ in range(3):
            write(committer)
        log.let_through()
        await witness.until("answered")

    def test_the_next_flush_waits_until_those_who_were_answered_are_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(committer_module, "CROWD_WAIT_SECONDS", 3_600)

        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                await self.six_and_three(committer, log, witness)
                assert witness.events == ["closed", "durable", "answered"]
                assert [write(committer) for _ in range(6)] == [2] * 6
                await witness.until("closed", 2)
                log.let_through()
                await witness.until("answered", 2)
                assert log.flushes == [9, 15]

        asyncio.run(scenario())

    def test_it_does_not_wait_for_ever(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                await self.six_and_three(committer, log, witness)
                await witness.until("closed", 2)

        asyncio.run(scenario())

    def test_a_few_never_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(committer_module, "CROWD_WAIT_SECONDS", 3_600)

        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                for _ in range(committer_module.CROWD - 2):
                    write(committer)
                await witness.until("closed")
                write(committer)
                log.let_through()
                await witness.until("closed", 2)

        asyncio.run(scenario())

    def test_a_failed_write_ends_the_wait(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                await self.six_and_three(committer, log, witness)
                log.next_write = FAILURE
                with pytest.raises(StorageFailed):
                    committer.append(Batch())
                with pytest.raises(StorageFailed):
                    await committer.close()

        asyncio.run(scenario())


class TestBufferedWrites:
    def test_are_flushed_in_time_though_nobody_asks(self) -> None:
        async def scenario() -> None:
            async with committing(buffered_flush_ms=1) as (committer, log, witness):
                for _ in range(3):
                    committer.append(Batch(writes=[(0, b"k", b"v")]))
                    committer.flush_later()
                log.let_through()
                await witness.until("durable")
                assert log.flushes == [3]

        asyncio.run(scenario())

    def test_a_second_stretch_of_them_is_flushed_too(self) -> None:
        async def scenario() -> None:
            async with committing(buffered_flush_ms=1) as (committer, log, witness):
                for round_ in (1, 2):
                    committer.append(Batch(writes=[(0, b"k", b"v")]))
                    committer.flush_later()
                    log.let_through()
                    await witness.until("durable", round_)
                assert log.flushes == [1, 2]

        asyncio.run(scenario())

    def test_share_the_flush_of_a_write_that_is_in_a_hurry(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                assert committer.append(Batch(writes=[(0, b"k", b"v")])) == 1
                committer.flush_later()
                assert write(committer) == 1
                log.let_through()
                await witness.until("durable")
                assert log.flushes == [2]

        asyncio.run(scenario())


class TestFailure:
    def test_a_failed_flush_poisons_and_is_never_tried_again(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                await witness.until("closed")
                write(committer)
                log.let_through(FAILURE)
                await witness.until("failed")
                assert (committer.failure, committer.durable_generation) == (FAILURE, 0)
                assert witness.failures == [FAILURE]
                with pytest.raises(StorageFailed):
                    committer.append(Batch())
                assert len(log.batches) == 2
                committer.flush()
                with pytest.raises(StorageFailed):
                    await committer.close()
                assert log.flushes == [2]
                assert "durable" not in witness.events

        asyncio.run(scenario())

    def test_after_a_failed_write_not_even_the_flush_under_way_counts(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                await witness.until("closed")
                log.next_write = FAILURE
                with pytest.raises(StorageFailed):
                    committer.append(Batch())
                assert witness.failures == [FAILURE]
                log.let_through()
                with pytest.raises(StorageFailed):
                    await committer.close()
                assert committer.durable_generation == 0
                assert witness.events == ["closed", "failed"]

        asyncio.run(scenario())

    def test_a_failed_write_before_a_flush_that_was_asked_for_prevents_it(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                write(committer)
                log.next_write = FAILURE
                with pytest.raises(StorageFailed):
                    committer.append(Batch())
                with pytest.raises(StorageFailed):
                    await committer.close()
                assert (log.flushes, witness.events) == ([], ["failed"])

        asyncio.run(scenario())

    def test_a_stall_is_none(self) -> None:
        async def scenario() -> None:
            async with committing() as (committer, log, witness):
                log.next_write = EngineStalled("busy")
                with pytest.raises(EngineStalled):
                    committer.append(Batch())
                assert committer.failure is None
                log.next_write = None
                write(committer)
                log.let_through()
                await witness.until("durable")

        asyncio.run(scenario())


class TestClose:
    def test_flushes_what_is_written_though_nobody_asked(self) -> None:
        async def scenario() -> None:
            log, witness = HeldLog(), Witness()
            committer = Committer(log, buffered_flush_ms=3_600_000)
            committer.start(witness)
            committer.append(Batch(writes=[(0, b"k", b"v")]))
            committer.flush_later()
            log.let_through()
            await committer.close()
            assert log.flushes == [1]
            assert committer.durable_generation == 1

        asyncio.run(scenario())

    def test_waits_for_the_flush_under_way_and_does_one_more(self) -> None:
        async def scenario() -> None:
            log, witness = HeldLog(), Witness()
            committer = Committer(log, buffered_flush_ms=3_600_000)
            committer.start(witness)
            write(committer)
            await witness.until("closed")
            committer.append(Batch(writes=[(0, b"late", b"v")]))
            log.let_through(flushes=2)
            await committer.close()
            assert witness.events == ["closed", "durable", "closed", "answered", "durable", "answered"]
            assert committer.durable_generation == 2

        asyncio.run(scenario())

    def test_ends_the_flush_thread(self) -> None:
        async def scenario() -> None:
            log = HeldLog()
            committer = Committer(log, buffered_flush_ms=1)
            before = threading.active_count()
            committer.start(Witness())
            assert threading.active_count() == before + 1
            log.let_through()
            await committer.close()
            assert threading.active_count() == before

        asyncio.run(scenario())

    def test_raises_when_the_last_flush_fails(self) -> None:
        async def scenario() -> None:
            log = HeldLog()
            committer = Committer(log, buffered_flush_ms=1)
            committer.start(Witness())
            log.let_through(FAILURE)
            with pytest.raises(StorageFailed):
                await committer.close()

        asyncio.run(scenario())

    def test_a_second_time_does_nothing(self) -> None:
        async def scenario() -> None:
            log = HeldLog()
            committer = Committer(log, buffered_flush_ms=1)
            committer.start(Witness())
            write(committer)
            log.let_through(flushes=2)
            await committer.close()
            flushes = list(log.flushes)
            await committer.close()
            assert log.flushes == flushes

        asyncio.run(scenario())
