"""The fields of `Settings` as data: what the loader, the command line and the documentation iterate over."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_type_hints

from petra_server.settings import CHOICES, Group, Settings
from petra_server.sizes import format_size

Value = str | int | float | bool | Path | None


class Kind(Enum):
    """What the values of a setting are."""

    SIZE = "size"
    NUMBER = "number"
    DECIMAL = "decimal"
    SWITCH = "switch"
    CHOICE = "choice"
    TEXT = "text"
    PATH = "path"
    OPTIONAL_PATH = "optional path"


@dataclass(frozen=True, slots=True)
class Description:
    """One field of Settings, with its names in the three places where it can be given."""

    name: str
    kind: Kind
    default: Value
    choices: tuple[str, ...]
    group: Group
    meaning: str
    at_least: int | None
    at_most: int | None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "PETRA_" + self.name.upper()

    def show(self, value: Value) -> str:
        """A value in the form in which it can be given back in a flag or variable; empty when unset."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if self.kind is Kind.SIZE and isinstance(value, int):
            return format_size(value)
        return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(name: str, hint: object) -> Kind:
    if name in CHOICES:
        return Kind.CHOICE
    if hint is int:
        return Kind.SIZE if name.endswith("_bytes") else Kind.NUMBER
    kinds: dict[object, Kind] = {
        bool: Kind.SWITCH,
        float: Kind.DECIMAL,
        str: Kind.TEXT,
        Path: Kind.PATH,
        Path | None: Kind.OPTIONAL_PATH,
    }
    return kinds[hint]


def _describe_all() -> Iterator[Description]:
    hints = get_type_hints(Settings)
    defaults = Settings()
    for each in dataclasses.fields(Settings):
        yield Description(
            name=each.name,
            kind=_kind(each.name, hints[each.name]),
            default=getattr(defaults, each.name),
            choices=CHOICES.get(each.name, ()),
            **each.metadata,
        )


CATALOGUE: Final[Mapping[str, Description]] = MappingProxyType({each.name: each for each in _describe_all()})
