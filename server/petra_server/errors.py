"""What the server can refuse, and why. No gRPC in here: petra_server.rpc.status maps reasons to statuses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

_SHOWN_CHARACTERS = 60
_NO_METADATA: Mapping[str, str] = MappingProxyType({})


class Reason(StrEnum):
    """Why a call failed. The same names as petra.v1.ErrorReason, which documents them."""

    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    INVALID_NAMESPACE = "INVALID_NAMESPACE"
    INVALID_OBJECT = "INVALID_OBJECT"
    INVALID_KEY = "INVALID_KEY"
    INVALID_TTL = "INVALID_TTL"
    INVALID_RANGE = "INVALID_RANGE"
    INVALID_LIMIT = "INVALID_LIMIT"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"
    INVALID_ENCODING = "INVALID_ENCODING"
    INVALID_DURABILITY = "INVALID_DURABILITY"
    INVALID_REQUEST_ID = "INVALID_REQUEST_ID"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    INVALID_THROTTLE = "INVALID_THROTTLE"
    INVALID_CONDITION = "INVALID_CONDITION"
    INVALID_OPERATION = "INVALID_OPERATION"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    INVALID_PIPELINE = "INVALID_PIPELINE"
    INVALID_STATEMENT = "INVALID_STATEMENT"
    VALUE_TOO_LARGE = "VALUE_TOO_LARGE"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    RESPONSE_TOO_LARGE = "RESPONSE_TOO_LARGE"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    NOT_AN_INTEGER = "NOT_AN_INTEGER"
    INTEGER_OVERFLOW = "INTEGER_OVERFLOW"
    NOT_A_THROTTLE = "NOT_A_THROTTLE"
    SQL_ERROR = "SQL_ERROR"
    SQL_CONSTRAINT = "SQL_CONSTRAINT"
    SQL_NOT_ALLOWED = "SQL_NOT_ALLOWED"
    SQL_TOO_LARGE = "SQL_TOO_LARGE"
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    OVERLOADED = "OVERLOADED"
    DISK_FULL = "DISK_FULL"
    DRAINING = "DRAINING"
    STORAGE_FAILED = "STORAGE_FAILED"
    STORAGE_CORRUPT = "STORAGE_CORRUPT"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Refusal(Exception):
    """A call that was not done, with what its caller needs to act on.

    `field` names the wrong field of the request; `retry_after_ms` says when a retry makes sense, 0 for unknown.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] = _NO_METADATA,
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata = metadata
        self.retry_after_ms = retry_after_ms

    def within(self, path: str, message: str = "") -> Refusal:
        """The same of a part of a request: its field is in `path`. Another message replaces this one."""
        return Refusal(
            self.reason,
            message or self.message,
            field=f"{path}.{self.field}" if self.field else path,
            metadata=self.metadata,
            retry_after_ms=self.retry_after_ms,
        )

    def at(self, field: str) -> Refusal:
        """The same about another field."""
        return Refusal(
            self.reason, self.message, field=field, metadata=self.metadata, retry_after_ms=self.retry_after_ms
        )


def shortened(name: str) -> str:
    """A name as it may stand in a message: gRPC sends messages as metadata, which must stay small."""
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."


def deadline_passed() -> Refusal:
    return Refusal(
        Reason.DEADLINE_PASSED,
        "The time was up before the operation began; it was not done. Allow more time, or send less at a time.",
    )


class StorageFailed(Refusal):
    """A write or a flush failed. What was in flight may or may not survive, and nothing more is written."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.STORAGE_FAILED, message)


class StorageCorrupt(Refusal):
    """A stored record is damaged."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.STORAGE_CORRUPT, message)


class StartupError(Exception):
    """The server cannot start. The message is one sentence, or a few, that say what to do."""
