"""Ways to damage a file, and where it hurts. Each damages one place."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Of the record log format that logs and MANIFEST share: blocks of records, each with checksum, length and type.
_BLOCK_BYTES: Final = 32 << 10
_HEAD: Final = struct.Struct("<IHB")
HEAD_BYTES: Final = _HEAD.size
LENGTH_OFFSET: Final = 4
TYPE_OFFSET: Final = 6
_FULL, _FIRST = 1, 2


@dataclass(frozen=True, slots=True)
class Case:
    file: str
    what: str
    damage: Callable[[Path], None]


def flip(file: str, offset: int, bit: int) -> Case:
    def damage(path: Path) -> None:
        with path.open("r+b") as out:
            out.seek(offset)
            byte = out.read(1)[0]
            out.seek(offset)
            out.write(bytes([byte ^ 1 << bit]))

    return Case(file, f"bit {bit} at {offset} flipped", damage)


def cut(file: str, size: int) -> Case:
    def damage(path: Path) -> None:
        with path.open("r+b") as out:
            out.truncate(size)

    return Case(file, f"cut at {size}", damage)


def gone(file: str) -> Case:
    return Case(file, "gone", lambda path: path.unlink())


def record_offsets(path: Path) -> list[int]:
    """Where the records of a log or MANIFEST begin."""
    data = path.read_bytes()
    offset, out = 0, []
    while offset + _HEAD.size <= len(data):
        left = _BLOCK_BYTES - offset % _BLOCK_BYTES
        if left < _HEAD.size:
            offset += left
            continue
        _, length, kind = _HEAD.unpack_from(data, offset)
        if kind in (_FULL, _FIRST):
            out.append(offset)
        offset += _HEAD.size + length
    return out
