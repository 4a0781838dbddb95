"""The progress bar, on rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from petra.cli.shown import size_text

_PER_SECOND: Final = 4


class _Counts(TextColumn):
    """Entries, bytes, and entries in each second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        entries, size = task.fields["entries"], task.fields["size"]
        rate = entries / task.elapsed if task.elapsed else 0.0
        return Text(f"{entries:,} entries  {size_text(size)}  {rate:,.0f}/s")


class _Bar:
    def __init__(self, shown: RichProgress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def show(self, *, done: float, entries: int, size: int) -> None:
        """See Progress."""
        self._shown.update(self._task, completed=done, entries=entries, size=size)


@contextmanager
def bar(label: str, total: float | None) -> Iterator[_Bar]:
    """A bar on standard error, which stays there when it has ended."""
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24)]
    if total is not None:
        columns.append(TaskProgressColumn())
    columns += [_Counts(), TimeElapsedColumn()]
    if total is not None:
        columns.append(TimeRemainingColumn(compact=True))
    console = Console(stderr=True, highlight=False)
    with RichProgress(*columns, console=console, refresh_per_second=_PER_SECOND) as shown:
        yield _Bar(shown, shown.add_task(label, total=total, entries=0, size=0))
