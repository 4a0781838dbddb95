"""The file that an export is written to: begun anew, or continued where an interrupted export has left it.

Whatever ends the program, the file has the lines up to some point and at most a torn one after them; `continued` cuts
that off. In a compressed file (`.gz`) lines stand in gzip members of their own, and a torn member is cut off whole.
Not for several threads at the same time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from petra.cli.transfer.lines import BrokenLine, End, Header, Item, read_line

_CHUNK_BYTES: Final = 1 << 20
# Of lines, in one gzip member: what is lost of an interrupted export. Larger ones compress hardly better.
_MEMBER_BYTES: Final = 8 << 20
# zlib's number for gzip.
_GZIP: Final = 31


class NotContinuable(Exception):
    """The file cannot be continued; the message says why."""


class Sink(Protocol):
    """Takes the lines of an export."""

    def write(self, lines: bytes) -> None:
        """Appends whole lines."""

    def close(self) -> None:
        """Finishes what was written."""


class PlainSink:
    """Lines as they are."""

    def __init__(self, file: IO[bytes], *, durable: bool) -> None:
        """`durable` has them on the disk when it is closed."""
        self._file = file
        self._durable = durable

    def write(self, lines: bytes) -> None:
        """Appends whole lines."""
        self._file.write(lines)
        # A program that is killed leaves what was written so far.
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        with self._file:
            if self._durable:
                os.fsync(self._file.fileno())


class GzipSink:
    """Lines compressed, in members that begin and end with a line."""

    def __init__(self, file: IO[bytes], *, durable: bool) -> None:
        self._plain = PlainSink(file, durable=durable)
        self._compressor: zlib._Compress | None = None
        self._member_bytes = 0

    def write(self, lines: bytes) -> None:
        """Appends whole lines."""
        if self._compressor is None:
            self._compressor = zlib.compressobj(wbits=_GZIP)
        self._plain.write(self._compressor.compress(lines))
        self._member_bytes += len(lines)
        if self._member_bytes >= _MEMBER_BYTES:
            self._end_member()

    def close(self) -> None:
        """Ends the last member, and closes the file."""
        try:
            self._end_member()
        finally:
            self._plain.close()

    def _end_member(self) -> None:
        if self._compressor is not None:
            self._plain.write(self._compressor.flush())
            self._compressor, self._member_bytes = None, 0


def is_gzip(path: Path) -> bool:
    return path.suffix == ".gz"


def sink_for(path: Path, file: IO[bytes], *, durable: bool = True) -> Sink:
    """A sink for an open file, which it closes."""
    return GzipSink(file, durable=durable) if is_gzip(path) else PlainSink(file, durable=durable)


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in an unfinished export: its header, how many entries, and the last one; and where it ends."""

    header: Header
    entries: int
    last: Item | None
    complete: bool
    size: int


def continued(path: Path) -> Written | None:
    """What is in a file, up to a torn line or gzip member; None when not even a header is. Raises NotContinuable."""
    count, size = 0, 0
    first = last = b""
    for lines, end in _whole_lines(path):
        if not lines:
            continue
        if not first:
            first = lines[: lines.index(b"\n") + 1]
        count += lines.count(b"\n")
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        size = end
    if not first:
        return None
    try:
        header, said = read_line(first), read_line(last)
    except BrokenLine as error:
        raise NotContinuable(f"its first or its last line is broken: {error}") from None
    if not isinstance(header, Header):
        raise NotContinuable("its first line is no header of an export")
    if isinstance(said, End):
        return Written(header, said.entries, None, complete=True, size=size)
    return Written(header, count - 1, said if isinstance(said, Item) else None, complete=False, size=size)


def _whole_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """The whole lines of a file, many at a time, each time with the size at which the file would end after them."""
    with path.open("rb") as file:
        yield from _whole_members(file) if is_gzip(path) else _whole_plain_lines(file)


def _whole_plain_lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    rest: list[bytes] = []
    end = 0
    while chunk := file.read(_CHUNK_BYTES):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            lines = b"".join([*rest, chunk[:cut]])
            rest = []
            end += len(lines)
            yield lines, end
        rest.append(chunk[cut:])


def _whole_members(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The lines of each gzip member that is whole."""
    decompressor = zlib.decompressobj(wbits=_GZIP)
    parts: list[bytes] = []
    read = 0
    while chunk := file.read(_CHUNK_BYTES):
        read += len(chunk)
        while chunk:
            try:
                parts.append(decompressor.decompress(chunk))
            except zlib.error:
                # What a crash of the machine left behind: the rest is no gzip.
                return
            if not decompressor.eof:
                break
            chunk = decompressor.unused_data
            lines = b"".join(parts)
            if lines and not lines.endswith(b"\n"):
                raise NotContinuable("its gzip members do not end with a line, so it was not written by petra export")
            yield lines, read - len(chunk)
            decompressor, parts = zlib.decompressobj(wbits=_GZIP), []
