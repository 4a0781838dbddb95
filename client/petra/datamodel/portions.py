"""How many records are written at a time. Pure.

A portion is one transaction, and others of the same object wait for it: some hundreds of records take a few
milliseconds. Its records, their conditions and their statements are also fewer than a request may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.encoding import json_text
from petra.datamodel.writes import Save
from petra.errors import InvalidArgument

T = TypeVar("T")

PORTION_RECORDS: Final = 250
# A quarter of what a message holds: rows and objects are both in it.
PORTION_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Patch:
    """Fields to set in a stored record."""

    index: int
    id: str
    fields: Mapping[str, object]


def read_patches(definition: ModelDefinition, rows: Iterable[Mapping[str, object]]) -> list[Patch]:
    """Patches, each given as the fields to set with the record's id among them. Raises InvalidArgument."""
    primary = definition.primary.name
    patches: list[Patch] = []
    seen: set[object] = set()
    for index, row in enumerate(rows):
        record_id = row.get(primary)
        if not isinstance(record_id, str):
            raise InvalidArgument(f"Record {index} has no {primary}, which says what to update.", field=f"[{index}]")
        if record_id in seen:
            raise InvalidArgument(f"{primary} {record_id!r} is there twice.", field=f"[{index}].{primary}")
        seen.add(record_id)
        patches.append(Patch(index, record_id, {name: value for name, value in row.items() if name != primary}))
    return patches


def portions(items: Sequence[T], save_of: Callable[[T], Save]) -> Iterator[Sequence[T]]:
    """The items in their order, cut so that each portion is within the bounds. A larger record is one by itself."""
    portion: list[T] = []
    size = 0
    for item in items:
        # Characters and not bytes: it need not be exact.
        added = len(json_text(save_of(item).value))
        if portion and (len(portion) == PORTION_RECORDS or size + added > PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += added
    if portion:
        yield portion


def cut(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """The items in their order, so many at a time."""
    for begin in range(0, len(items), length):
        yield items[begin : begin + length]
