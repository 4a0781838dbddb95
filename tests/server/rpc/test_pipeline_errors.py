"""Pipeline messages that make no sense as a whole end their stream, and only that one."""

from __future__ import annotations

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection, refused

GET, SET, LIST = pb.METHOD_GET, pb.METHOD_SET, pb.METHOD_LIST

SENSELESS = {
    "ids-short": pb.PipelineRequest(ids=[1], methods=[GET, GET], keys=["a", "b"]),
    "ids-long": pb.PipelineRequest(ids=[1, 2], methods=[GET], keys=["a"]),
    "keys": pb.PipelineRequest(ids=[1, 2], methods=[GET, GET], keys=["a"]),
    "values": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], values=[b"v"]),
    "encodings": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], encodings=[pb.ENCODING_JSON]),
    "ttl_ms": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], ttl_ms=[1]),
    "if_versions": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], if_versions=[1]),
    "options": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], options=[1]),
    "durabilities": pb.PipelineRequest(
        ids=[1, 2], methods=[SET, SET], keys=["a", "b"], durabilities=[pb.DURABILITY_FSYNC]
    ),
    "request_ids": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], request_ids=[b"i"]),
    "numbers": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], numbers=[1]),
    "initials": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], initials=[1]),
    "timeouts_ms": pb.PipelineRequest(ids=[1, 2], methods=[SET, SET], keys=["a", "b"], timeouts_ms=[1]),
    "address_indexes": pb.PipelineRequest(
        ids=[1, 2], methods=[SET, SET], keys=["a", "b"], addresses=[pb.Address()], address_indexes=[0]
    ),
    "address-out-of-range": pb.PipelineRequest(
        ids=[1], methods=[SET], keys=["a"], addresses=[pb.Address()], address_indexes=[1]
    ),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_message_that_makes_no_sense_ends_the_stream(connection: Connection, name: str) -> None:
    refusal = refused(connection.pipeline_refusal(SENSELESS[name]))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PIPELINE")
    assert connection.entries() == []


def test_what_came_before_is_answered_first(connection: Connection) -> None:
    good = pb.PipelineRequest(ids=[7], methods=[SET], addresses=[pb.Address(namespace="before")], keys=["k"])
    stream = connection.pipeline(good, SENSELESS["keys"])
    assert list(next(stream).ids) == [7]
    with pytest.raises(grpc.RpcError):
        next(stream)
    assert [entry.key for entry in connection.entries("before")] == ["k"]


def test_other_streams_of_the_connection_go_on(connection: Connection) -> None:
    refused(connection.pipeline_refusal(SENSELESS["keys"]))
    [answer] = connection.pipeline(pb.PipelineRequest(ids=[1], methods=[GET], keys=["k"]))
    assert list(answer.ids) == [1]


def test_empty_messages_and_streams_are_fine(connection: Connection) -> None:
    assert list(connection.pipeline()) == []
    assert all(not answer.ids for answer in connection.pipeline(pb.PipelineRequest(), pb.PipelineRequest()))


def test_bad_address_is_the_error_of_its_operations(connection: Connection) -> None:
    message = pb.PipelineRequest(
        ids=[1, 2, 3],
        methods=[GET, GET, GET],
        addresses=[pb.Address(namespace="n" * 256), pb.Address(object="o" * 1_025), pb.Address()],
        address_indexes=[0, 1, 2],
        keys=["k", "k", "k"],
    )
    answers = list(connection.pipeline(message))
    errors = {error.id: error.reason for answer in answers for error in answer.errors}
    assert errors == {1: "INVALID_NAMESPACE", 2: "INVALID_OBJECT"}
    assert [id_ for answer in answers for id_ in answer.ids] == [3]


def test_embedded_bytes_that_are_no_request_are_the_error_of_their_operation(connection: Connection) -> None:
    message = pb.PipelineRequest(ids=[1, 2], methods=[LIST, GET], keys=["", "k"], values=[b"\x0a\xff", b""])
    answers = list(connection.pipeline(message))
    [error] = [error for answer in answers for error in answer.errors]
    assert (error.id, error.reason) == (1, "MALFORMED_MESSAGE")
    assert [id_ for answer in answers for id_ in answer.ids] == [2]


def test_unknown_method_is_the_error_of_its_operation(connection: Connection) -> None:
    unknown: list[pb.Method] = [pb.METHOD_UNSPECIFIED, 99, GET]  # type: ignore[list-item]  # the point of it
    answers = list(connection.pipeline(pb.PipelineRequest(ids=[1, 2, 3], methods=unknown, keys=["k", "k", "k"])))
    errors = {error.id: error.reason for answer in answers for error in answer.errors}
    assert errors == {1: "INVALID_PIPELINE", 2: "INVALID_PIPELINE"}
    assert [id_ for answer in answers for id_ in answer.ids] == [3]


def test_addresses_are_bounded(connection: Connection) -> None:
    most = pb.PipelineRequest(ids=[1], methods=[GET], keys=["k"], addresses=[pb.Address()] * 1_024)
    [answer] = connection.pipeline(most)
    assert list(answer.ids) == [1]
    most.addresses.add()
    refusal = refused(connection.pipeline_refusal(most))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_TOO_LARGE")


def test_request_id_or_durability_of_what_has_none_is_the_error_of_its_operation(connection: Connection) -> None:
    message = pb.PipelineRequest(
        ids=[1, 2, 3, 4],
        methods=[GET, pb.METHOD_TOUCH, SET, GET],
        addresses=[pb.Address(namespace="envelopes")],
        keys=["k", "k", "k", "k"],
        durabilities=[pb.DURABILITY_UNSPECIFIED, pb.DURABILITY_BUFFERED, pb.DURABILITY_FSYNC, 0],  # type: ignore[list-item]
        request_ids=[b"i", b"", b"i", b""],
    )
    answers = list(connection.pipeline(message))
    errors = {error.id: (error.reason, error.field) for answer in answers for error in answer.errors}
    assert errors == {1: ("INVALID_PIPELINE", "request_ids"), 2: ("INVALID_PIPELINE", "durabilities")}
    assert {id_ for answer in answers for id_ in answer.ids} == {3, 4}
    # The refused get has not taken the request id.
    assert connection.entries("envelopes")[0].version > 0
