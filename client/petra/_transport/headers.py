"""Header blocks: those of requests as bytes, and those of responses from the frames that carry them (RFC 7541)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from petra._transport import frames
from petra._transport.frames import Violation

# Headers of one response, before and after compression: errors with their details take a few KiB.
HEADER_BYTES: Final = 64 << 10
# Frames that one block may come in.
_BLOCK_FRAMES: Final = 64
# Blocks of requests kept ready, by path.
_KEPT_BLOCKS: Final = 64


class RequestHeaders:
    """Writes the headers of calls.

    It uses no table, so that a block says the same whenever it is sent: it is kept, and no setting of the peer
    changes it.
    """

    def __init__(self, *, authority: str, secure: bool, user_agent: str) -> None:
        self._before = [
            (":method", "POST"),
            (":scheme", "https" if secure else "http"),
            (":authority", authority),
        ]
        self._after = [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", user_agent)]
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        # Stands before the first block: it tells the peer that there is no table.
        self.table_update = self._encoder.encode([])
        self._blocks: dict[str, bytes] = {}

    def block(self, path: str, metadata: Sequence[tuple[str, str]]) -> bytes:
        block = self._blocks.get(path)
        if block is None:
            if len(self._blocks) >= _KEPT_BLOCKS:
                self._blocks.clear()
            block = self._encoder.encode([*self._before, (":path", path), *self._after])
            self._blocks[path] = block
        return block + self._encoder.encode(metadata) if metadata else block


class ResponseHeaders:
    """Puts header blocks together and reads them, in the order in which they came."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=HEADER_BYTES)
        self._block = bytearray()
        self._frames = 0
        # The stream whose block has begun and is not whole; 0 when there is none.
        self.stream_id = 0
        self.end_stream = False

    def begin(self, flags: int, stream_id: int, payload: bytes) -> dict[bytes, bytes] | None:
        """Takes HEADERS. Returns the headers when they are whole."""
        self._block = bytearray(frames.without_priority(flags, frames.unpadded(flags, payload)))
        self._frames = 0
        self.stream_id = stream_id
        self.end_stream = bool(flags & frames.END_STREAM)
        return self._end() if flags & frames.END_HEADERS else None

    def go_on(self, flags: int, stream_id: int, payload: bytes) -> dict[bytes, bytes] | None:
        """Takes CONTINUATION. Returns the headers when they are whole."""
        if not stream_id or stream_id != self.stream_id:
            raise Violation("CONTINUATION without its HEADERS")
        self._block += payload
        self._frames += 1
        if len(self._block) > HEADER_BYTES or self._frames > _BLOCK_FRAMES:
            raise Violation("a header block without end", frames.ENHANCE_YOUR_CALM)
        return self._end() if flags & frames.END_HEADERS else None

    def _end(self) -> dict[bytes, bytes]:
        self.stream_id = 0
        try:
            return dict(self._decoder.decode(bytes(self._block), raw=True))
        except HPACKError as error:
            raise Violation(f"a header block that cannot be read ({error})", frames.COMPRESSION_ERROR) from None
