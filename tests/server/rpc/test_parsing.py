from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from petra.v1 import storage_pb2 as pb
from petra_server.errors import Reason, Refusal
from petra_server.rpc.parsing import parse

# What is put where bytes that are no UTF-8 are to be: of the same length, so that the message stays whole.
STAND_IN, BAD = "XX", b"\xff\xfe"


def refusal(kind: type[Message], data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(kind, data)
    return caught.value


def spoilt(message: Message) -> bytes:
    data = message.SerializeToString()
    assert data.count(STAND_IN.encode()) == 1
    return data.replace(STAND_IN.encode(), BAD)


def test_a_good_message_is_read() -> None:
    request = pb.SetRequest(key="k", value=b"\xff", if_version=0)
    assert parse(pb.SetRequest, request.SerializeToString()) == request


@pytest.mark.parametrize(
    ("message", "field", "reason"),
    [
        (pb.SetRequest(namespace=STAND_IN), "namespace", Reason.INVALID_NAMESPACE),
        (pb.SetRequest(object=STAND_IN, value=b"\xff"), "object", Reason.INVALID_OBJECT),
        (pb.SetRequest(namespace="good", key=STAND_IN), "key", Reason.INVALID_KEY),
        (pb.GetManyRequest(keys=["good", STAND_IN]), "keys", Reason.INVALID_KEY),
        (pb.ListRequest(prefix=STAND_IN), "prefix", Reason.INVALID_RANGE),
        (pb.ListRequest(start=STAND_IN), "start", Reason.INVALID_RANGE),
        (pb.ListRequest(start_after=STAND_IN), "start_after", Reason.INVALID_RANGE),
        (pb.ListRequest(end=STAND_IN), "end", Reason.INVALID_RANGE),
        (pb.SetManyRequest(items=[pb.SetItem(key=STAND_IN)]), "items.key", Reason.INVALID_KEY),
        (pb.PipelineRequest(addresses=[pb.Address(object=STAND_IN)]), "addresses.object", Reason.INVALID_OBJECT),
        (
            pb.TransactRequest(operations=[pb.Operation(get=pb.GetItem(key=STAND_IN))]),
            "operations.get.key",
            Reason.INVALID_KEY,
        ),
    ],
)
def test_a_string_that_is_no_utf8_is_named_by_its_field(message: Message, field: str, reason: Reason) -> None:
    refused = refusal(type(message), spoilt(message))
    assert (refused.reason, refused.field) == (reason, field)
    assert "not valid UTF-8" in refused.message


@pytest.mark.parametrize(
    ("keys", "reason", "field"), [(3, Reason.INVALID_KEY, "keys"), (14 * 1_024, Reason.MALFORMED_MESSAGE, "")]
)
def test_the_field_is_looked_for_in_small_messages_only(keys: int, reason: Reason, field: str) -> None:
    data = spoilt(pb.GetManyRequest(keys=["k" * 1_024] * keys + [STAND_IN]))
    refused = refusal(pb.GetManyRequest, data)
    assert (refused.reason, refused.field) == (reason, field)


def test_values_may_be_any_bytes() -> None:
    assert parse(pb.SetRequest, spoilt(pb.SetRequest(value=STAND_IN.encode()))).value == BAD


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"\x08", b"\x0f\x01"])
def test_what_is_no_message_at_all_is_malformed(data: bytes) -> None:
    refused = refusal(pb.SetRequest, data)
    assert (refused.reason, refused.field) == (Reason.MALFORMED_MESSAGE, "")
    assert "petra.v1.SetRequest" in refused.message


@given(st.sampled_from([pb.SetRequest, pb.TransactRequest, pb.PipelineRequest]), st.binary(max_size=40))
def test_any_bytes_are_a_message_or_a_refusal(kind: type[Message], data: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(parse(kind, data), kind)
