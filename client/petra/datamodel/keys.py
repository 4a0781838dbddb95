"""The keys of records: a pattern such as `page:{project_id}:{id}`, filled with their fields. Pure.

Parts are separated by ":" and hold one field at most, and no field's value may contain ":". So two records whose fields
differ never have the same key, and none can reach into the keys of another model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from petra.datamodel.errors import DefinitionError

SEPARATOR: Final = ":"

_PART = re.compile(r"([^{}:]*)(?:\{([A-Za-z_][A-Za-z0-9_]*)\}([^{}:]*))?")


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """A pattern, read. `fields` are the fields in it, in their order."""

    text: str
    # Of each part: what stands before the field, the field or an empty name, and what follows it.
    parts: tuple[tuple[str, str, str], ...]
    fields: tuple[str, ...]

    def key(self, data: Mapping[str, object]) -> str:
        """The key of a record, whose fields in the pattern passed `part_error`. Raises KeyError for a missing one."""
        return SEPARATOR.join(
            f"{before}{part_text(data[name])}{after}" if name else before for before, name, after in self.parts
        )

    def errors(self, data: Mapping[str, object]) -> dict[str, str]:
        """What is wrong with the given fields that are part of the key."""
        found = {name: part_error(data[name]) for name in self.fields if name in data}
        return {name: error for name, error in found.items() if error}


def parse_pattern(text: str) -> KeyPattern:
    """Reads a pattern. Raises DefinitionError."""
    parts: list[tuple[str, str, str]] = []
    for part in text.split(SEPARATOR):
        match = _PART.fullmatch(part)
        if match is None or not part:
            raise DefinitionError(
                f"The key pattern {text!r} is none: its parts are separated by ':', none of them is empty, and each"
                " holds one field at most, as in 'page:{project_id}:{id}'.",
                field="key_pattern",
            )
        parts.append((match[1], match[2] or "", match[3] or ""))
    fields = tuple(dict.fromkeys(name for _, name, _ in parts if name))
    if not fields:
        raise DefinitionError(f"The key pattern {text!r} has no field: all records had one key.", field="key_pattern")
    return KeyPattern(text, tuple(parts), fields)


def part_text(value: object) -> str:
    """A field's value as it stands in a key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def part_error(value: object) -> str | None:
    """Why a value cannot be part of a key, or None."""
    if not isinstance(value, str | int):
        return "is part of the key, so it must be a text or a whole number"
    if value == "":
        return "is part of the key, so it must not be empty"
    if isinstance(value, str) and SEPARATOR in value:
        return "is part of the key, so it must not contain ':'"
    return None
