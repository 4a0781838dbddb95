"""How far an export or an import has come, on standard error while that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from petra.cli.shown import counted, duration_text, size_text


class Progress(Protocol):
    """Is told what was done."""

    def show(self, *, done: float, entries: int, size: int) -> None:
        """`done` counts as the total does; `entries` and `size`, in bytes, since the beginning."""


class _Silent:
    def show(self, *, done: float, entries: int, size: int) -> None:
        """Nobody looks."""


@contextmanager
def progress(label: str, total: float | None, *, wanted: bool) -> Iterator[Progress]:
    """A bar up to `total`, or one that only moves when that is not known."""
    if not wanted or not sys.stderr.isatty():
        yield _Silent()
        return
    # Late: rich takes as long to load as everything else.
    from petra.cli.transfer.bar import bar

    with bar(label, total) as shown:
        yield shown


class Summary:
    """What is said at the end. Counts from when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def sentence(self, entries: int, size: int) -> str:
        """Entries, size, time and rate of what was done here."""
        seconds = self.seconds
        rate = f"{entries / max(seconds, 0.001):,.0f} entries/s"
        return f"{counted(entries, 'entry', 'entries')}, {size_text(size)}, in {duration_text(seconds)} ({rate})"
