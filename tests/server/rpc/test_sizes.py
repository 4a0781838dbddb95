"""Every limit on a size: what is exactly at it goes through, what is one over it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection, refused
from tests.support.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.pipelines import Request

MIB = 1024 * 1024
DAY_MS = 86_400_000
# Two bytes each in UTF-8: a limit in characters would let twice as much through.
WIDE = "é"


def _keys(count: int) -> list[str]:
    return [f"k{n}" for n in range(count)]


def _transact(count: int) -> pb.TransactRequest:
    conditions = [pb.Condition(key=key) for key in _keys(count // 2)]
    operations = [pb.Operation(get=pb.GetItem(key=key)) for key in _keys(count - len(conditions))]
    return pb.TransactRequest(object="o", conditions=conditions, operations=operations)


# For each limit a request of a given size, the limit, and the reason for being over it.
LIMITS: dict[str, tuple[Callable[[int], Request], int, str]] = {
    "namespace": (lambda size: pb.GetRequest(namespace="n" * size, key="k"), 255, "INVALID_NAMESPACE"),
    "object": (lambda size: pb.GetRequest(object="o" * size, key="k"), 1_024, "INVALID_OBJECT"),
    "key": (lambda size: pb.GetRequest(key="k" * size), 2_048, "INVALID_KEY"),
    "wide key": (lambda size: pb.SetRequest(key="k" * (size % 2) + WIDE * (size // 2)), 2_048, "INVALID_KEY"),
    "prefix": (lambda size: pb.ListRequest(prefix="k" * size), 2_048, "INVALID_RANGE"),
    "start": (lambda size: pb.ListRequest(start="k" * size), 2_048, "INVALID_RANGE"),
    "start_after": (lambda size: pb.ListRequest(start_after="k" * size, reverse=True), 2_048, "INVALID_RANGE"),
    "end": (lambda size: pb.ListRequest(end="k" * size), 2_048, "INVALID_RANGE"),
    "value": (lambda size: pb.SetRequest(key="v", value=bytes(size)), 2 * MIB, "VALUE_TOO_LARGE"),
    "request id": (lambda size: pb.SetRequest(key="i", request_id=bytes(size)), 32, "INVALID_REQUEST_ID"),
    "keys to get": (lambda size: pb.GetManyRequest(keys=_keys(size)), 1_024, "BATCH_TOO_LARGE"),
    "keys to delete": (lambda size: pb.DeleteManyRequest(keys=_keys(size)), 1_024, "BATCH_TOO_LARGE"),
    "items": (
        lambda size: pb.SetManyRequest(items=[pb.SetItem(key=key) for key in _keys(size)]),
        1_024,
        "BATCH_TOO_LARGE",
    ),
    "conditions and operations": (_transact, 1_024, "BATCH_TOO_LARGE"),
    "page": (lambda size: pb.ListRequest(limit=size), 10_000, "INVALID_LIMIT"),
    "period": (lambda size: pb.ThrottleRequest(key="t", limit=1, period_ms=size), 366 * DAY_MS, "INVALID_THROTTLE"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_at_the_limit_is_fine_and_one_over_it_is_not(connection: Connection, name: str) -> None:
    make, limit, reason = LIMITS[name]
    for ask in (connection.ask, connection.ask_piped):
        assert not isinstance(ask(make(limit)), Refusal)
        assert refused(ask(make(limit + 1))).reason == reason


def test_hundred_years_is_the_longest_ttl(connection: Connection) -> None:
    for years, fine in ((100, True), (101, False)):
        outcome = connection.ask(pb.SetRequest(key="k", ttl_ms=years * 365 * DAY_MS))
        assert isinstance(outcome, pb.SetResponse) is fine


def test_operations_of_a_pipeline_message(connection: Connection) -> None:
    most: list[Request] = [pb.GetRequest(key=key) for key in _keys(1_024)]
    assert all(isinstance(outcome, pb.GetResponse) for outcome in connection.ask_together(most))
    with pytest.raises(grpc.RpcError) as caught:
        connection.ask_together([*most, pb.GetRequest(key="k")])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_largest_object_value_and_key_together(connection: Connection) -> None:
    request = pb.SetRequest(namespace="n" * 255, object=WIDE * 512, key="\U0010ffff" * 512, value=b"\xff" * (2 * MIB))
    assert isinstance(connection.ask(request), pb.SetResponse)
    answer = connection.ask(pb.GetRequest(namespace=request.namespace, object=request.object, key=request.key))
    assert isinstance(answer, pb.GetResponse)
    assert (answer.entry.key, answer.entry.value) == (request.key, request.value)


def test_largest_answer_of_get_many(connection: Connection) -> None:
    for number in range(8):
        assert isinstance(connection.ask(pb.SetRequest(key=f"m{number}", value=bytes(2 * MIB - 1_024))), pb.SetResponse)
    answer = connection.ask(pb.GetManyRequest(keys=[f"m{number}" for number in range(8)]))
    assert isinstance(answer, pb.GetManyResponse)
    assert len(answer.entries) == 8


def test_message_over_the_limit_is_refused_by_grpc_itself(connection: Connection) -> None:
    before = connection.entries("limit")
    items = [pb.SetItem(key=f"k{number}", value=bytes(2 * MIB)) for number in range(9)]
    outcome = connection.ask(pb.SetManyRequest(namespace="limit", items=items))
    assert isinstance(outcome, Refusal)
    assert outcome.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert connection.entries("limit") == before


def test_page_ends_early_when_its_entries_are_large(connection: Connection) -> None:
    for number in range(5):
        request = pb.SetRequest(object="pages", key=f"k{number}", value=bytes(MIB))
        assert isinstance(connection.ask(request), pb.SetResponse)
    page = connection.ask(pb.ListRequest(object="pages"))
    assert isinstance(page, pb.ListResponse)
    assert 0 < len(page.entries) < 5
    assert page.next_page_token
    assert [entry.key for entry in connection.entries("", "pages")] == [f"k{number}" for number in range(5)]
