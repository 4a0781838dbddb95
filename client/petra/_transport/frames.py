"""HTTP/2 frames as bytes: their numbers, how they are written, and what is taken off them. Pure (RFC 9113)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Frame types.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

# Flags.
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

# Settings.
HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

# Error codes.
NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
FLOW_CONTROL_ERROR: Final = 3
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11
INADEQUATE_SECURITY: Final = 12
_ERROR_NAMES: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

# What holds until settings say otherwise.
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_SIZE: Final = 16_384
LARGEST_WINDOW: Final = (1 << 31) - 1
LARGEST_FRAME_SIZE: Final = (1 << 24) - 1

HEAD_BYTES: Final = 9
# A frame's head: length in the upper 24 bits and type in the lower 8, flags, stream.
HEAD: Final = Struct(">IBI")
# The head of a frame of data and of the one gRPC message in it: as above, then the compressed flag and its length.
MESSAGE_HEAD: Final = Struct(">IBIBI")
# What gRPC puts before each message: the compressed flag and its length.
PREFIX: Final = Struct(">BI")
PREFIX_BYTES: Final = 5
UINT32: Final = Struct(">I")
_SETTING: Final = Struct(">HI")
_GOAWAY: Final = Struct(">II")


class Violation(Exception):
    """The peer broke the protocol, so the connection ends. The message completes "it broke the protocol: ..."."""

    def __init__(self, message: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


class NotHttp2(Violation):
    """The first bytes of the peer are something else. The message completes "it does not speak HTTP/2: ..."."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(b"\x15\x03"):
            super().__init__("it answers in TLS")
        else:
            super().__init__(f"it answers {printable(data.splitlines()[0])!r}")


def error_name(code: int) -> str:
    """The name of an error code, or its number when it has none."""
    return _ERROR_NAMES[code] if code < len(_ERROR_NAMES) else f"error {code}"


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values))


def header_block(stream_id: int, block: bytes, frame_bytes: int) -> bytes:
    """The frames of a header block, which leaves the stream open."""
    pieces = [block[start : start + frame_bytes] for start in range(0, len(block), frame_bytes)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if index else HEADERS, END_HEADERS if index == last else 0, stream_id, piece)
        for index, piece in enumerate(pieces)
    )


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, UINT32.pack(increment))


def rst_stream(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, UINT32.pack(code))


def goaway(code: int, debug: str) -> bytes:
    """No stream of the peer's was ever processed: it may not open any."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(0, code) + debug.encode(errors="replace"))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    if len(payload) % _SETTING.size:
        raise Violation(f"settings of {len(payload)} bytes", FRAME_SIZE_ERROR)
    return _SETTING.iter_unpack(payload)


def read_uint32(payload: bytes, what: str) -> int:
    if len(payload) != UINT32.size:
        raise Violation(f"{what} of {len(payload)} bytes", FRAME_SIZE_ERROR)
    number: int = UINT32.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, str]:
    """The last stream that the peer took, the error code, and the text with it."""
    if len(payload) < _GOAWAY.size:
        raise Violation(f"GOAWAY of {len(payload)} bytes", FRAME_SIZE_ERROR)
    last, code = _GOAWAY.unpack_from(payload)
    return last & LARGEST_WINDOW, code, printable(payload[_GOAWAY.size :])


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Violation("padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def without_priority(flags: int, payload: bytes) -> bytes:
    """The header block of HEADERS, without the priority that may stand before it."""
    if not flags & HAS_PRIORITY:
        return payload
    if len(payload) < PREFIX_BYTES:
        raise Violation("HEADERS with a cut-off priority", FRAME_SIZE_ERROR)
    return payload[PREFIX_BYTES:]


def printable(data: bytes) -> str:
    """The beginning of what a peer sent, fit for a sentence."""
    text = data[:200].decode("ascii", errors="replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()
