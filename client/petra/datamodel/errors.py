"""What the models raise, beside the errors of the client. Each class says what its caller can do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from petra.errors import FailedPrecondition, InvalidArgument, PetraError

__all__ = [
    "BulkFailed",
    "DefinitionError",
    "Duplicate",
    "HookRefused",
    "NotInitialized",
    "UnknownField",
    "UnknownModel",
    "ValidationError",
]

# Of a list of names, in a message.
_SHOWN_NAMES = 30


def names_shown(names: Iterable[str]) -> str:
    """Names as a message lists them."""
    names = list(names)
    shown = ", ".join(names[:_SHOWN_NAMES]) or "none"
    return shown if len(names) <= _SHOWN_NAMES else f"{shown}, ..."


class DefinitionError(InvalidArgument):
    """A model is not defined as one can be. `field` names the part of the definition. Change the program."""


class UnknownModel(InvalidArgument):
    """No model of that name is defined; the message names those that are. Import the module that defines it."""


class UnknownField(InvalidArgument):
    """The model has no such field, or none that serves here; the message names those that do."""


class ValidationError(InvalidArgument):
    """The data is not what the model allows, and nothing was written. `errors` has all that is wrong, by field.

    What is wrong with the record as a whole stands under `__model__`. Of several records, as `bulk_create` takes them,
    a field's name follows its record's index: `[3].title`.
    """

    def __init__(self, message: str, *, errors: Mapping[str, list[str]] | None = None, field: str = "") -> None:
        super().__init__(message, field=field)
        self.errors: dict[str, list[str]] = {name: list(found) for name, found in (errors or {}).items()}

    @classmethod
    def of(cls, model: str, errors: Mapping[str, list[str]]) -> ValidationError:
        """The error for what was found in a record of a model."""
        listed = "; ".join(f"{name}: {', '.join(found)}" for name, found in list(errors.items())[:_SHOWN_NAMES])
        return cls(f"{model} was not saved. {listed}.", errors=errors, field=next(iter(errors), ""))


class HookRefused(FailedPrecondition):
    """A hook of the model refused the operation, and nothing was written. The message is the reason it gave."""


class Duplicate(FailedPrecondition):
    """Another record has the same value where one alone may have it, and nothing was written.

    `fields` are those that must be unique together.
    """

    def __init__(self, message: str, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


class NotInitialized(FailedPrecondition):
    """The tables of the model are not there, or not as it is defined now. Run `initialize` with the model."""


class BulkFailed(PetraError):
    """Some of many records were written, and then one portion of them failed: its error is the cause.

    `written` is how many were written, counted from the first one; each portion is written as a whole or not at all.
    """

    def __init__(self, message: str, *, written: int = 0, outcome_unknown: bool = False) -> None:
        super().__init__(message, outcome_unknown=outcome_unknown)
        self.written = written
