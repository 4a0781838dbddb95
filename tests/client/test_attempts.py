"""What is tried again and what is not, and that the caller is told the truth about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from petra import AsyncClient
from petra.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidArgument,
    Overloaded,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from petra.v1 import storage_pb2 as pb
from tests.client.peer import Behaviour, Peer, Pipeline, agree, refusing
from tests.support.ports import free_port

OVERLOADED, DRAINING = 8, 14
Attempt = Callable[[AsyncClient], Coroutine[Any, Any, object]]


def once(first: Behaviour) -> Behaviour:
    """Behaves like this at the first message, and answers those that follow."""
    behaviours = [first]

    def behave(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
        (behaviours.pop() if behaviours else agree)(pipeline, message)

    return behave


def cut(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
    pipeline.connection.cut()


def drain(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
    pipeline.end(DRAINING, "The server is shutting down.", reason="DRAINING")


class TestLostConnections:
    @pytest.mark.parametrize("lose", [cut, drain], ids=["cut", "drained"])
    async def test_a_mutation_is_sent_again_under_its_request_id(self, lose: Behaviour) -> None:
        async with Peer(once(lose)) as peer, AsyncClient(peer.address) as client:
            await asyncio.gather(client.increment("a"), client.set("b", 1), client.delete("c"), client.get("d"))
            first, second = peer.messages
            assert list(first.request_ids) == list(second.request_ids)
            ids = [id_ for id_ in first.request_ids if id_]
            assert len(set(ids)) == len(ids) == 3
            assert list(first.keys) == list(second.keys) == ["a", "b", "c", "d"]

    async def test_requests_of_many_are_sent_again_as_they_were(self) -> None:
        async with Peer(once(cut)) as peer, AsyncClient(peer.address) as client:

            async def work(tx: Any) -> None:  # noqa: ANN401 - a transaction
                tx.set("key", 1)

            calls = [
                client.set_many({"a": 1}),
                client.delete_many(["a"]),
                client.throttle("limit", 1, 1),
                client.object("room").transact(work),
            ]
            await asyncio.gather(*calls, return_exceptions=True)
            first, second = peer.messages
            assert list(first.values) == list(second.values)
            kinds = [pb.SetManyRequest, pb.DeleteManyRequest, pb.ThrottleRequest, pb.TransactRequest]
            ids = {kind.FromString(value).request_id for kind, value in zip(kinds, first.values, strict=True)}  # type: ignore[attr-defined] # of messages
            assert len(ids - {b""}) == 4

    async def test_what_was_not_answered_goes_before_what_came_later(self) -> None:
        async with Peer() as peer, AsyncClient(peer.address) as client:
            early = [asyncio.create_task(client.increment(f"early-{number}")) for number in range(3)]
            pipeline, _ = await peer.next()
            pipeline.connection.cut()
            await pipeline.connection.lost
            late = asyncio.create_task(client.increment("late"))
            keys: list[str] = []
            while len(keys) < 4:
                again = await peer.next()
                keys += again[1].keys
                agree(*again)
            assert keys == ["early-0", "early-1", "early-2", "late"]
            await asyncio.gather(*early, late)

    async def test_a_clear_that_a_draining_server_did_not_begin_is_sent_again(self) -> None:
        async with Peer(once(drain)) as peer, AsyncClient(peer.address) as client:
            assert await client.clear() == 0
            assert len(peer.messages) == 2

    async def test_a_clear_is_not_repeated_and_says_so(self) -> None:
        async with Peer(once(cut)) as peer, AsyncClient(peer.address) as client:
            with pytest.raises(Unavailable, match="not known whether it was applied") as caught:
                await client.clear()
            assert caught.value.outcome_unknown
            assert len(peer.messages) == 1
            assert await client.increment("after") == 1

    async def test_a_clear_that_was_not_sent_yet_is_sent_when_there_is_a_connection(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        async with AsyncClient(address) as client:
            task = asyncio.create_task(client.clear())
            with pytest.raises(Unavailable, match="refused"):
                await client.connect()
            async with Peer(agree, port=int(address.rpartition(":")[2])):
                assert await task == 0


class TestRefusals:
    async def test_an_overloaded_server_is_asked_again_after_a_pause(self) -> None:
        refusal = pb.OperationError(code=OVERLOADED, reason="OVERLOADED", message="Too much.", retry_after_ms=5)
        async with Peer(once(refusing(refusal))) as peer, AsyncClient(peer.address) as client:
            assert await client.increment("key") == 1
            first, second = peer.messages
            assert list(first.request_ids) == list(second.request_ids)
            # The server is told how long anybody waits for it.
            assert not first.timeouts_ms
            assert 0 < second.timeouts_ms[0] <= 5_000

    async def test_until_there_is_no_time_for_a_pause(self) -> None:
        refusal = pb.OperationError(code=OVERLOADED, reason="OVERLOADED", message="Too much.", retry_after_ms=60_000)
        async with (
            Peer(refusing(refusal)) as peer,
            AsyncClient(peer.address, timeout=30) as client,
        ):
            with pytest.raises(Overloaded, match="Too much") as caught:
                await client.increment("key")
            assert caught.value.retry_after == 60
            assert not caught.value.outcome_unknown
            assert len(peer.messages) == 1

    async def test_a_full_disk_is_for_the_caller_to_decide_about(self) -> None:
        refusal = pb.OperationError(code=OVERLOADED, reason="DISK_FULL", message="Full.", retry_after_ms=5)
        async with Peer(refusing(refusal)) as peer, AsyncClient(peer.address) as client:
            with pytest.raises(ResourceExhausted, match="Full"):
                await client.increment("key")
            assert len(peer.messages) == 1

    async def test_in_a_pipeline_a_refusal_stands_in_its_place(self) -> None:
        refusal = pb.OperationError(code=OVERLOADED, reason="OVERLOADED", message="Too much.", retry_after_ms=5)
        async with Peer(once(refusing(refusal))) as peer, AsyncClient(peer.address) as client:
            pipeline = client.pipeline()
            pipeline.increment("a")
            pipeline.get("b")
            assert [type(result) for result in await pipeline.execute()] == [Overloaded, Overloaded]
            assert len(peer.messages) == 1

    @pytest.mark.parametrize("goes_away", [True, False])
    async def test_one_of_doubt_is_remembered_through_later_attempts(self, goes_away: bool) -> None:
        """A failed flush may have taken effect: who gives up after it must not be told that nothing was applied."""
        refuse = refusing(pb.OperationError(code=DRAINING, reason="STORAGE_FAILED", message="The flush failed."))

        def fail(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
            refuse(pipeline, message)
            if goes_away:
                peer.stop()

        async with Peer(fail) as peer, AsyncClient(peer.address, timeout=0.3) as client:
            calls = (client.increment("key"), client.get("key"))
            written, read = await asyncio.gather(*calls, return_exceptions=True)
            for outcome in (written, read):
                assert isinstance(outcome, Unavailable | DeadlineExceeded)
                assert outcome.outcome_unknown is (outcome is written)
            assert "not known whether it was applied" in str(written)
            assert len(peer.messages) == 1 or not goes_away

    async def test_an_operation_that_failed_by_a_fault_is_not_repeated(self) -> None:
        refusal = pb.OperationError(code=13, reason="INTERNAL_ERROR", message="Fault 7.")
        async with Peer(refusing(refusal)) as peer, AsyncClient(peer.address) as client:
            with pytest.raises(InternalError, match="Fault 7") as caught:
                await client.increment("key")
            assert caught.value.outcome_unknown
            assert len(peer.messages) == 1


class TestLastingErrors:
    """Another connection would meet them as well, so everyone is told at once."""

    @pytest.mark.parametrize(
        ("code", "kind"), [(12, Unimplemented), (7, PermissionDenied), (16, PermissionDenied), (3, InvalidArgument)]
    )
    async def test_are_told_at_once(self, code: int, kind: type[Exception]) -> None:
        async with (
            Peer(lambda pipeline, _: pipeline.end(code, "No.")) as peer,
            AsyncClient(peer.address, timeout=60) as client,
        ):
            outcomes = await asyncio.gather(client.get("a"), client.increment("b"), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [kind, kind]
            assert [str(outcome) for outcome in outcomes] == ["No.", "No."]
            assert len(peer.messages) == 1

    async def test_and_with_the_doubt_of_each_call(self) -> None:
        """The first attempt may have been applied before the connection was cut."""
        async with Peer() as peer, AsyncClient(peer.address, timeout=60) as client:
            doubted = asyncio.create_task(client.increment("sent"))
            read = asyncio.create_task(client.get("read"))
            pipeline, _ = await peer.next()
            pipeline.connection.cut()
            await pipeline.connection.lost
            unsent = asyncio.create_task(client.increment("unsent"))
            (await peer.next())[0].end(7, "Not you.")
            outcomes = await asyncio.gather(doubted, read, unsent, return_exceptions=True)
            assert all(isinstance(outcome, PermissionDenied) for outcome in outcomes), outcomes
            assert [getattr(outcome, "outcome_unknown", None) for outcome in outcomes] == [True, False, False]
            assert "not known whether it was applied" in str(outcomes[0])
            assert str(outcomes[2]) == "Not you."

    async def test_a_message_that_is_too_large_for_the_server_is_its_own_fault(self) -> None:
        def measure(pipeline: Pipeline, message: pb.PipelineRequest) -> None:
            if message.ByteSize() > 1 << 20:
                pipeline.end(8, "Received message larger than max.")
            else:
                agree(pipeline, message)

        async with Peer(measure) as peer, AsyncClient(peer.address, timeout=60) as client:
            large = asyncio.create_task(client.set("large", bytes(2 << 20)))
            small = [asyncio.create_task(client.increment("small")) for _ in range(3)]
            with pytest.raises(ResourceExhausted, match="larger than max"):
                await large
            assert await asyncio.gather(*small) == [3, 3, 3]
