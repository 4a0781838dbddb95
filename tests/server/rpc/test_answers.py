"""Answers reach their clients: they fit into what these take, and are not refused once the work is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.server.rpc.calls import Connection, refused
from tests.support.inprocess import running_server
from tests.support.refusals import Refusal
from tests.support.wire import PATIENCE_S, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.pipelines import Request
    from tests.support.server import ServerProcess

KIB, MIB = 1024, 1024 * 1024
# Of a message to a person. gRPC carries it in its headers, of which clients take some kilobytes.
SHORT_BYTES = 1_000
# Of 2,048 bytes each, and of more when they are written out.
LONG_NAMES = {
    "ascii": "k" * 2_048,
    "control": "\x01" * 2_048,
    "cyrillic": "ж" * 1_024,
    "unassigned": "\U0010ffff" * 512,
}
SMALL: dict[str, Any] = {
    "max_value_bytes": 60_000,
    "max_message_bytes": 64 * KIB,
    "max_page_bytes": 32 * KIB,
    "max_connection_bytes": 64 * KIB,
}


@pytest.fixture
def default_client(server: ServerProcess) -> Iterator[grpc.Channel]:
    """A channel as gRPC makes it unless told otherwise: it takes messages of up to 4 MiB."""
    with grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


@pytest.mark.parametrize("name", LONG_NAMES)
def test_conflict_on_a_long_key_is_told_in_short(connection: Connection, name: str) -> None:
    request = pb.SetRequest(key=LONG_NAMES[name], if_version=7)
    for outcome in (connection.ask(request), connection.ask_piped(request)):
        refusal = refused(outcome)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "VERSION_CONFLICT")
        assert refusal.metadata["version"] == "0"
        assert len(refusal.message.encode()) < SHORT_BYTES
        assert all(len(value.encode()) < SHORT_BYTES for value in refusal.metadata.values())


@pytest.mark.parametrize("name", LONG_NAMES)
def test_long_key_that_stands_twice_is_told_in_short(connection: Connection, name: str) -> None:
    refusal = refused(connection.ask(pb.SetManyRequest(items=[pb.SetItem(key=LONG_NAMES[name])] * 2)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DUPLICATE_KEY")
    assert refusal.fields == ("items[1].key",)
    assert len(refusal.message.encode()) < SHORT_BYTES


def test_conflicts_on_long_keys_of_a_whole_pipeline_message_are_all_told(default_client: grpc.Channel) -> None:
    count = 1_024
    message = pb.PipelineRequest(
        ids=range(count),
        methods=[pb.METHOD_DELETE] * count,
        keys=["\x01" * 2_044 + f"{number:04}" for number in range(count)],
        if_versions=[9] * count,
        options=[pb.OPERATION_OPTION_IF_VERSION] * count,
    )
    answers = StorageServiceStub(default_client).Pipeline(iter([message]), timeout=PATIENCE_S)
    errors = [error for answer in answers for error in answer.errors]
    assert {error.id for error in errors} == set(range(count))
    assert {error.reason for error in errors} == {"VERSION_CONFLICT"}
    assert max(error.ByteSize() for error in errors) < 2 * SHORT_BYTES


# Two such entries have about the bytes of a page. What the message says of each, and the token, come on top.
@pytest.mark.parametrize("less_bytes", [2_080, 2_112, 4_096, 4_160, 4_300])
def test_page_of_large_entries_with_long_keys_fits_a_default_client(
    default_client: grpc.Channel, less_bytes: int
) -> None:
    stub = StorageServiceStub(default_client)
    keys = [letter * 2_048 for letter in "abc"]
    value = bytes(2 * MIB - less_bytes)
    object_name = f"{less_bytes}"
    for key in keys:
        stub.Set(pb.SetRequest(object=object_name, key=key, value=value, durability=pb.DURABILITY_BUFFERED))
    listed: list[str] = []
    request = pb.ListRequest(object=object_name)
    while True:
        page = stub.List(request, timeout=PATIENCE_S)
        assert page.entries
        assert all(entry.value == value for entry in page.entries)
        listed += [entry.key for entry in page.entries]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert listed == keys


def test_small_messages_carry_the_answers_of_many_gets() -> None:
    value = bytes(30_000)

    async def scenario() -> None:
        settings: dict[str, Any] = {
            "max_value_bytes": 32 * KIB,
            "max_message_bytes": 64 * KIB,
            "max_page_bytes": 32 * KIB,
        }
        async with running_server(**settings) as server:
            wire = Wire(server.address)
            assert isinstance(await wire.ask(pb.SetRequest(key="k", value=value)), pb.SetResponse)
            gets: list[Request] = [pb.GetRequest(key="k")] * 10
            for outcome in await wire.ask_together(gets):
                assert isinstance(outcome, pb.GetResponse)
                assert outcome.entry.value == value
            await wire.close()

    asyncio.run(scenario())


def test_transactions_are_answered_however_many_bytes_are_in_flight() -> None:
    """Each is 40 KB of answer, on a connection that may have 64 KiB in flight; all leave with the same flush."""
    count = 8
    get = pb.Operation(get=pb.GetItem(key="large"))
    transaction = pb.TransactRequest(
        object="o",
        operations=[pb.Operation(increment=pb.IncrementItem(key="n", delta=1)), get, get],
    )

    async def scenario() -> None:
        async with running_server(**SMALL) as server:
            wire = Wire(server.address)
            large = pb.SetRequest(object="o", key="large", value=bytes(20_000))
            assert isinstance(await wire.ask(large), pb.SetResponse)
            outcomes = await asyncio.gather(*(wire.ask(transaction) for _ in range(count)))
            other = Wire(server.address)
            piped = await other.ask_together([transaction] * count)
            for outcome in (*outcomes, *piped):
                assert isinstance(outcome, pb.TransactResponse), outcome
                assert outcome.committed
            counted = await wire.ask(pb.GetRequest(object="o", key="n"))
            assert isinstance(counted, pb.GetResponse)
            assert counted.entry.value == b"%d" % (2 * count)
            await wire.close()
            await other.close()

    asyncio.run(scenario())


def test_transaction_whose_answers_do_not_fit_is_refused_whole() -> None:
    limit = 100_000
    charge = pb.ThrottleItem(key="limit", limit=limit, period_ms=3_600_000)
    transaction = pb.TransactRequest(
        object="o",
        operations=[pb.Operation(get=pb.GetItem(key="large")), *[pb.Operation(throttle=charge)] * 900],
    )
    peek = pb.ThrottleRequest(object="o", key="limit", limit=limit, period_ms=3_600_000, peek=True)

    async def scenario() -> None:
        async with running_server(**SMALL) as server:
            wire = Wire(server.address)
            large = pb.SetRequest(object="o", key="large", value=bytes(59_900))
            assert isinstance(await wire.ask(large), pb.SetResponse)
            [piped] = await wire.ask_together([transaction])
            for outcome in (await wire.ask(transaction), piped):
                assert isinstance(outcome, Refusal), outcome
                assert (outcome.code, outcome.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "RESPONSE_TOO_LARGE")
            state = await wire.ask(peek)
            assert isinstance(state, pb.ThrottleResponse)
            assert state.remaining == limit
            await wire.close()

    asyncio.run(scenario())
