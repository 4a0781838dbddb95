"""Whether a record's data is what its model allows: all that is wrong with it is found at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from petra.datamodel.definition import FieldDefinition, ModelDefinition
from petra.datamodel.encoding import Unfit, normalized
from petra.datamodel.errors import ValidationError
from petra.datamodel.validation import NO_RULES
from petra.values import Value

# What is wrong with the record as a whole stands here.
WHOLE = "__model__"


def checked(definition: ModelDefinition, data: Mapping[str, object]) -> dict[str, Value]:
    """The data as its fields hold it, sharing nothing with what was given. Raises ValidationError."""
    fit, errors = examined(definition, data)
    if definition.check is not None and not errors:
        for name, found in definition.check(fit).items():
            _add(errors, name, list(found))
    if errors:
        raise ValidationError.of(definition.name, errors)
    return fit


def examined(definition: ModelDefinition, data: Mapping[str, object]) -> tuple[dict[str, Value], dict[str, list[str]]]:
    """The data as its fields hold it, and all that is wrong with a field of it, by field."""
    errors: dict[str, list[str]] = {}
    fit: dict[str, Value] = {}
    for one in definition.stored_fields:
        try:
            fit[one.name] = value = normalized(one.type, data.get(one.name))
        except Unfit as unfit:
            _add(errors, one.name, [str(unfit)])
        else:
            _add(errors, one.name, _field_errors(one, value))
    # What is absent or of another kind is said already.
    return fit, key_errors(definition, fit) | errors


def key_errors(definition: ModelDefinition, data: Mapping[str, object]) -> dict[str, list[str]]:
    """What is wrong with those fields of the data that are part of the key."""
    return {name: [error] for name, error in definition.pattern.errors(data).items()}


def _field_errors(one: FieldDefinition, value: Value) -> list[str]:
    if value is None or (one.primary and value == ""):
        return ["is required"] if one.required or one.primary else []
    # Most fields have no rule, and each save asks for each field.
    return [] if one.validation is NO_RULES else one.validation.errors(value)


def _add(errors: dict[str, list[str]], name: str, found: list[str]) -> None:
    if found:
        errors.setdefault(name, []).extend(found)
