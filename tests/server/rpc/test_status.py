from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from petra.v1 import errors_pb2
from petra_server.errors import Reason, Refusal
from petra_server.rpc.status import STATUS_OF_REASON, abort, code_number, rich_status


def details(status: status_pb2.Status) -> dict[str, Message]:
    """The details by their type."""
    unpacked: dict[str, Message] = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])
        detail = kind()
        assert packed.Unpack(detail)
        unpacked[kind.__name__] = detail
    return unpacked


def test_every_reason_has_a_status_and_a_name_on_the_wire() -> None:
    assert set(STATUS_OF_REASON) == set(Reason)
    assert grpc.StatusCode.OK not in STATUS_OF_REASON.values()
    on_the_wire = set(errors_pb2.ErrorReason.keys())
    assert {reason.value for reason in Reason} <= on_the_wire
    assert {name for name in on_the_wire if not name.endswith("UNSPECIFIED")} <= {reason.value for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_says_its_reason_and_what_it_knows(reason: Reason) -> None:
    refusal = Refusal(reason, "Do it otherwise.", metadata={"version": "7"})
    status = rich_status(refusal)
    assert (status.code, status.message) == (STATUS_OF_REASON[reason].value[0], "Do it otherwise.")
    assert details(status) == {
        "ErrorInfo": error_details_pb2.ErrorInfo(reason=reason.value, domain="petra.dev", metadata={"version": "7"})
    }


def test_a_retry_that_makes_sense_is_told_when() -> None:
    told = details(rich_status(Refusal(Reason.OVERLOADED, "Later.", retry_after_ms=1_250)))
    assert isinstance(told["RetryInfo"], error_details_pb2.RetryInfo)
    assert told["RetryInfo"].retry_delay.ToMilliseconds() == 1_250


def test_the_wrong_field_of_a_bad_request_is_named() -> None:
    told = details(rich_status(Refusal(Reason.INVALID_KEY, "A key is empty.", field="items[3].key")))
    assert isinstance(told["BadRequest"], error_details_pb2.BadRequest)
    [violation] = told["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("items[3].key", "A key is empty.")
    # A version that has changed is no fault of the request.
    assert "BadRequest" not in details(
        rich_status(Refusal(Reason.VERSION_CONFLICT, "It has changed.", field="if_version"))
    )


def test_codes_are_those_of_google_rpc() -> None:
    assert [code_number(reason) for reason in (Reason.INVALID_KEY, Reason.VERSION_CONFLICT, Reason.DRAINING)] == [
        3,
        10,
        14,
    ]


class Context:
    """What an RPC was ended with."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, ...]] = []

    async def abort(self, *sent: object) -> None:
        self.sent.append(sent)


def test_ending_an_rpc_sends_the_details_with_the_status() -> None:
    context, refusal = Context(), Refusal(Reason.DISK_FULL, "Make room.", retry_after_ms=5)

    async def scenario() -> None:
        await abort(cast(Any, context), refusal)

    asyncio.run(scenario())
    trailers = (("grpc-status-details-bin", rich_status(refusal).SerializeToString()),)
    assert context.sent == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "Make room.", trailers)]
