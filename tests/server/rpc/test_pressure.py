"""Too much at once, and too little disk: refused with word of when to come again, and without harm."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import grpc

from petra.v1 import admin_pb2, admin_pb2_grpc
from petra.v1 import storage_pb2 as pb
from tests.support.inprocess import running_server
from tests.support.refusals import Refusal
from tests.support.wire import PATIENCE_S, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from petra_server.actor.call import Call
    from tests.support.pipelines import Request

KIB, GIB = 1024, 1024**3
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SMALL: dict[str, Any] = {
    "max_value_bytes": 48 * KIB,
    "max_message_bytes": 64 * KIB,
    "max_page_bytes": 64 * KIB,
    "max_connection_bytes": 64 * KIB,
}
LARGE_SET_ELSEWHERE = pb.SetRequest(object="free", key="k", value=bytes(40 * KIB))
LARGE_SET = pb.SetRequest(object="held", key="k", value=bytes(40 * KIB))


def _overloaded(outcome: object) -> None:
    assert isinstance(outcome, Refusal), outcome
    assert (outcome.code, outcome.reason) == (EXHAUSTED, "OVERLOADED")
    assert outcome.retry_after_ms > 0
    assert " " in outcome.message


def test_bytes_in_flight_of_a_connection_are_bounded() -> None:
    async def scenario() -> None:
        async with running_server(**SMALL) as server:
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            wire, other = Wire(server.address), Wire(server.address)
            outcomes = [asyncio.create_task(wire.ask(LARGE_SET)) for _ in range(2)]
            done, [waiting] = await asyncio.wait(outcomes, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            _overloaded(done.pop().result())
            # Small requests of the same connection, and everyone else, are served.
            assert isinstance(await wire.ask(pb.GetRequest(key="k")), pb.GetResponse)
            assert isinstance(await other.ask(LARGE_SET_ELSEWHERE), pb.SetResponse)
            server.release_actor(actor)
            assert isinstance(await waiting, pb.SetResponse)
            assert isinstance(await wire.ask(LARGE_SET), pb.SetResponse)
            await wire.close()
            await other.close()

    asyncio.run(scenario())


def test_bytes_in_flight_of_the_server_are_bounded() -> None:
    async def scenario() -> None:
        async with running_server(**SMALL, max_server_bytes=64 * KIB) as server:
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            wires = [Wire(server.address) for _ in range(2)]
            outcomes = [asyncio.create_task(wire.ask(LARGE_SET)) for wire in wires]
            done, [waiting] = await asyncio.wait(outcomes, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            _overloaded(done.pop().result())
            server.release_actor(actor)
            assert isinstance(await waiting, pb.SetResponse)
            for wire in wires:
                assert isinstance(await wire.ask(LARGE_SET), pb.SetResponse)
                await wire.close()

    asyncio.run(scenario())


def test_nearly_full_disk_refuses_writes_and_serves_reads() -> None:
    mutations: list[Request] = [
        pb.SetRequest(key="k", value=b"2"),
        pb.DeleteRequest(key="k"),
        pb.SetManyRequest(items=[pb.SetItem(key="k")]),
        pb.DeleteManyRequest(keys=["k"]),
        pb.IncrementRequest(key="n", delta=1),
        pb.TouchRequest(key="k", ttl_ms=1),
        pb.ThrottleRequest(key="t", limit=1, period_ms=1),
        pb.TransactRequest(object="o", operations=[pb.Operation(set=pb.SetItem(key="k"))]),
        pb.ClearRequest(),
    ]

    async def scenario() -> None:
        async with running_server() as server:
            wire = Wire(server.address)
            assert isinstance(await wire.ask(pb.SetRequest(key="k", value=b"1")), pb.SetResponse)
            await wire.close()
            await server.stop()
            async with running_server(data=server.settings.data, disk_reserve_bytes=16_000 * GIB) as full:
                wire = Wire(full.address)
                for mutation in mutations:
                    [piped] = await wire.ask_together([mutation])
                    for outcome in (await wire.ask(mutation), piped):
                        assert isinstance(outcome, Refusal), mutation
                        assert (outcome.code, outcome.reason) == (EXHAUSTED, "DISK_FULL")
                        assert outcome.retry_after_ms > 0
                read = await wire.ask(pb.GetRequest(key="k"))
                assert isinstance(read, pb.GetResponse)
                assert read.entry.value == b"1"
                assert isinstance(await wire.ask(pb.ListRequest()), pb.ListResponse)
                async with full.channel() as channel:
                    info = await admin_pb2_grpc.AdminServiceStub(channel).GetInfo(admin_pb2.GetInfoRequest())
                assert not info.writable
                await wire.close()

    asyncio.run(scenario())


def test_one_message_of_much_work_lets_others_have_their_turns_in_between() -> None:
    increments = [pb.Operation(increment=pb.IncrementItem(key="n", delta=1))] * 500
    work: list[Request] = [pb.TransactRequest(object="o", operations=increments)] * 60

    async def scenario() -> None:
        async with running_server() as server:
            loop, router = asyncio.get_running_loop(), server.server.router
            events: list[int | str] = []
            submit = router.submit

            def noted(calls: Sequence[Call]) -> None:
                events.append(len(calls))
                loop.call_soon(events.append, "others")
                submit(calls)

            router.submit = noted  # type: ignore[method-assign]
            wire = Wire(server.address)
            outcomes = await wire.ask_together(work)
            assert all(isinstance(outcome, pb.TransactResponse) and outcome.committed for outcome in outcomes)
            slices = [event for event in events if isinstance(event, int)]
            assert sum(slices) == len(work)
            # A few transactions of this size are a slice.
            assert max(slices) <= 25
            assert all("others" in pair for pair in pairwise(events)), events
            await wire.close()

    asyncio.run(scenario())
