"""Messages of the client, read by the server's own reader, and the server's answers, read by the client's."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from hypothesis import given
from hypothesis import strategies as st

from petra import Entry, JSONCodec
from petra._transport.calls import TIMEOUTS, Address, Answer, Call
from petra._transport.packing import pack, unpack
from petra._transport.requests import Requests
from petra.v1 import storage_pb2 as pb
from petra.values import Durability
from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Addresses
from petra_server.actor.operations import (
    Delete,
    DeleteReply,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Reply,
    Set,
    SetReply,
    Touch,
    TouchReply,
)
from petra_server.errors import Reason, Refusal
from petra_server.intake.checks import Checks, Limits
from petra_server.rpc.answers import Answers
from petra_server.rpc.columns import Columns
from petra_server.rpc.requests import Requests as ServerRequests
from petra_server.storage.keys import entry_prefix
from petra_server.storage.records import Record

LIMITS = Limits(
    max_namespace_bytes=255,
    max_object_bytes=1_024,
    max_key_bytes=2_048,
    max_value_bytes=1 << 20,
    max_batch_items=1_024,
    max_message_bytes=1 << 24,
    max_page_entries=10_000,
    max_page_bytes=1 << 20,
    max_sql_bytes=1 << 18,
    max_sql_value_bytes=1 << 20,
    max_sql_rows=10_000,
    max_sql_result_bytes=1 << 20,
)
NOW = 1_000.0


def server_requests() -> ServerRequests:
    nothing = cast("Any", None)
    actors = [Actor(index, 2, nothing, nothing, nothing, 0) for index in range(2)]
    return ServerRequests(Addresses(actors, max_namespace_bytes=255, max_object_bytes=1_024), Checks(LIMITS))


class Asked(NamedTuple):
    """A call, what the server is to make of it, whether it is to be on disk, and its time-out."""

    call: Call[Any]
    operation: Operation | None
    sync: bool
    timeout_ms: int


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = names.filter(bool)
values = st.binary(max_size=20) | st.integers() | names | st.none()
ttls = st.none() | st.integers(1, 10**9) | st.floats(0.001, 10**6)
durabilities: st.SearchStrategy[Durability | None] = st.sampled_from([None, "fsync", "buffered"])
int64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    address = Address(draw(names), draw(names))
    requests = Requests(address, JSONCodec(), draw(durabilities))
    key, durability, kind = draw(keys), draw(durabilities), draw(st.integers(0, 7))
    stored = entry_prefix((address.namespace or "default").encode(), address.object.encode()) + key.encode()
    buffered = (durability or {0: None, 1: "fsync", 2: "buffered"}[requests.durability]) == "buffered"
    call: Call[Any]
    operation: Operation | None = None
    if kind == 0:
        call, operation = requests.get(key, None), Get(stored)
    elif kind == 1:
        call, operation = requests.get_entry(key), Get(stored)
    elif kind == 2:
        value, version = draw(values), draw(st.none() | st.integers(0, 2**64 - 1))
        ttl = draw(ttls)
        keep = ttl is None and draw(st.booleans())
        call = requests.set(key, value, ttl=ttl, keep_ttl=keep, if_version=version, durability=durability)
        data, encoding = JSONCodec().encode(value)
        operation = Set(stored, data, int(encoding), call.ttl_ms, version, keep)
        assert (call.ttl_ms > 0) is (ttl is not None)
    elif kind == 3:
        version = draw(st.none() | st.integers(0, 2**64 - 1))
        call, operation = requests.delete(key, if_version=version, durability=durability), Delete(stored, version)
    elif kind == 4:
        delta, initial, ttl = draw(int64), draw(int64), draw(ttls)
        call = requests.increment(key, delta, initial=initial, ttl=ttl, durability=durability)
        operation = Increment(stored, delta, initial, call.ttl_ms)
    elif kind == 5:
        call = requests.touch(key, draw(ttls))
        operation = Touch(stored, call.ttl_ms)
    elif kind == 6:
        call = requests.clear(prefix=key)
    else:
        call = requests.throttle(key, 5, 1, durability=durability)
    timeout_ms = draw(st.sampled_from([0, 0, 1, 5_000]))
    if timeout_ms:
        # As of one that is tried again.
        call.columns |= TIMEOUTS
        call.deadline = NOW + timeout_ms / 1_000 + 0.0001
    else:
        call.deadline = NOW + 7
    writes = kind in (2, 3, 4)
    return Asked(call, operation, not (writes and buffered), timeout_ms)


@given(st.lists(asked(), min_size=1, max_size=12), st.integers(1, 2**60))
def test_the_server_reads_what_the_client_has_written(group: list[Asked], first_id: int) -> None:
    calls = [one.call for one in group]
    message = pb.PipelineRequest.FromString(pack(calls, first_id, NOW))
    columns = Columns(message, server_requests())
    rows = list(columns.rows())
    assert [row[0] for row in rows] == list(range(first_id, first_id + len(calls)))
    some_timed = any(one.timeout_ms for one in group)
    for (call, operation, sync, timeout_ms), row in zip(group, rows, strict=True):
        assert row[1] == call.method
        # Where one of a message has a bound, all have: their own.
        assert row[-1] == (timeout_ms or (7_000 if some_timed else 0))
        if operation is None:
            assert call.value in row
        else:
            assert columns.asked(row)[2:] == (operation, sync, call.request_id)


def test_request_ids_are_all_different() -> None:
    requests = Requests(Address("", ""), JSONCodec(), None)
    ids = {requests.increment("key").request_id for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(one) for one in ids} == {16}


uint64 = st.integers(1, 2**64 - 1)
expiries = st.integers(0, 2**62)
replies: st.SearchStrategy[Reply | Refusal | bytes] = st.one_of(
    st.builds(GetReply, st.none() | st.builds(Record, uint64, expiries, st.sampled_from([1, 2]), st.binary())),
    st.builds(SetReply, uint64),
    st.builds(DeleteReply, st.booleans()),
    st.builds(IncrementReply, int64, uint64),
    st.builds(TouchReply, st.booleans(), expiries),
    st.binary(),
    st.just(Refusal(Reason.OVERLOADED, "Too much.")),
)


def expected(reply: Reply | bytes) -> Answer:
    match reply:
        case GetReply(record=None):
            return Answer(0, b"", 0, 0, 0)
        case GetReply(record=record):
            assert record is not None
            return Answer(record.version, record.value, record.encoding, record.expires_at_ms, 0)
        case SetReply(version):
            return Answer(version, b"", 0, 0, 0)
        case DeleteReply(deleted):
            return Answer(0, b"", 0, 0, int(deleted))
        case IncrementReply(value, version):
            return Answer(version, b"", 0, 0, value)
        case TouchReply(found, expires_at_ms):
            return Answer(0, b"", 0, expires_at_ms, int(found))
        case bytes():
            return Answer(0, reply, 0, 0, 0)
    raise AssertionError(reply)


@given(st.lists(replies, max_size=12))
def test_the_client_reads_what_the_server_has_written(outcomes: list[Reply | Refusal | bytes]) -> None:
    answers = Answers()
    for op_id, outcome in enumerate(outcomes, start=7):
        answers.add(op_id, outcome, 0)
    response = pb.PipelineResponse.FromString(answers.write())
    found = dict(unpack(response))
    refused = {error.id for error in response.errors}
    for op_id, outcome in enumerate(outcomes, start=7):
        if isinstance(outcome, Refusal):
            assert op_id in refused
        else:
            assert found.pop(op_id) == expected(outcome)
    assert not found


def test_an_entry_that_never_expires_has_no_moment() -> None:
    call = Requests(Address("", ""), JSONCodec(), None).get_entry("key")
    assert call.read(Answer(3, b"1", 2, 0, 0)) == Entry("key", 1, 3, None)
    assert call.read(Answer(0, b"", 0, 0, 0)) is None
