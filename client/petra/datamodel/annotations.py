"""What the fields of a pydantic model are, in the terms of a definition. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, cast

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from petra.datamodel.definition import NO_DEFAULT, FieldDefinition
from petra.datamodel.encoding import FieldType
from petra.datamodel.errors import DefinitionError
from petra.values import Value

# A schema of JSON Schema.
_Schema = Mapping[str, object]

# Writes anything as what it is.
_ANY: Final = TypeAdapter[object](object)
_TYPES: Final[Mapping[object, FieldType]] = {
    "string": "string",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "array",
}


def read_fields(
    model: type[BaseModel], *, leave_out: Iterable[str], primary: str | None
) -> tuple[FieldDefinition, ...]:
    """The fields of a model that are stored: all but those to leave out and those that it excludes from its dumps.

    What a field is follows from how it is written as JSON: dates, decimals, UUIDs and enums of text are strings, other
    models are json. Raises DefinitionError for a type that JSON does not have.
    """
    out = set(leave_out)
    kept = {name: info for name, info in model.model_fields.items() if name not in out and not info.exclude}
    schemas = _schemas(model, kept)
    return tuple(
        FieldDefinition(
            name,
            _type_of(schemas[name], schemas),
            primary=name == primary,
            required=info.is_required() and not _is_nullable(schemas[name], schemas),
            default=_default(info),
        )
        for name, info in kept.items()
    )


class _Quiet(GenerateJsonSchema):
    """The schemas are looked at here alone: that a default is not in them is nobody's concern."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - so pydantic declares it


def _schemas(model: type[BaseModel], fields: Iterable[str]) -> Mapping[str, _Schema]:
    """The schemas of fields by name, and those that they refer to by reference."""
    try:
        whole = model.model_json_schema(mode="serialization", by_alias=False, schema_generator=_Quiet)
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError) as error:
        raise DefinitionError(
            f"A field of {model.__name__} cannot be stored as JSON: {error}", field="fields"
        ) from None
    definitions = cast("Mapping[str, _Schema]", whole.get("$defs", {}))
    references = {f"#/$defs/{name}": schema for name, schema in definitions.items()}
    # A model that refers to itself stands among its own references.
    whole = dict(references[str(whole["$ref"])]) if "$ref" in whole else whole
    properties = cast("Mapping[str, _Schema]", whole.get("properties", {}))
    return {**references, **{name: properties[name] for name in fields}}


def _alternatives(schema: _Schema, references: Mapping[str, _Schema]) -> list[_Schema]:
    if "$ref" in schema:
        return _alternatives(references[str(schema["$ref"])], references)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            parts = cast("list[_Schema]", schema[word])
            return [found for part in parts for found in _alternatives(part, references)]
    return [schema]


def _is_nullable(schema: _Schema, references: Mapping[str, _Schema]) -> bool:
    return any(part.get("type") == "null" or not part for part in _alternatives(schema, references))


def _type_of(schema: _Schema, references: Mapping[str, _Schema]) -> FieldType:
    found = {_plain_type(part) for part in _alternatives(schema, references) if part.get("type") != "null"}
    if found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "json"


def _plain_type(schema: _Schema) -> FieldType:
    if schema.get("type") == "string" and schema.get("format") == "date-time":
        return "timestamp"
    return _TYPES.get(schema.get("type"), "json")


def _default(info: FieldInfo) -> object:
    if info.is_required():
        return NO_DEFAULT
    if info.default_factory is None:
        return plain_value(info.default)

    def make() -> Value:
        return plain_value(info.get_default(call_default_factory=True, validated_data={}))

    return make


def plain_value(value: object) -> Value:
    """A value as a field of a definition has it: datetimes, and what JSON has. What cannot be that stays as it is."""
    if isinstance(value, datetime):
        return value
    try:
        return _ANY.dump_python(value, mode="json", warnings=False)
    except ValueError:
        return value
