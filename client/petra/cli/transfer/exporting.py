"""An export under way: from the walk over a server to the lines of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from petra.cli.shown import moment
from petra.cli.transfer.export_file import Sink
from petra.cli.transfer.lines import End, Header, Spot, end_line, entry_lines, header_line
from petra.cli.transfer.walk import Piece, walk

if TYPE_CHECKING:
    from petra import AsyncClient

# Pieces are written together up to so many entries or bytes: a thread's turn for each would cost more than a small one.
_WRITTEN_ENTRIES: Final = 1_000
_WRITTEN_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Exported:
    """What was written: entries in the file in all, and entries and bytes by this run."""

    entries_before: int = 0
    entries: int = 0
    size: int = 0

    @property
    def entries_in_all(self) -> int:
        return self.entries_before + self.entries


async def export_entries(
    client: AsyncClient,
    header: Header,
    sink: Sink,
    *,
    after: Spot | None,
    done: Exported,
    show: Callable[[Exported], None],
) -> None:
    """Writes all lines, or those after `after` when it continues. `done` is up to date also when this fails.

    Lines are made and written in a thread, so that a slow disk or reader does not hold up the answers of the server.
    """
    if not done.entries_before and after is None:
        await asyncio.to_thread(sink.write, header_line(header))
    waiting: list[Piece] = []
    entries = size = 0

    async def write() -> None:
        nonlocal waiting, entries, size
        taken, waiting, count = waiting, [], entries
        entries = size = 0
        done.size += await asyncio.to_thread(_write, sink, taken)
        done.entries += count
        show(done)

    pieces = walk(client, header.namespace, header.object, after)
    async with aclosing(pieces):
        async for piece in pieces:
            waiting.append(piece)
            entries += len(piece.entries)
            size += sum(len(entry.value.data) for entry in piece.entries)
            if entries >= _WRITTEN_ENTRIES or size >= _WRITTEN_BYTES:
                await write()
    if waiting:
        await write()
    now = (await client.info()).now
    await asyncio.to_thread(sink.write, end_line(End(done.entries_in_all), moment(now)))


def _write(sink: Sink, pieces: list[Piece]) -> int:
    """Writes the lines of the pieces and returns how many bytes they are."""
    lines = "".join(line for piece in pieces for line in entry_lines(*piece)).encode()
    sink.write(lines)
    return len(lines)
