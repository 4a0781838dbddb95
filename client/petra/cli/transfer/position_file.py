"""The file beside an import that says how far it has come, so that an interrupted one can go on.

What it says is durable in the server before it is written. It is replaced as a whole, and never torn.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from petra.cli.transfer.import_file import Position

_FORMAT: Final = 1


class NoPosition(Exception):
    """The position file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an import has come. `broken_bytes` is the size of the file of broken lines then."""

    data_id: str
    position: Position
    imported: int = 0
    expired: int = 0
    broken: int = 0
    broken_bytes: int = 0


def save(path: Path, reached: Reached) -> None:
    """Puts it in the place of the file's content."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(json.dumps({"petra_import": _FORMAT, **asdict(reached)}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path) -> Reached | None:
    """What the file says; None when there is none. Raises NoPosition."""
    try:
        said = json.loads(path.read_bytes())
        if said.pop("petra_import") != _FORMAT:
            raise NoPosition(f"{path} is of another format.")
        return Reached(position=Position(**said.pop("position")), **said)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise NoPosition(f"{path} is no position of an import. Remove it to begin anew.") from None
