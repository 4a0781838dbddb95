"""The one place where refusals become HTTP statuses; petra_server.rpc.status is its sibling for gRPC. Pure.

What only HTTP can get wrong (paths, methods, media types) has reasons of its own.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import TypeAlias

from petra_server.errors import Reason, Refusal


class HttpReason(StrEnum):
    """Why a request failed before any actor was asked, or after the time was up."""

    INVALID_PARAMETER = "INVALID_PARAMETER"
    KEY_NOT_FOUND = "KEY_NOT_FOUND"
    PATH_NOT_FOUND = "PATH_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    ORIGIN_NOT_ALLOWED = "ORIGIN_NOT_ALLOWED"
    TIMED_OUT = "TIMED_OUT"


AnyReason: TypeAlias = Reason | HttpReason

STATUS_OF_REASON: dict[AnyReason, HTTPStatus] = {
    HttpReason.INVALID_PARAMETER: HTTPStatus.BAD_REQUEST,
    HttpReason.KEY_NOT_FOUND: HTTPStatus.NOT_FOUND,
    HttpReason.PATH_NOT_FOUND: HTTPStatus.NOT_FOUND,
    HttpReason.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    HttpReason.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HttpReason.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HttpReason.ORIGIN_NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    HttpReason.TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    Reason.MALFORMED_MESSAGE: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_NAMESPACE: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_OBJECT: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_KEY: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_TTL: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_RANGE: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_LIMIT: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_PAGE_TOKEN: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_ENCODING: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_DURABILITY: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_REQUEST_ID: HTTPStatus.BAD_REQUEST,
    Reason.REQUEST_ID_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.INVALID_THROTTLE: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_CONDITION: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_OPERATION: HTTPStatus.BAD_REQUEST,
    Reason.DUPLICATE_KEY: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_PIPELINE: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_STATEMENT: HTTPStatus.BAD_REQUEST,
    Reason.VALUE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.BATCH_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.RESPONSE_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    Reason.VERSION_CONFLICT: HTTPStatus.CONFLICT,
    Reason.NOT_AN_INTEGER: HTTPStatus.CONFLICT,
    Reason.INTEGER_OVERFLOW: HTTPStatus.CONFLICT,
    Reason.NOT_A_THROTTLE: HTTPStatus.CONFLICT,
    Reason.SQL_ERROR: HTTPStatus.BAD_REQUEST,
    Reason.SQL_CONSTRAINT: HTTPStatus.CONFLICT,
    Reason.SQL_NOT_ALLOWED: HTTPStatus.BAD_REQUEST,
    Reason.SQL_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.RESULT_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    Reason.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.DISK_FULL: HTTPStatus.INSUFFICIENT_STORAGE,
    Reason.DRAINING: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.STORAGE_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.STORAGE_CORRUPT: HTTPStatus.INTERNAL_SERVER_ERROR,
    Reason.DEADLINE_PASSED: HTTPStatus.GATEWAY_TIMEOUT,
    Reason.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class HttpRefusal(Exception):
    """A request that was refused for what only HTTP knows. `field` names the wrong part of it."""

    def __init__(self, reason: HttpReason, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field


def retry_after_seconds(refusal: Refusal | HttpRefusal) -> int:
    """What Retry-After says, rounded up; 0 when it says nothing."""
    return -(-refusal.retry_after_ms // 1000) if isinstance(refusal, Refusal) else 0
