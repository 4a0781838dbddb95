"""What a failed call said, as one value for a unary status and for an operation's error in a pipeline.

Read from the wire without the code that wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from petra.v1 import storage_pb2

DOMAIN = "petra.dev"
_DETAILS = "grpc-status-details-bin"
_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class _FailedCall(Protocol):
    """What grpc.RpcError has in fact, in the blocking and in the asyncio flavour."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Sequence[tuple[str, str | bytes]] | None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, reason and details of what was not done. `fields` are those that BadRequest names."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str]
    fields: tuple[str, ...] = ()
    retry_after_ms: int = 0
    domain: str = DOMAIN


def refusal_of(error: grpc.RpcError) -> Refusal:
    """The refusal that a call failed with. A status of gRPC itself, without details, has the reason ""."""
    call: _FailedCall = error  # type: ignore[assignment]  # RpcError's class says less than its instances have
    code, message = call.code(), call.details() or ""
    for name, value in call.trailing_metadata() or ():
        if name == _DETAILS and isinstance(value, bytes):
            return _from_status(code, message, Status.FromString(value))
    return Refusal(code, "", message, {}, domain="")


def refusal_of_operation(error: storage_pb2.OperationError) -> Refusal:
    """The same of one operation of a pipeline."""
    return Refusal(
        _CODES[error.code],
        error.reason,
        error.message,
        dict(error.metadata),
        (error.field,) if error.field else (),
        error.retry_after_ms,
    )


def _from_status(code: grpc.StatusCode, message: str, status: Status) -> Refusal:
    assert (status.code, status.message) == (code.value[0], message), "the details tell another story than the status"
    info = ErrorInfo()
    retry = RetryInfo()
    bad_request = BadRequest()
    for detail in status.details:
        assert any(detail.Unpack(each) for each in (info, retry, bad_request)), f"unexpected detail {detail.type_url}"
    return Refusal(
        code,
        info.reason,
        message,
        dict(info.metadata),
        tuple(violation.field for violation in bad_request.field_violations),
        retry.retry_delay.ToMilliseconds(),
        info.domain,
    )
