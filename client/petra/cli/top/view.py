"""How a frame of `petra top` looks, on rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from petra.cli.shown import duration_text, size_text
from petra.cli.top.figures import Figures

# Rows beside those of the actors: the panels with their borders, the head of the table, the last line.
OTHER_ROWS: Final = 13

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def frame(address: str, shown: Figures, *, history: Sequence[float], rows: int, note: str = "") -> Group:
    """A frame with so many actors. `history` is operations a second up to now; `note` is what went wrong."""
    return Group(_head(address, shown, note), _totals(shown, history), _actors(shown, rows))


def unreachable(address: str, note: str) -> Group:
    """A frame in place of one, before the first answer."""
    return Group(Panel(Text(note, style="red"), title=f"petra top  {address}", title_align="left"))


def _head(address: str, shown: Figures, note: str) -> Panel:
    line = Text()
    line.append(f"Petra {shown.version}", style="bold")
    line.append(f"   up {duration_text(shown.uptime_seconds)}")
    line.append(f"   disk free {size_text(shown.disk_free_bytes)}")
    line.append(f" (reserve {size_text(shown.disk_reserve_bytes)})", style="dim")
    if not shown.writable:
        line.append("   DISK NEARLY FULL: writes are refused", style="bold red")
    if note:
        line.append(f"\n{note}", style="bold red")
    return Panel(line, title=f"petra top  {address}", title_align="left")


def _totals(shown: Figures, history: Sequence[float]) -> Panel:
    grid = Table.grid(padding=(0, 1))
    for _ in range(3):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True, min_width=9)
    estimated = "~" if shown.keys_estimated else ""
    grid.add_row(
        "operations/s", f"{shown.operations_per_second:,.0f}",
        "cache hits", _percent(shown.cache_hits_percent),
        "ping p50", _milliseconds(shown.ping_p50_ms),
    )  # fmt: skip
    grid.add_row(
        "turns/s", f"{shown.turns_per_second:,.0f}",
        "cache size", size_text(shown.cache_bytes),
        "ping p99", _milliseconds(shown.ping_p99_ms),
    )  # fmt: skip
    grid.add_row(
        "waiting", f"{shown.queue_depth:,}",
        "cache entries", f"{shown.cache_entries:,}",
        "swept/s", f"{shown.swept_per_second:,.0f}",
    )  # fmt: skip
    grid.add_row("keys", f"{estimated}{shown.keys:,}", "", "", "", "")
    if not history:
        return Panel(grid)
    line = f"{sparkline(history)} most {max(history):,.0f}/s"
    return Panel(Group(grid, Text(line, style="green", no_wrap=True, overflow="crop")))


def _actors(shown: Figures, rows: int) -> Table:
    table = Table(expand=True, box=None, header_style="bold reverse", padding=(0, 1))
    for name in ("actor", "operations/s", "turns/s", "waiting", "keys", "cache hits", "cache size"):
        table.add_column(name, justify="right", no_wrap=True)
    for actor in shown.actors[:rows]:
        table.add_row(
            str(actor.index),
            f"{actor.operations_per_second:,.0f}",
            f"{actor.turns_per_second:,.0f}",
            f"{actor.queue_depth:,}",
            f"{actor.keys:,}",
            _percent(actor.cache_hits_percent),
            size_text(actor.cache_bytes),
            style="" if actor.operations_per_second or actor.queue_depth else "dim",
        )
    return table


def sparkline(values: Sequence[float]) -> str:
    """The values as blocks, the largest as a whole one."""
    most = max(values, default=0.0) or 1.0
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int(value / most * len(_BLOCKS)))] for value in values)


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part:.1f} %"


def _milliseconds(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.2f} ms"
