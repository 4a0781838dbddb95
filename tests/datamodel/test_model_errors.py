"""Errors of models: they are Petra's, and survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from petra.datamodel import (
    BulkFailed,
    DefinitionError,
    Duplicate,
    HookRefused,
    NotInitialized,
    UnknownField,
    UnknownModel,
    ValidationError,
)
from petra.errors import FailedPrecondition, InvalidArgument, PetraError

ERRORS: list[PetraError] = [
    BulkFailed("message", written=250, outcome_unknown=True),
    DefinitionError("message", field="fields"),
    Duplicate("message", fields=("project_id", "slug")),
    HookRefused("message"),
    NotInitialized("message"),
    UnknownField("message", field="titel"),
    UnknownModel("message", field="model"),
    ValidationError("message", errors={"title": ["is required"]}, field="title"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: PetraError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.__dict__ == error.__dict__
    assert str(copy) == "message"


def test_errors_say_what_a_caller_can_do() -> None:
    for kind in (DefinitionError, UnknownField, UnknownModel, ValidationError):
        assert issubclass(kind, InvalidArgument)
    for other in (Duplicate, HookRefused, NotInitialized):
        assert issubclass(other, FailedPrecondition)
    assert "title: is required, is short; n: is odd" in str(
        ValidationError.of("PAGE", {"title": ["is required", "is short"], "n": ["is odd"]})
    )
