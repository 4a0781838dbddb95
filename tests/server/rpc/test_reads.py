"""Gets of a pipeline message: what is answered at once, and that it keeps the order of a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from petra_server.rpc.answers import ITEM_BYTES
from tests.support.inprocess import RunningServer, running_server

if TYPE_CHECKING:
    from petra.v1.storage_pb2_grpc import StorageServiceAsyncStub

GET, SET, INCREMENT = pb.METHOD_GET, pb.METHOD_SET, pb.METHOD_INCREMENT
PATIENCE_S = 60


async def ask(
    stub: StorageServiceAsyncStub, message: pb.PipelineRequest
) -> tuple[dict[int, bytes], dict[int, str], list[list[int]]]:
    """Values and reasons of refusals by id, and the ids of each message of answers."""

    async def messages() -> AsyncIterator[pb.PipelineRequest]:
        yield message

    values: dict[int, bytes] = {}
    reasons: dict[int, str] = {}
    portions: list[list[int]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for answer in stub.Pipeline(messages()):
            values.update(zip(answer.ids, answer.values or [b""] * len(answer.ids), strict=True))
            reasons.update((error.id, error.reason) for error in answer.errors)
            portions.append(list(answer.ids))
    return values, reasons, portions


def run(
    scenario: Callable[[RunningServer, StorageServiceAsyncStub], Awaitable[None]],
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> None:
    async def with_server() -> None:
        async with running_server(**settings) as server, server.channel() as channel:
            stub: StorageServiceAsyncStub = StorageServiceStub(channel)
            await scenario(server, stub)

    asyncio.run(with_server())


def test_a_get_sees_what_stands_before_it_and_not_what_comes_after() -> None:
    async def scenario(_: RunningServer, stub: StorageServiceAsyncStub) -> None:
        await stub.Set(pb.SetRequest(key="a", value=b"0"))
        embedded = pb.SetManyRequest(items=[pb.SetItem(key="a", value=b"2")]).SerializeToString()
        methods = [GET, SET, GET, pb.METHOD_SET_MANY, GET, INCREMENT, GET, SET, GET]
        message = pb.PipelineRequest(
            ids=range(9),
            methods=methods,
            keys=["" if method == pb.METHOD_SET_MANY else "a" for method in methods],
            values=[b"", b"1", b"", embedded, b"", b"", b"", b"9", b""],
            numbers=[0, 0, 0, 0, 0, 5, 0, 0, 0],
        )
        values, reasons, _portions = await ask(stub, message)
        assert not reasons
        assert [values[number] for number in (0, 2, 4, 6, 8)] == [b"0", b"1", b"2", b"7", b"9"]

    run(scenario)


def test_gets_beside_writes_of_other_keys_are_answered_each_with_its_own() -> None:
    async def scenario(_: RunningServer, stub: StorageServiceAsyncStub) -> None:
        count = 100
        for number in range(0, count, 2):
            await stub.Set(pb.SetRequest(key=f"k{number}", value=b"v%d" % number))
        message = pb.PipelineRequest(
            ids=range(count),
            methods=[GET if number % 2 == 0 else SET for number in range(count)],
            keys=[f"k{number}" for number in range(count)],
        )
        values, reasons, _portions = await ask(stub, message)
        assert not reasons
        assert values == {number: b"v%d" % number if number % 2 == 0 else b"" for number in range(count)}

    run(scenario)


def test_a_get_of_a_busy_actor_waits_and_those_of_others_do_not() -> None:
    async def scenario(server: RunningServer, stub: StorageServiceAsyncStub) -> None:
        held = server.actor_of("", "held", "k")
        assert held is not server.actor_of("", "free", "k"), "choose other names"
        server.hold_actor(held)
        message = pb.PipelineRequest(
            ids=[1, 2],
            methods=[GET, GET],
            addresses=[pb.Address(object="held"), pb.Address(object="free")],
            address_indexes=[0, 1],
            keys=["k", "k"],
        )
        asked = asyncio.ensure_future(ask(stub, message))
        async with asyncio.timeout(PATIENCE_S):
            while not held.mailbox:  # noqa: ASYNC110 - the server runs in this very loop
                await asyncio.sleep(0)
        assert not asked.done()
        server.release_actor(held)
        values, _, portions = await asked
        assert values == {1: b"", 2: b""}
        assert [number for portion in portions for number in portion] == [2, 1]

    run(scenario)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"keys": ["k" * 2_049, "k"]}, "INVALID_KEY"),
        ({"keys": ["k", "k"], "request_ids": [b"i", b""]}, "INVALID_PIPELINE"),
        ({"keys": ["k", "k"], "address_indexes": [1, 0]}, "INVALID_OBJECT"),
    ],
)
def test_a_bad_get_is_refused_beside_good_ones(column: dict[str, list[object]], reason: str) -> None:
    async def scenario(_: RunningServer, stub: StorageServiceAsyncStub) -> None:
        addresses = [pb.Address(), pb.Address(object="o" * 1_025)]
        message = pb.PipelineRequest(ids=[1, 2], methods=[GET, GET], addresses=addresses, **column)  # type: ignore[arg-type]
        values, reasons, _portions = await ask(stub, message)
        assert (values, reasons) == ({2: b""}, {1: reason})

    run(scenario)


def test_answers_of_many_gets_are_parted_into_messages_that_may_be_sent() -> None:
    async def scenario(_: RunningServer, stub: StorageServiceAsyncStub) -> None:
        await stub.Set(pb.SetRequest(key="k", value=b"v" * 1_000))
        message = pb.PipelineRequest(ids=range(60), methods=[GET] * 60, keys=["k"] * 60)
        values, reasons, portions = await ask(stub, message)
        assert not reasons
        assert set(values.values()) == {b"v" * 1_000}
        assert sorted(number for portion in portions for number in portion) == list(range(60))
        assert max(len(portion) for portion in portions) <= (16 << 10) // (1_000 + ITEM_BYTES)

    run(scenario, max_message_bytes=16 << 10, max_value_bytes=8 << 10, max_page_bytes=8 << 10)
