"""The lines that were typed into the shell, in a file of the user's that nobody else can read.

The file keeps the newest lines. Shells that end one after the other all add theirs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# As the history of a shell usually has.
_LINES: Final = 1_000


def history_file() -> Path:
    """Where it is: in the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "petra" / "sql_history"


def read_history(file: Path) -> list[str]:
    """Its lines, none when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def add_history(file: Path, lines: Sequence[str]) -> None:
    """Adds lines to it. Raises OSError."""
    if not lines:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = [*read_history(file), *lines][-_LINES:]
    other = file.with_name(f"{file.name}.{os.getpid()}")
    # So nobody ever sees half of it, or all of it with a mode that lets them.
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.writelines(f"{line}\n" for line in kept)
    other.replace(file)
