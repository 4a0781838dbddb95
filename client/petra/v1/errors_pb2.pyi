from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    MALFORMED_MESSAGE: _ClassVar[ErrorReason]
    INVALID_NAMESPACE: _ClassVar[ErrorReason]
    INVALID_OBJECT: _ClassVar[ErrorReason]
    INVALID_KEY: _ClassVar[ErrorReason]
    INVALID_TTL: _ClassVar[ErrorReason]
    INVALID_RANGE: _ClassVar[ErrorReason]
    INVALID_LIMIT: _ClassVar[ErrorReason]
    INVALID_PAGE_TOKEN: _ClassVar[ErrorReason]
    INVALID_ENCODING: _ClassVar[ErrorReason]
    INVALID_DURABILITY: _ClassVar[ErrorReason]
    INVALID_REQUEST_ID: _ClassVar[ErrorReason]
    REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    INVALID_THROTTLE: _ClassVar[ErrorReason]
    INVALID_CONDITION: _ClassVar[ErrorReason]
    INVALID_OPERATION: _ClassVar[ErrorReason]
    DUPLICATE_KEY: _ClassVar[ErrorReason]
    INVALID_PIPELINE: _ClassVar[ErrorReason]
    VALUE_TOO_LARGE: _ClassVar[ErrorReason]
    BATCH_TOO_LARGE: _ClassVar[ErrorReason]
    RESPONSE_TOO_LARGE: _ClassVar[ErrorReason]
    VERSION_CONFLICT: _ClassVar[ErrorReason]
    NOT_AN_INTEGER: _ClassVar[ErrorReason]
    INTEGER_OVERFLOW: _ClassVar[ErrorReason]
    NOT_A_THROTTLE: _ClassVar[ErrorReason]
    OVERLOADED: _ClassVar[ErrorReason]
    DISK_FULL: _ClassVar[ErrorReason]
    DRAINING: _ClassVar[ErrorReason]
    STORAGE_FAILED: _ClassVar[ErrorReason]
    STORAGE_CORRUPT: _ClassVar[ErrorReason]
    DEADLINE_PASSED: _ClassVar[ErrorReason]
    INTERNAL_ERROR: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
MALFORMED_MESSAGE: ErrorReason
INVALID_NAMESPACE: ErrorReason
INVALID_OBJECT: ErrorReason
INVALID_KEY: ErrorReason
INVALID_TTL: ErrorReason
INVALID_RANGE: ErrorReason
INVALID_LIMIT: ErrorReason
INVALID_PAGE_TOKEN: ErrorReason
INVALID_ENCODING: ErrorReason
INVALID_DURABILITY: ErrorReason
INVALID_REQUEST_ID: ErrorReason
REQUEST_ID_REUSED: ErrorReason
INVALID_THROTTLE: ErrorReason
INVALID_CONDITION: ErrorReason
INVALID_OPERATION: ErrorReason
DUPLICATE_KEY: ErrorReason
INVALID_PIPELINE: ErrorReason
VALUE_TOO_LARGE: ErrorReason
BATCH_TOO_LARGE: ErrorReason
RESPONSE_TOO_LARGE: ErrorReason
VERSION_CONFLICT: ErrorReason
NOT_AN_INTEGER: ErrorReason
INTEGER_OVERFLOW: ErrorReason
NOT_A_THROTTLE: ErrorReason
OVERLOADED: ErrorReason
DISK_FULL: ErrorReason
DRAINING: ErrorReason
STORAGE_FAILED: ErrorReason
STORAGE_CORRUPT: ErrorReason
DEADLINE_PASSED: ErrorReason
INTERNAL_ERROR: ErrorReason
