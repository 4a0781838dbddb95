"""Faults of the server and of its disk: what callers are told, and that nobody else waits for ever."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from petra_server.actor import handlers
from petra_server.actor.operations import Delete, Operation, Reply
from petra_server.errors import StorageFailed
from petra_server.intake import pages as intake_pages
from petra_server.rpc import requests as rpc_requests
from petra_server.storage.batch import Batch
from petra_server.storage.engine import Engine
from petra_server.storage.keys import entry_prefix
from tests.support.inprocess import RunningServer, running_server
from tests.support.refusals import Refusal
from tests.support.wire import PATIENCE_S, Wire

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from petra_server.actor.turn import Turn
    from tests.support.pipelines import Request

SECRET = "what the exception said"
OBJECT = "o"


def _fault(turn: Turn, operation: Operation) -> Reply:
    raise RuntimeError(SECRET)


def _internal(outcome: object) -> None:
    assert isinstance(outcome, Refusal), outcome
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")
    assert outcome.metadata["error_id"] in outcome.message
    assert SECRET not in outcome.message


def test_fault_in_a_turn_is_told_under_an_id_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(handlers.HANDLERS, Delete, _fault)
    written = pb.SetRequest(object=OBJECT, key="k", value=b"v")

    async def scenario() -> None:
        async with running_server() as server:
            wire = Wire(server.address)
            _internal(await wire.ask(pb.DeleteRequest(object=OBJECT, key="k")))
            assert await wire.ask(pb.GetRequest(object=OBJECT, key="k")) == pb.GetResponse()
            # The other operations of a turn are done.
            first, failed, last = await wire.ask_together([written, pb.DeleteRequest(object=OBJECT, key="k"), written])
            _internal(failed)
            assert isinstance(first, pb.SetResponse)
            assert isinstance(last, pb.SetResponse)
            await wire.close()

    asyncio.run(scenario())


def test_fault_keeps_nobody_in_the_queue_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(handlers.HANDLERS, Delete, _fault)
    gets = [pb.GetRequest(object=OBJECT, key="k")] * 1_000

    async def scenario() -> None:
        async with running_server() as server:
            actor = server.actor_of("", OBJECT, "k")
            server.hold_actor(actor)
            wire, witness = Wire(server.address), Wire(server.address)
            asked = asyncio.create_task(wire.ask_together([pb.DeleteRequest(object=OBJECT, key="k"), *gets]))
            # More than one turn's worth waits once the pipeline's message has arrived.
            async with asyncio.timeout(PATIENCE_S):
                while len(actor.mailbox) <= len(gets):
                    await witness.ask(pb.GetRequest(object="witness", key="k"))
            server.release_actor(actor)
            outcomes = await asyncio.wait_for(asked, PATIENCE_S)
            _internal(outcomes[0])
            assert isinstance(outcomes[-1], pb.GetResponse)
            await wire.close()
            await witness.close()

    asyncio.run(scenario())


def test_fault_in_writing_an_answer_is_that_of_its_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream goes on, and so does everyone whose answers left with the same flush."""
    monkeypatch.setattr(rpc_requests, "set_many_response", _broken)
    monkeypatch.setattr(intake_pages, "list_page", _broken)
    faulty: list[Request] = [
        pb.SetManyRequest(object=OBJECT, items=[pb.SetItem(key="many")]),
        pb.SetManyRequest(items=[pb.SetItem(key=f"flat{number}") for number in range(20)]),
        pb.ListRequest(object=OBJECT),
    ]
    single = pb.SetRequest(object=OBJECT, key="k")

    async def scenario() -> None:
        async with running_server() as server:
            wire, other = Wire(server.address), Wire(server.address)
            for _ in range(2):
                outcomes, elsewhere = await asyncio.gather(
                    wire.ask_together([single, *faulty, single]), other.ask_together([single] * 10)
                )
                for outcome in outcomes[1:-1]:
                    _internal(outcome)
                for outcome in (outcomes[0], outcomes[-1], *elsewhere):
                    assert isinstance(outcome, pb.SetResponse)
            for request in faulty:
                _internal(await wire.ask(request))
            await wire.close()
            await other.close()

    asyncio.run(scenario())


def _broken(*_: object, **__: object) -> Message:
    raise RuntimeError(SECRET)


def test_forged_state_of_a_rate_limit_is_refused_and_everyone_else_is_answered() -> None:
    forged = b"\x00RL\x01" + struct.pack(">QII", 2**64 - 1, 0, 1)
    charge = pb.ThrottleRequest(object=OBJECT, key="limit", limit=1, period_ms=1_000, durability=pb.DURABILITY_FSYNC)
    charging = pb.TransactRequest(
        object=OBJECT,
        operations=[pb.Operation(throttle=pb.ThrottleItem(key="limit", limit=1, period_ms=1_000))],
    )
    written = pb.SetRequest(object=OBJECT, key="k")

    async def scenario() -> None:
        async with running_server() as server:
            wire = Wire(server.address)
            forging = pb.SetRequest(object=OBJECT, key="limit", value=forged)
            rounds: list[list[Request]] = [[forging, charge, written], [written, charge, charging, written]]
            for requests in rounds:
                for request, outcome in zip(requests, await wire.ask_together(requests), strict=True):
                    if request in (charge, charging):
                        assert isinstance(outcome, Refusal), outcome
                        assert (outcome.code, outcome.reason) == (
                            grpc.StatusCode.FAILED_PRECONDITION,
                            "NOT_A_THROTTLE",
                        )
                    else:
                        assert isinstance(outcome, pb.SetResponse)
            await wire.close()

    asyncio.run(scenario())


def test_damaged_record_is_told_and_others_are_served() -> None:
    key = entry_prefix(b"default", OBJECT.encode()) + b"damaged"

    async def scenario() -> None:
        async with running_server() as server:
            wire = Wire(server.address)
            assert isinstance(await wire.ask(pb.SetRequest(object=OBJECT, key="whole")), pb.SetResponse)
            await wire.close()
            _write_raw(server, key, b"\xff")
            wire = Wire(server.address)
            for request in (
                pb.GetRequest(object=OBJECT, key="damaged"),
                pb.GetManyRequest(object=OBJECT, keys=["whole", "damaged"]),
                pb.ListRequest(object=OBJECT),
            ):
                outcome = await wire.ask(request)
                assert isinstance(outcome, Refusal), request
                assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "STORAGE_CORRUPT")
                assert "backup" in outcome.message
            whole = await wire.ask(pb.GetRequest(object=OBJECT, key="whole"))
            assert isinstance(whole, pb.GetResponse)
            assert whole.HasField("entry")
            await wire.close()

    asyncio.run(scenario())


def _write_raw(server: RunningServer, key: bytes, value: bytes) -> None:
    """Puts bytes under a key on the disk, past everything that would refuse them."""
    actor = server.actor_of("", OBJECT, "damaged")
    server.server._partition.engine.write(Batch(writes=[(actor.index, key, value)]))


@pytest.mark.parametrize("method", ["write", "flush_wal"])
def test_failed_write_or_flush_is_told_and_nothing_is_written_any_more(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def failing(*_: object) -> None:
        raise StorageFailed("The disk is broken. Mend it, and start again.")

    async def scenario() -> None:
        async with running_server() as server:
            wire = Wire(server.address)
            assert isinstance(await wire.ask(pb.SetRequest(key="k", value=b"1")), pb.SetResponse)
            monkeypatch.setattr(Engine, method, failing)
            for request in (pb.SetRequest(key="k", value=b"2"), pb.SetRequest(key="other", value=b"2")):
                outcome = await wire.ask(request)
                assert isinstance(outcome, Refusal), request
                assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_FAILED")
            await asyncio.wait_for(server.server.failed.wait(), PATIENCE_S)
            await wire.close()

    with pytest.raises(StorageFailed):
        asyncio.run(scenario())
