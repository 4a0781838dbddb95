"""From what a server, or a proxy before it, says on the wire to the exception for the caller. Pure.

The reason decides. The gRPC code does where there is none, as in the words of a proxy, and where a newer server gives
one that this client does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from petra.errors import (
    DataLoss,
    DeadlineExceeded,
    DiskFull,
    FailedPrecondition,
    IntegerOverflow,
    InternalError,
    InvalidArgument,
    NotAnInteger,
    NotAThrottle,
    Overloaded,
    PermissionDenied,
    PetraError,
    ResourceExhausted,
    SqlConstraint,
    SqlError,
    SqlNotAllowed,
    Unavailable,
    Unimplemented,
    VersionConflict,
)
from petra.v1 import storage_pb2 as pb

# Of google.rpc.ErrorInfo, in which others have reasons of their own.
DOMAIN: Final = "petra.dev"

_CLASS_OF_REASON: Final[Mapping[str, type[PetraError]]] = {
    "MALFORMED_MESSAGE": InvalidArgument,
    "INVALID_NAMESPACE": InvalidArgument,
    "INVALID_OBJECT": InvalidArgument,
    "INVALID_KEY": InvalidArgument,
    "INVALID_TTL": InvalidArgument,
    "INVALID_RANGE": InvalidArgument,
    "INVALID_LIMIT": InvalidArgument,
    "INVALID_PAGE_TOKEN": InvalidArgument,
    "INVALID_ENCODING": InvalidArgument,
    "INVALID_DURABILITY": InvalidArgument,
    "INVALID_REQUEST_ID": InvalidArgument,
    "REQUEST_ID_REUSED": InvalidArgument,
    "INVALID_THROTTLE": InvalidArgument,
    "INVALID_CONDITION": InvalidArgument,
    "INVALID_OPERATION": InvalidArgument,
    "DUPLICATE_KEY": InvalidArgument,
    "INVALID_PIPELINE": InvalidArgument,
    "INVALID_STATEMENT": InvalidArgument,
    "VALUE_TOO_LARGE": InvalidArgument,
    "BATCH_TOO_LARGE": InvalidArgument,
    "RESPONSE_TOO_LARGE": InvalidArgument,
    "VERSION_CONFLICT": VersionConflict,
    "NOT_AN_INTEGER": NotAnInteger,
    "INTEGER_OVERFLOW": IntegerOverflow,
    "NOT_A_THROTTLE": NotAThrottle,
    "SQL_ERROR": SqlError,
    "SQL_CONSTRAINT": SqlConstraint,
    "SQL_NOT_ALLOWED": SqlNotAllowed,
    "SQL_TOO_LARGE": InvalidArgument,
    "RESULT_TOO_LARGE": InvalidArgument,
    "OVERLOADED": Overloaded,
    "DISK_FULL": DiskFull,
    "DRAINING": Unavailable,
    "STORAGE_FAILED": Unavailable,
    "STORAGE_CORRUPT": DataLoss,
    "DEADLINE_PASSED": DeadlineExceeded,
    "INTERNAL_ERROR": InternalError,
}

# What is missing here is for a newer client to know.
_CLASS_OF_CODE: Final[Mapping[int, type[PetraError]]] = {
    code_pb2.CANCELLED: Unavailable,
    code_pb2.INVALID_ARGUMENT: InvalidArgument,
    code_pb2.DEADLINE_EXCEEDED: DeadlineExceeded,
    code_pb2.PERMISSION_DENIED: PermissionDenied,
    code_pb2.UNAUTHENTICATED: PermissionDenied,
    code_pb2.RESOURCE_EXHAUSTED: ResourceExhausted,
    code_pb2.FAILED_PRECONDITION: FailedPrecondition,
    code_pb2.OUT_OF_RANGE: InvalidArgument,
    code_pb2.UNIMPLEMENTED: Unimplemented,
    code_pb2.UNAVAILABLE: Unavailable,
    code_pb2.DATA_LOSS: DataLoss,
}

# The server says these after it may have begun; and so may anyone who says these codes without a known reason.
_DOUBTFUL_REASONS: Final = frozenset({"STORAGE_FAILED", "INTERNAL_ERROR"})
_DOUBTFUL_CLASSES: Final = (Unavailable, DeadlineExceeded, InternalError)

# 64 bits.
_VERSION: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said, in whatever form. `retry_after` is in seconds; `wrong_field` is a field of the request."""

    code: int
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    wrong_field: str = ""


def from_operation_error(error: pb.OperationError, *, key: str = "", mutation: bool = False) -> PetraError:
    """The exception for a failed operation of a pipeline.

    `key` is the operation's own, as the server shortens a long one. Of a `mutation` the exception says when it may
    have been applied all the same.
    """
    said = _Said(
        code=error.code,
        message=error.message,
        reason=error.reason,
        metadata=dict(error.metadata),
        retry_after=error.retry_after_ms / 1_000 if error.retry_after_ms > 0 else None,
        wrong_field=error.field,
    )
    made = _exception(said, key)
    if mutation and _doubtful(made):
        made.outcome_unknown = True
        made.args = (f"{made} It is not known whether it was applied.",)
    return made


def from_status(code: int, message: str, details: bytes) -> PetraError:
    """The exception for the status that ended an RPC. `details` is a google.rpc.Status, or empty."""
    return _exception(_with_details(_Said(code, message), details), "")


def _with_details(said: _Said, details: bytes) -> _Said:
    try:
        status = status_pb2.Status.FromString(details)
        for detail in status.details:
            said = _with_detail(said, detail)
    except DecodeError:
        # Nobody but Petra's server promises what is in there; code and message are still said.
        return said
    return said


def _with_detail(said: _Said, detail: AnyMessage) -> _Said:
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    request = error_details_pb2.BadRequest()
    if detail.Unpack(info):
        if info.domain == DOMAIN:
            return replace(said, reason=info.reason, metadata=dict(info.metadata))
    elif detail.Unpack(retry):
        seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        return replace(said, retry_after=seconds if seconds > 0 else None)
    elif detail.Unpack(request) and request.field_violations:
        return replace(said, wrong_field=request.field_violations[0].field)
    return said


def _exception(said: _Said, key: str) -> PetraError:
    kind = _CLASS_OF_REASON.get(said.reason) or _CLASS_OF_CODE.get(said.code, InternalError)
    message = said.message or f"The call failed with {_code_name(said.code)}, and nothing else was said about it."
    reason, metadata = said.reason, said.metadata
    if issubclass(kind, InvalidArgument | SqlConstraint):
        return kind(message, field=said.wrong_field, reason=reason, metadata=metadata)
    if issubclass(kind, ResourceExhausted):
        return kind(message, retry_after=said.retry_after, reason=reason, metadata=metadata)
    if issubclass(kind, VersionConflict):
        version = metadata.get("version", "")
        if not _VERSION.fullmatch(version):
            # To name a version that nobody has said would make the caller overwrite one that he has not seen.
            return InternalError(f"{message} (The present version is not named.)", reason=reason, metadata=metadata)
        return kind(message, version=int(version), key=key or metadata.get("key", ""), reason=reason, metadata=metadata)
    return kind(message, reason=reason, metadata=metadata)


def _doubtful(error: PetraError) -> bool:
    if error.reason in _CLASS_OF_REASON:
        return error.reason in _DOUBTFUL_REASONS
    return isinstance(error, _DOUBTFUL_CLASSES)


def _code_name(code: int) -> str:
    try:
        return code_pb2.Code.Name(code)
    except ValueError:
        return f"the unknown status {code}"
