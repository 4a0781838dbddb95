"""The file that an import reads: its lines in batches, each with where it ends, by a thread of its own.

The thread reads and parses ahead of the loop by a few batches. It is a daemon with a file of its own: when it waits for
a pipe that says nothing, nobody waits for it. A batch ends at a broken line, unless broken lines are skipped.
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from petra.cli.transfer.lines import BrokenLine, End, Header, Item, read_line

_CHUNK_BYTES: Final = 1 << 20
_GZIP: Final = 31
# A batch is one request for each place in it, which the server bounds by 1,024 items and 16 MiB.
_BATCH_ITEMS: Final = 1_000
_BATCH_BYTES: Final = 2 << 20
# Read ahead while others are being written.
_BATCHES_AHEAD: Final = 2
# The longest line that can be: a value of 64 MiB in base64, and its key. What is longer is no line of an export.
_LONGEST_LINE: Final = 96 << 20


class NotReadable(Exception):
    """The file cannot be read any further; the message says why."""


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a file was read: bytes (before compression) and lines, and the CRC of those bytes."""

    offset: int = 0
    lines: int = 0
    crc: int = 0

    def after(self, line: bytes) -> Position:
        return Position(self.offset + len(line), self.lines + 1, zlib.crc32(line, self.crc))


@dataclass(frozen=True, slots=True)
class Line:
    """A line with an entry. `before` is where it begins."""

    item: Item
    text: bytes
    before: Position


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that could not be imported, and why."""

    number: int
    text: bytes
    why: str
    before: Position


@dataclass(slots=True)
class Batch:
    """Lines that follow upon each other. `end` is where they end, and `read` how much of the raw file that took."""

    lines: list[Line] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    size: int = 0
    end: Position = field(default_factory=Position)
    read: int = 0


class RawFile(Protocol):
    """A file that is not buffered: a lock on its buffer would be held by the thread when the interpreter ends."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, none at the end."""


class LineReader:
    """Reads lines from a file that may be compressed."""

    def __init__(self, file: RawFile, *, gzip: bool) -> None:
        self.raw_bytes = 0
        self._file = file
        self._gzip = gzip
        self._lines = self._split()

    def __iter__(self) -> Iterator[bytes]:
        """The lines that are not read yet, each with its end. The last one may have none. Raises NotReadable."""
        return self._lines

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._file.read(_CHUNK_BYTES):
            self.raw_bytes += len(chunk)
            yield chunk

    def _split(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        held = 0
        for chunk in self._gunzipped() if self._gzip else self._chunks():
            *lines, last = chunk.split(b"\n")
            for line in lines:
                yield b"".join([*rest, line, b"\n"]) if rest else line + b"\n"
                rest, held = [], 0
            if last:
                rest.append(last)
                held += len(last)
                if held > _LONGEST_LINE:
                    raise NotReadable(f"a line of it is longer than {_LONGEST_LINE >> 20} MiB")
        if rest:
            yield b"".join(rest)

    def _gunzipped(self) -> Iterator[bytes]:
        decompressor = zlib.decompressobj(wbits=_GZIP)
        begun = False
        for chunk in self._chunks():
            left = chunk
            while left:
                if decompressor.eof:
                    decompressor = zlib.decompressobj(wbits=_GZIP)
                begun = True
                try:
                    # By pieces: a small file may hold very much.
                    text = decompressor.decompress(left, _CHUNK_BYTES)
                except zlib.error as error:
                    raise NotReadable(f"it is no gzip file, or damaged: {error}") from None
                left = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
                if text:
                    yield text
        if begun and not decompressor.eof:
            raise NotReadable("its end is missing, so the last lines are lost; `petra export --resume` completes it")


def skip_to(reader: LineReader, position: Position) -> None:
    """Passes over what was imported before. Raises NotReadable when the file is another one there."""
    reached = Position()
    for line in reader if position.offset else ():
        reached = reached.after(line)
        if reached.offset >= position.offset:
            break
    if reached != position:
        raise NotReadable("it has changed in the part that was imported already; import it from the beginning")


def batches(reader: LineReader, start: Position, *, skip_broken: bool) -> Iterator[Batch]:
    """The batches from `start` on, where the reader stands. After a broken line there is none, unless they are skipped.

    The header is left out; a first line that is none is broken.
    """
    position = start
    batch = Batch(end=start)
    for text in reader:
        number = position.lines + 1
        try:
            _take(batch, text, position)
        except BrokenLine as error:
            batch.broken.append(Broken(number, text, str(error), position))
        position = position.after(text)
        batch.size += len(text)
        batch.end, batch.read = position, reader.raw_bytes
        stop = bool(batch.broken) and (number == 1 or not skip_broken)
        if stop or len(batch.lines) + len(batch.broken) >= _BATCH_ITEMS or batch.size >= _BATCH_BYTES:
            yield batch
            if stop:
                return
            batch = Batch(end=position, read=reader.raw_bytes)
    yield batch


def _take(batch: Batch, text: bytes, position: Position) -> None:
    """Puts a line into a batch. Raises BrokenLine."""
    if not text.strip():
        return
    said = read_line(text)
    if isinstance(said, Header) != (position.lines == 0):
        raise BrokenLine("it is a header, and not the first line" if position.lines else "it is no header of an export")
    if isinstance(said, Item):
        batch.lines.append(Line(said, text, position))
    elif isinstance(said, End):
        batch.ends.append(said)


async def read_ahead(make: Callable[[], Iterator[Batch]]) -> AsyncIterator[Batch]:
    """The batches, made in a thread. Raises what their making raises."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Batch | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(_BATCHES_AHEAD)
    ended = threading.Event()

    def hand_over(each: Batch | Exception | None) -> None:
        if not ended.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, each)

    def read() -> None:
        try:
            for batch in make():
                room.acquire()
                if ended.is_set():
                    return
                hand_over(batch)
        except Exception as error:  # noqa: BLE001 - raised where the batches are awaited
            hand_over(error)
        else:
            hand_over(None)

    threading.Thread(target=read, name="petra-import-reader", daemon=True).start()
    try:
        while (each := await queue.get()) is not None:
            if isinstance(each, Exception):
                raise each
            room.release()
            yield each
    finally:
        ended.set()
        room.release()
