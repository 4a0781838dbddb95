"""gRPC's framing of a message, and as much protobuf encoding as two of etcd's requests need."""

from __future__ import annotations

import struct

# What a unary gRPC request over HTTP/2 says of itself.
GRPC_HEADERS = {"content-type": "application/grpc", "te": "trailers"}

FRAME_BYTES = 5


def frame(message: bytes) -> bytes:
    """A message as it stands in the body of an HTTP/2 request: not compressed, with its length."""
    return struct.pack(">BI", 0, len(message)) + message


def varint(number: int) -> bytes:
    """A non-negative integer in base 128, the least significant group first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def bytes_field(number: int, content: bytes) -> bytes:
    """A field of length-delimited type: bytes, a string or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content
