"""The one place where refusals become gRPC statuses, with the details of google.rpc."""

from __future__ import annotations

from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from petra_server.errors import Reason, Refusal

DOMAIN = "petra.dev"

STATUS_OF_REASON: dict[Reason, grpc.StatusCode] = {
    Reason.MALFORMED_MESSAGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_NAMESPACE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_OBJECT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_KEY: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_TTL: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_RANGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_LIMIT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_PAGE_TOKEN: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_ENCODING: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_DURABILITY: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_REQUEST_ID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_THROTTLE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_CONDITION: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_OPERATION: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.DUPLICATE_KEY: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_PIPELINE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_STATEMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.VALUE_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.BATCH_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.RESPONSE_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.VERSION_CONFLICT: grpc.StatusCode.ABORTED,
    Reason.NOT_AN_INTEGER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.INTEGER_OVERFLOW: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_A_THROTTLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SQL_ERROR: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.SQL_CONSTRAINT: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SQL_NOT_ALLOWED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.SQL_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.RESULT_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.DISK_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.DRAINING: grpc.StatusCode.UNAVAILABLE,
    Reason.STORAGE_FAILED: grpc.StatusCode.UNAVAILABLE,
    Reason.STORAGE_CORRUPT: grpc.StatusCode.DATA_LOSS,
    Reason.DEADLINE_PASSED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.INTERNAL_ERROR: grpc.StatusCode.INTERNAL,
}


def code_number(reason: Reason) -> int:
    """The google.rpc.Code of a reason."""
    number: int = STATUS_OF_REASON[reason].value[0]
    return number


def rich_status(refusal: Refusal) -> status_pb2.Status:
    """A google.rpc.Status with ErrorInfo, and RetryInfo and BadRequest where they fit."""
    status = status_pb2.Status(code=code_number(refusal.reason), message=refusal.message)
    _add(
        status,
        error_details_pb2.ErrorInfo(reason=refusal.reason.value, domain=DOMAIN, metadata=dict(refusal.metadata)),
    )
    if refusal.retry_after_ms:
        delay = Duration()
        delay.FromMilliseconds(refusal.retry_after_ms)
        _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
    if refusal.field and STATUS_OF_REASON[refusal.reason] is grpc.StatusCode.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(field=refusal.field, description=refusal.message)
        _add(status, error_details_pb2.BadRequest(field_violations=[violation]))
    return status


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], refusal: Refusal) -> NoReturn:
    """Ends the RPC with the refusal."""
    details = rich_status(refusal).SerializeToString()
    await context.abort(STATUS_OF_REASON[refusal.reason], refusal.message, (("grpc-status-details-bin", details),))


def _add(status: status_pb2.Status, detail: object) -> None:
    packed = AnyMessage()
    packed.Pack(detail)  # type: ignore[arg-type]
    status.details.append(packed)
