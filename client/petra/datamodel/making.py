"""What the migrations table keeps about a model's table: the types of its fields, and the pattern of its keys. Pure.

A column does not tell all that a field means: a bool and an int have the same column, and so have text and timestamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from petra.datamodel.definition import KEY_COLUMN, ModelDefinition
from petra.datamodel.encoding import SQL_TYPES, FieldType

# Types whose values are the same in the object and in the column.
_ALIKE: Final = ({"string", "text"},)


@dataclass(frozen=True, slots=True)
class Made:
    """The types of the columns as the table was made, by their names, and the pattern of its keys; empty if unknown."""

    types: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


def made_of(definition: ModelDefinition) -> str:
    """What is recorded when the table of a model is made."""
    first, *rest = definition.columns
    types = {first.name: first.type, KEY_COLUMN: "text"} | {one.name: one.type for one in rest}
    return json.dumps({"types": types, "key": definition.pattern.text})


def read_made(detail: str) -> Made:
    """What was recorded. Tables of older programs have the names of their columns alone."""
    stored = json.loads(detail)
    return Made(dict.fromkeys(stored, "")) if isinstance(stored, list) else Made(stored["types"], stored["key"])


def is_another_meaning(was: str, wanted: FieldType) -> bool:
    """Whether a field has another type than it had, in a column that does not show it."""
    if was not in SQL_TYPES or was == wanted or any({was, wanted} <= alike for alike in _ALIKE):
        return False
    return SQL_TYPES[cast("FieldType", was)] == SQL_TYPES[wanted]
