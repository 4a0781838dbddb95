"""What has not begun when its time is up, or when its caller has gone, is not done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.support.inprocess import RunningServer, running_server
from tests.support.refusals import Refusal
from tests.support.wire import PATIENCE_S, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from petra.v1.storage_pb2_grpc import StorageServiceAsyncStub

HELD, FREE = "held", "free"
EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED
SET = pb.SetRequest(object=HELD, key="k", value=b"v")


class _Bench:
    """A server whose actor of the object `held` is busy, while that of `free` is not."""

    def __init__(self, server: RunningServer, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.stub: StorageServiceAsyncStub = StorageServiceStub(channel)
        self.actor = server.actor_of("", HELD, "k")
        assert self.actor is not server.actor_of("", FREE, "k"), "choose other names"
        server.hold_actor(self.actor)

    async def waiting(self, count: int) -> None:
        """Returns when so many operations wait for the busy actor."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.actor.mailbox) < count:
                await self.heard()

    async def heard(self) -> None:
        """Returns when the server has seen what was sent on the connection before."""
        for _ in range(3):
            await self.stub.Get(pb.GetRequest(object=FREE, key="k"), timeout=PATIENCE_S)

    async def released(self) -> list[str]:
        """Lets the actor go on, and tells which keys it has then."""
        self.server.release_actor(self.actor)
        page = await self.stub.List(pb.ListRequest(object=HELD), timeout=PATIENCE_S)
        return [entry.key for entry in page.entries]


def _run(scenario: Callable[[_Bench], Awaitable[None]]) -> None:
    async def with_server() -> None:
        async with running_server() as server, server.channel() as channel:
            await scenario(_Bench(server, channel))

    asyncio.run(with_server())


def test_call_waits_for_a_busy_actor() -> None:
    async def scenario(bench: _Bench) -> None:
        call = bench.stub.Set(SET, timeout=PATIENCE_S)
        await bench.waiting(1)
        assert not call.done()
        assert await bench.released() == ["k"]
        assert (await call).version > 0

    _run(scenario)


def test_unary_call_whose_deadline_passes_in_the_queue_is_not_done() -> None:
    async def scenario(bench: _Bench) -> None:
        # On a machine so slow that this is over before the call arrives, nothing is done either.
        assert await bench.stub.Set(SET, timeout=0.2).code() is EXCEEDED
        await bench.heard()
        assert await bench.released() == []

    _run(scenario)


def test_cancelled_call_is_not_done() -> None:
    async def scenario(bench: _Bench) -> None:
        call = bench.stub.Set(SET, timeout=PATIENCE_S)
        await bench.waiting(1)
        call.cancel()
        await bench.heard()
        assert await bench.released() == []

    _run(scenario)


def test_piped_operation_whose_time_passes_in_the_queue_is_not_done() -> None:
    message = pb.PipelineRequest(
        ids=[1, 2, 3],
        methods=[pb.METHOD_SET] * 3,
        addresses=[pb.Address(object=HELD), pb.Address(object=FREE)],
        address_indexes=[0, 0, 1],
        keys=["late", "patient", "free"],
        timeouts_ms=[1, 0, 1_000_000],
    )

    async def messages() -> AsyncIterator[pb.PipelineRequest]:
        yield message

    async def scenario(bench: _Bench) -> None:
        stream = bench.stub.Pipeline(messages())
        # The first answer is of what need not wait; by then a millisecond may not have passed yet.
        assert list((await _answer(stream)).ids) == [3]
        await asyncio.sleep(0.005)
        assert await bench.released() == ["patient"]
        errors: list[pb.OperationError] = []
        answered: list[int] = []
        while len(errors) + len(answered) < 2:
            answer = await _answer(stream)
            errors += answer.errors
            answered += answer.ids
        assert answered == [2]
        [error] = errors
        assert (error.id, error.code, error.reason) == (1, EXCEEDED.value[0], "DEADLINE_PASSED")
        assert " " in error.message

    _run(scenario)


def test_operations_of_a_stream_that_is_cancelled_may_be_done_but_harm_nobody() -> None:
    async def messages() -> AsyncIterator[pb.PipelineRequest]:
        yield pb.PipelineRequest(
            ids=[1], methods=[pb.METHOD_SET], addresses=[pb.Address(object=HELD)], keys=["k"], values=[b"v"]
        )

    async def scenario(bench: _Bench) -> None:
        stream = bench.stub.Pipeline(messages())
        await bench.waiting(1)
        stream.cancel()
        await bench.heard()
        assert await bench.released() in ([], ["k"])
        assert (await bench.stub.Set(SET, timeout=PATIENCE_S)).version > 0

    _run(scenario)


def test_passed_deadline_of_an_embedded_request() -> None:
    async def scenario(bench: _Bench) -> None:
        embedded = pb.SetManyRequest(object=HELD, items=[pb.SetItem(key="k")]).SerializeToString()
        message = pb.PipelineRequest(ids=[1], methods=[pb.METHOD_SET_MANY], values=[embedded], timeouts_ms=[1])

        async def messages() -> AsyncIterator[pb.PipelineRequest]:
            yield message

        stream = bench.stub.Pipeline(messages())
        await bench.waiting(1)
        await asyncio.sleep(0.005)
        assert await bench.released() == []
        [error] = (await _answer(stream)).errors
        assert error.reason == "DEADLINE_PASSED"

    _run(scenario)


async def _answer(stream: grpc.aio.StreamStreamCall[pb.PipelineRequest, pb.PipelineResponse]) -> pb.PipelineResponse:
    answer = await asyncio.wait_for(stream.read(), PATIENCE_S)
    assert isinstance(answer, pb.PipelineResponse)
    return answer


def test_queue_of_a_busy_actor_is_bounded() -> None:
    async def scenario() -> None:
        async with running_server(max_mailbox_items=2) as server:
            actor = server.actor_of("", HELD, "k")
            server.hold_actor(actor)
            wire = Wire(server.address)
            asked = asyncio.create_task(wire.ask_together([SET, SET, SET]))
            async with asyncio.timeout(PATIENCE_S):
                while len(actor.mailbox) < 2:
                    await wire.ask(pb.GetRequest(object=FREE, key="k"))
            refusal = await wire.ask(SET)
            assert isinstance(refusal, Refusal)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refusal.retry_after_ms > 0
            server.release_actor(actor)
            first, second, third = await asked
            assert isinstance(first, pb.SetResponse)
            assert isinstance(second, pb.SetResponse)
            assert isinstance(third, Refusal)
            assert third.reason == "OVERLOADED"
            # Nothing of it lasts.
            assert isinstance(await wire.ask(SET), pb.SetResponse)
            await wire.close()

    asyncio.run(scenario())
