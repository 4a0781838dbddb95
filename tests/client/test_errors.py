from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest

from petra import errors
from petra.errors import (
    ClientClosed,
    DeadlineExceeded,
    DecodeError,
    DiskFull,
    EncodeError,
    FailedPrecondition,
    IntegerOverflow,
    InvalidArgument,
    NoRow,
    NotAnInteger,
    NotAThrottle,
    NotOneRow,
    Overloaded,
    PetraError,
    ResourceExhausted,
    SeveralRows,
    SqlConstraint,
    SqlError,
    SqlNotAllowed,
    Unavailable,
    VersionConflict,
)

CLASSES: list[type[PetraError]] = [getattr(errors, name) for name in errors.__all__]

# What some classes say beside what all say: values that are none of the defaults.
OWN_FIELDS: dict[type[PetraError], dict[str, object]] = {
    VersionConflict: {"version": 7, "key": "cart"},
    InvalidArgument: {"field": "ttl"},
    SqlConstraint: {"field": "statements[2].sql"},
    SqlError: {"field": "statements[2].sql"},
    SqlNotAllowed: {"field": "statements[2].sql"},
    EncodeError: {"field": "items", "path": "value.orders[3]"},
    ResourceExhausted: {"retry_after": 0.25},
    Overloaded: {"retry_after": 0.25},
    DiskFull: {"retry_after": 0.25},
}
SHARED_FIELDS: dict[str, object] = {"reason": "SOME_REASON", "metadata": {"a": "b"}, "outcome_unknown": True}

COPIES: list[Callable[[PetraError], PetraError]] = [
    lambda error: pickle.loads(pickle.dumps(error)),
    lambda error: pickle.loads(pickle.dumps(error, protocol=2)),
    copy.copy,
    copy.deepcopy,
]


def make(kind: type[PetraError]) -> PetraError:
    """An error with every field set. By a mapping, as each class has fields of its own."""
    fields = {**SHARED_FIELDS, **OWN_FIELDS.get(kind, {})}
    constructor: Callable[..., PetraError] = kind
    return constructor("Something happened. Do this.", **fields)


def test_every_class_of_the_module_is_public_and_no_other_name_is() -> None:
    defined = {
        name for name, thing in vars(errors).items() if inspect.isclass(thing) and thing.__module__ == "petra.errors"
    }

    assert errors.__all__ == sorted(defined)
    assert all(issubclass(kind, PetraError) for kind in CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_says_what_its_caller_can_do(kind: type[PetraError]) -> None:
    assert kind.__dict__["__doc__"]
    if kind is not PetraError:
        assert len(inspect.cleandoc(kind.__dict__["__doc__"])) > 60, "too short to say what happened and what to do"


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_the_way_between_processes(
    kind: type[PetraError], copied: Callable[[PetraError], PetraError]
) -> None:
    error = make(kind)

    other = copied(error)

    assert type(other) is kind
    assert other is not error
    assert other.args == ("Something happened. Do this.",)
    assert vars(other) == vars(error) == {**SHARED_FIELDS, **OWN_FIELDS.get(kind, {})}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_its_sentence(kind: type[PetraError]) -> None:
    error = make(kind)

    assert str(error) == error.message == "Something happened. Do this."


@pytest.mark.parametrize("kind", CLASSES)
def test_a_bare_error_says_nothing_that_nobody_said(kind: type[PetraError]) -> None:
    error = kind("It went wrong.")

    assert (error.reason, error.metadata, error.outcome_unknown) == ("", {}, False)


def test_own_fields_are_empty_unless_given() -> None:
    assert InvalidArgument("No.").field == ""
    assert (EncodeError("No.").field, EncodeError("No.").path) == ("value", "value")
    assert (VersionConflict("No.").version, VersionConflict("No.").key) == (0, "")
    assert Overloaded("No.").retry_after is None


def test_an_error_keeps_its_metadata_when_the_givers_changes() -> None:
    given = {"a": "b"}
    error = PetraError("No.", metadata=given)

    given["a"] = "c"

    assert error.metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (InvalidArgument, ValueError),
        (EncodeError, InvalidArgument),
        (DecodeError, ValueError),
        (NotAnInteger, FailedPrecondition),
        (IntegerOverflow, FailedPrecondition),
        (NotAThrottle, FailedPrecondition),
        (SqlError, InvalidArgument),
        (SqlNotAllowed, InvalidArgument),
        (SqlConstraint, FailedPrecondition),
        (NoRow, NotOneRow),
        (SeveralRows, NotOneRow),
        (Overloaded, ResourceExhausted),
        (DiskFull, ResourceExhausted),
        (ClientClosed, Unavailable),
        (DeadlineExceeded, TimeoutError),
    ],
)
def test_handlers_of_the_wider_class_catch_the_narrower(kind: type[PetraError], base: type[Exception]) -> None:
    with pytest.raises(base, match="Something happened"):
        raise make(kind)
