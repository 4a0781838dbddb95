"""From what a gRPC server answers in HTTP/2 terms to a gRPC status. Pure.

The mappings are those of the gRPC documents "PROTOCOL-HTTP2" and "http-grpc-status-mapping".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from petra._transport import frames

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_OF_HTTP_STATUS: Final[Mapping[bytes, int]] = {
    b"400": INTERNAL,
    b"401": UNAUTHENTICATED,
    b"403": PERMISSION_DENIED,
    b"404": UNIMPLEMENTED,
    b"429": UNAVAILABLE,
    b"502": UNAVAILABLE,
    b"503": UNAVAILABLE,
    b"504": UNAVAILABLE,
}
_OF_RESET: Final[Mapping[int, int]] = {
    frames.REFUSED_STREAM: UNAVAILABLE,
    frames.CANCEL: CANCELLED,
    frames.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
    frames.INADEQUATE_SECURITY: PERMISSION_DENIED,
}


class GrpcStatus(NamedTuple):
    """How a stream ended.

    `details` is the decoded grpc-status-details-bin, or empty. `refused` is true when it is certain that the server
    has processed nothing of the stream.
    """

    code: int
    message: str = ""
    details: bytes = b""
    refused: bool = False


def is_informational(headers: Mapping[bytes, bytes]) -> bool:
    """Whether these headers come before the response itself."""
    return headers.get(b":status", b"").startswith(b"1")


def refusal(headers: Mapping[bytes, bytes], peer: str) -> GrpcStatus | None:
    """The status of a response that is not one of gRPC, from its first headers; None for one that is."""
    status = headers.get(b":status")
    if status is None:
        return GrpcStatus(INTERNAL, f"{peer} answered without an HTTP status.")
    if status != b"200":
        code = _OF_HTTP_STATUS.get(status, UNKNOWN)
        return GrpcStatus(code, f"{peer} answered with HTTP status {frames.printable(status)} and no gRPC status.")
    content_type = headers.get(b"content-type", b"")
    if not content_type.startswith(b"application/grpc"):
        kind = frames.printable(content_type) or "no content-type"
        return GrpcStatus(UNKNOWN, f"{peer} does not answer in gRPC, but with {kind}.")
    return None


def trailers_status(headers: Mapping[bytes, bytes], peer: str) -> GrpcStatus:
    """The status that closes a response."""
    text = headers.get(b"grpc-status")
    if text is None:
        return GrpcStatus(UNKNOWN, f"{peer} ended its answer without a gRPC status.")
    message = unquote_to_bytes(headers.get(b"grpc-message", b"")).decode(errors="replace")
    if not text.isdigit() or len(text) > 9:
        return GrpcStatus(UNKNOWN, f"{peer} sent {frames.printable(text)!r} for a gRPC status. {message}".rstrip())
    return GrpcStatus(int(text), message, _from_base64(headers.get(b"grpc-status-details-bin", b"")))


def reset_status(code: int, peer: str) -> GrpcStatus:
    """The status of a stream that the peer has reset."""
    message = f"{peer} reset the stream ({frames.error_name(code)})."
    return GrpcStatus(_OF_RESET.get(code, INTERNAL), message, refused=code == frames.REFUSED_STREAM)


def _from_base64(text: bytes) -> bytes:
    """Binary metadata, with or without padding. What is none is dropped: the status says enough."""
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""
