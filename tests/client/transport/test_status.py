from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from petra._transport.status import from_operation_error, from_status
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
    Unavailable,
    Unimplemented,
    VersionConflict,
)
from petra.v1 import errors_pb2
from petra.v1 import storage_pb2 as pb
from petra_server.actor.handlers import VersionConflict as RefusedConflict
from petra_server.errors import Reason, Refusal, deadline_passed
from petra_server.rpc.answers import Answers
from petra_server.rpc.status import STATUS_OF_REASON, rich_status
from petra_server.storage.keys import entry_prefix
from petra_server.storage.records import ENCODING_JSON, Record

# What is intended, class by class. What stands nowhere here is a mistake of the call: InvalidArgument.
INTENDED: dict[type[PetraError], list[str]] = {
    VersionConflict: ["VERSION_CONFLICT"],
    NotAnInteger: ["NOT_AN_INTEGER"],
    IntegerOverflow: ["INTEGER_OVERFLOW"],
    NotAThrottle: ["NOT_A_THROTTLE"],
    Overloaded: ["OVERLOADED"],
    DiskFull: ["DISK_FULL"],
    Unavailable: ["DRAINING", "STORAGE_FAILED"],
    DataLoss: ["STORAGE_CORRUPT"],
    DeadlineExceeded: ["DEADLINE_PASSED"],
    InternalError: ["INTERNAL_ERROR"],
    FailedPrecondition: ["SQL_CONSTRAINT"],
}
INTENDED_OF_REASON = {reason: kind for kind, reasons in INTENDED.items() for reason in reasons}
REASONS = sorted(set(errors_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"})

# A newer server's reasons, and a proxy that gives none.
BY_CODE: list[tuple[grpc.StatusCode, type[PetraError]]] = [
    (grpc.StatusCode.CANCELLED, Unavailable),
    (grpc.StatusCode.UNKNOWN, InternalError),
    (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgument),
    (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    (grpc.StatusCode.NOT_FOUND, InternalError),
    (grpc.StatusCode.ALREADY_EXISTS, InternalError),
    (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
    (grpc.StatusCode.UNAUTHENTICATED, PermissionDenied),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhausted),
    (grpc.StatusCode.FAILED_PRECONDITION, FailedPrecondition),
    (grpc.StatusCode.ABORTED, InternalError),
    (grpc.StatusCode.OUT_OF_RANGE, InvalidArgument),
    (grpc.StatusCode.UNIMPLEMENTED, Unimplemented),
    (grpc.StatusCode.INTERNAL, InternalError),
    (grpc.StatusCode.UNAVAILABLE, Unavailable),
    (grpc.StatusCode.DATA_LOSS, DataLoss),
]
# With these the operation may have been done, when nobody gave a reason that is known.
DOUBTFUL_CODES = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
}

UNKNOWN_OUTCOME = "It is not known whether it was applied."


def intended(reason: str) -> type[PetraError]:
    return INTENDED_OF_REASON.get(reason, InvalidArgument)


def number(code: grpc.StatusCode) -> int:
    value: int = code.value[0]
    return value


def unary(refusal: Refusal) -> PetraError:
    """The refusal, as the end of an RPC brings it."""
    status = rich_status(refusal)
    return from_status(status.code, status.message, status.SerializeToString())


def piped(refusal: Refusal, *, key: str = "", mutation: bool = False) -> PetraError:
    """The refusal, as an answer in a pipeline brings it."""
    answers = Answers()
    answers.add(1, refusal, 0)
    [error] = pb.PipelineResponse.FromString(answers.write()).errors
    return from_operation_error(error, key=key, mutation=mutation)


def details(*parts: Message) -> bytes:
    status = status_pb2.Status()
    for part in parts:
        packed = AnyMessage()
        packed.Pack(part)
        status.details.append(packed)
    return status.SerializeToString()


def info(reason: str, domain: str = "petra.dev", **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def test_the_intentions_are_about_reasons_that_exist() -> None:
    assert set(INTENDED_OF_REASON) <= set(REASONS)
    assert all(
        STATUS_OF_REASON[Reason(name)] is grpc.StatusCode.INVALID_ARGUMENT
        for name in REASONS
        if name not in INTENDED_OF_REASON
    )


def test_every_code_that_is_an_error_is_looked_at() -> None:
    assert {code for code, _ in BY_CODE} == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_the_protocol_has_its_class(reason: str) -> None:
    # Whatever the code says.
    code = number(grpc.StatusCode.UNKNOWN)
    metadata = {"version": "7"}

    in_pipeline = from_operation_error(pb.OperationError(code=code, reason=reason, message="No.", metadata=metadata))
    at_end = from_status(code, "No.", details(info(reason, **metadata)))

    assert type(in_pipeline) is type(at_end) is intended(reason)
    assert type(at_end).__doc__


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("bring", [unary, piped])
def test_what_the_server_refuses_arrives_as_it_was_meant(
    reason: Reason, bring: Callable[[Refusal], PetraError]
) -> None:
    metadata = {"version": "18446744073709551615", "key": "cart", "error_id": "0f"}
    refusal = Refusal(reason, "It is so. Do it otherwise.", field="items[3].key", metadata=metadata, retry_after_ms=250)

    error = bring(refusal)

    assert type(error) is intended(reason.value)
    assert (str(error), error.reason, error.metadata) == ("It is so. Do it otherwise.", reason.value, metadata)
    assert not error.outcome_unknown
    if isinstance(error, InvalidArgument):
        assert error.field == "items[3].key"
    if isinstance(error, ResourceExhausted):
        assert error.retry_after == 0.25
    if isinstance(error, VersionConflict):
        assert (error.version, error.key) == (18_446_744_073_709_551_615, "cart")


@pytest.mark.parametrize("bring", [unary, piped])
def test_what_the_server_does_not_say_is_not_made_up(bring: Callable[[Refusal], PetraError]) -> None:
    overloaded = bring(Refusal(Reason.OVERLOADED, "Later."))
    invalid = bring(Refusal(Reason.INVALID_PIPELINE, "The columns differ."))

    assert isinstance(overloaded, Overloaded)
    assert overloaded.retry_after is None
    assert isinstance(invalid, InvalidArgument)
    assert (invalid.field, invalid.metadata) == ("", {})


@pytest.mark.parametrize("bring", [unary, piped])
@pytest.mark.parametrize("present", [None, Record(41, 0, ENCODING_JSON, b"1")])
def test_a_conflict_names_the_version_that_is_there(
    bring: Callable[[Refusal], PetraError], present: Record | None
) -> None:
    error = bring(RefusedConflict(entry_prefix(b"default", b"") + b"cart", present, 40))

    assert isinstance(error, VersionConflict)
    assert (error.version, error.key) == (41 if present else 0, "cart")


def test_a_conflict_of_one_operation_names_its_whole_key() -> None:
    key = "k" * 100
    refusal = RefusedConflict(entry_prefix(b"default", b"") + key.encode(), None, 40)

    with_key, without = piped(refusal, key=key), piped(refusal)

    assert isinstance(with_key, VersionConflict)
    assert isinstance(without, VersionConflict)
    assert with_key.key == key
    assert without.key == "k" * 60 + "..."


@pytest.mark.parametrize("version", ["", "-1", "seven", "\u0667", "9" * 21])
def test_a_conflict_without_a_version_is_none_to_decide_by(version: str) -> None:
    error = from_status(number(grpc.StatusCode.ABORTED), "Changed.", details(info("VERSION_CONFLICT", version=version)))

    assert type(error) is InternalError
    assert error.reason == "VERSION_CONFLICT"
    assert "Changed." in str(error)


@pytest.mark.parametrize(("code", "kind"), BY_CODE)
@pytest.mark.parametrize("reason", ["", "ERROR_REASON_UNSPECIFIED", "LEASE_LOST"])
def test_the_code_decides_where_no_known_reason_does(
    code: grpc.StatusCode, kind: type[PetraError], reason: str
) -> None:
    in_pipeline = from_operation_error(pb.OperationError(code=number(code), reason=reason, message="No."))
    at_end = from_status(number(code), "No.", details(info(reason)) if reason else b"")

    assert type(in_pipeline) is type(at_end) is kind
    assert (str(in_pipeline), in_pipeline.reason) == (str(at_end), at_end.reason) == ("No.", reason)


def test_the_reasons_of_others_are_not_ours() -> None:
    error = from_status(
        number(grpc.StatusCode.UNAVAILABLE), "No.", details(info("OVERLOADED", domain="proxy.example", version="1"))
    )

    assert type(error) is Unavailable
    assert (error.reason, error.metadata) == ("", {})


def test_a_proxy_may_say_when_to_come_again() -> None:
    error = from_status(
        number(grpc.StatusCode.RESOURCE_EXHAUSTED),
        "Too many requests.",
        details(Duration(seconds=1), error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))),
    )

    assert type(error) is ResourceExhausted
    assert error.retry_after == 2.5


@pytest.mark.parametrize("delay", [Duration(), Duration(seconds=-2)])
def test_a_pause_that_is_none_is_not_one(delay: Duration) -> None:
    error = from_status(
        number(grpc.StatusCode.RESOURCE_EXHAUSTED), "No.", details(error_details_pb2.RetryInfo(retry_delay=delay))
    )

    assert isinstance(error, ResourceExhausted)
    assert error.retry_after is None


@given(code=st.integers(0, 2**31 - 1), message=st.text(), junk=st.binary())
def test_whatever_is_said_becomes_an_error(code: int, message: str, junk: bytes) -> None:
    error = from_status(code, message, junk)

    assert isinstance(error, PetraError)
    assert str(error) == message or (not message and str(error))


def test_details_that_cannot_be_read_take_nothing_from_the_rest() -> None:
    broken = status_pb2.Status()
    broken.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")

    for junk in (b"\xff", broken.SerializeToString()):
        error = from_status(number(grpc.StatusCode.UNAVAILABLE), "Gone.", junk)
        assert type(error) is Unavailable
        assert str(error) == "Gone."


def test_silence_is_put_into_words() -> None:
    assert "PERMISSION_DENIED" in str(from_status(number(grpc.StatusCode.PERMISSION_DENIED), "", b""))
    assert "99" in str(from_operation_error(pb.OperationError(code=99)))


@pytest.mark.parametrize("reason", Reason)
def test_a_mutation_in_doubt_says_so(reason: Reason) -> None:
    refusal = Refusal(reason, "It is so.", metadata={"version": "7"})
    doubtful = reason in (Reason.STORAGE_FAILED, Reason.INTERNAL_ERROR)

    mutation, read = piped(refusal, mutation=True), piped(refusal)

    assert mutation.outcome_unknown is doubtful
    assert str(mutation) == mutation.message == (f"It is so. {UNKNOWN_OUTCOME}" if doubtful else "It is so.")
    assert (read.outcome_unknown, str(read)) == (False, "It is so.")


def test_an_operation_that_was_dropped_in_time_was_not_applied() -> None:
    error = piped(deadline_passed(), mutation=True)

    assert type(error) is DeadlineExceeded
    assert not error.outcome_unknown
    assert "it was not done" in str(error)


@pytest.mark.parametrize("code", [code for code, _ in BY_CODE])
def test_without_a_known_reason_a_mutation_is_in_doubt_unless_the_code_rules_it_out(code: grpc.StatusCode) -> None:
    error = from_operation_error(
        pb.OperationError(code=number(code), reason="LEASE_LOST", message="No."), mutation=True
    )

    assert error.outcome_unknown is (code in DOUBTFUL_CODES)
    assert (UNKNOWN_OUTCOME in str(error)) is (code in DOUBTFUL_CODES)
