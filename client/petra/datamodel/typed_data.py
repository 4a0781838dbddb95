"""The data of pydantic models, read from what is stored, and what pydantic finds wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from petra.datamodel.checks import WHOLE
from petra.values import Value

B = TypeVar("B", bound=BaseModel)

# What a field holds when it is annotated with anything.
_Adapted = Any


def instance(model: type[B], data: Mapping[str, Value]) -> B:
    """An instance with stored data, even where that is not what the model allows now: a save will tell."""
    try:
        return model.model_validate(dict(data), strict=False, by_name=True)
    except pydantic.ValidationError:
        return model.model_construct(None, **adapted(model, data))


def adapted(model: type[BaseModel], data: Mapping[str, Value]) -> dict[str, Value]:
    """Stored data as the fields of a model have it, each by itself.

    Where a field has no value and must have one, it has its default; what does not fit at all stays as it is.
    """
    adapters = _adapters(model)
    return {name: _adapted(model.model_fields[name], adapters[name], value) for name, value in data.items()}


def errors_of(error: pydantic.ValidationError) -> dict[str, list[str]]:
    """What pydantic found, by field."""
    found: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        name, *path = [str(part) for part in one["loc"]] or [WHOLE]
        text = "is required" if one["type"] == "missing" else one["msg"]
        found.setdefault(name, []).append(f"{'.'.join(path)}: {text}" if path else text)
    return found


def found_wrong(model: type[BaseModel], data: Mapping[str, Value]) -> dict[str, list[str]]:
    """What pydantic finds wrong with data as it is stored, by field."""
    try:
        model.model_validate(dict(data), by_name=True)
    except pydantic.ValidationError as error:
        return errors_of(error)
    return {}


# As many models as a program has.
@lru_cache(maxsize=512)
def _adapters(model: type[BaseModel]) -> Mapping[str, TypeAdapter[_Adapted]]:
    return {name: TypeAdapter(info.annotation or object) for name, info in model.model_fields.items()}


def _adapted(info: FieldInfo, adapter: TypeAdapter[_Adapted], value: Value) -> Value:
    try:
        return adapter.validate_python(value)
    except pydantic.ValidationError:
        if value is None and not info.is_required():
            return info.get_default(call_default_factory=True, validated_data={})
        return value
