"""From HTTP/2 answers to gRPC statuses."""

from __future__ import annotations

import base64

import pytest

from petra._transport import frames
from petra._transport.http2 import GrpcStatus
from petra._transport.responses import (
    CANCELLED,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
    refusal,
    reset_status,
    trailers_status,
)
from tests.support.http2_peers import RESPONSE, RawPeer, grpc_message

GRPC = {b":status": b"200", b"content-type": b"application/grpc"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400", INTERNAL),
        ("401", UNAUTHENTICATED),
        ("403", PERMISSION_DENIED),
        ("404", UNIMPLEMENTED),
        ("429", UNAVAILABLE),
        ("502", UNAVAILABLE),
        ("503", UNAVAILABLE),
        ("504", UNAVAILABLE),
        ("500", UNKNOWN),
        ("302", UNKNOWN),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_an_http_error_of_a_proxy_becomes_a_grpc_code(status: str, code: int, whole: bool) -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.written.clear()
    peer.send(peer.headers(stream.id, [(":status", status), ("content-type", "text/html")], end=whole))
    assert recorder.status == GrpcStatus(code, f"peer:1 answered with HTTP status {status} and no gRPC status.")
    # The call is over for the other side too.
    assert len(peer.take(frames.RST_STREAM)) == 1


def test_a_grpc_status_counts_more_than_an_http_status() -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.send(
        peer.headers(stream.id, [(":status", "503"), ("grpc-status", "8"), ("grpc-message", "too much")], end=True)
    )
    assert recorder.status == GrpcStatus(RESOURCE_EXHAUSTED, "too much")


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({b":status": b"200", b"content-type": b"text/html"}, "peer:1 does not answer in gRPC, but with text/html."),
        ({b":status": b"200"}, "peer:1 does not answer in gRPC, but with no content-type."),
    ],
)
def test_what_is_no_grpc_is_refused(headers: dict[bytes, bytes], sentence: str) -> None:
    assert refusal(headers, "peer:1") == GrpcStatus(UNKNOWN, sentence)


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/grpc+proto", b"application/grpc;x=y"])
def test_all_kinds_of_grpc_are_taken(kind: bytes) -> None:
    assert refusal({b":status": b"200", b"content-type": kind}, "peer:1") is None


def test_an_answer_without_http_status_is_refused() -> None:
    status = refusal({b"content-type": b"application/grpc"}, "peer:1")
    assert status == GrpcStatus(INTERNAL, "peer:1 answered without an HTTP status.")


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"plain words", "plain words"),
        (b"50%25 of %C3%BC", "50% of ü"),
        (b"cut off %C", "cut off %C"),
        (b"not hex %zz", "not hex %zz"),
        (b"not UTF-8 %FF", "not UTF-8 \N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_messages_are_percent_decoded(encoded: bytes, message: str) -> None:
    status = trailers_status({**GRPC, b"grpc-status": b"5", b"grpc-message": encoded}, "peer:1")
    assert status == GrpcStatus(5, message)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("padded", [True, False])
def test_details_are_read_with_and_without_padding(size: int, padded: bool) -> None:
    details = bytes(range(size))
    encoded = base64.b64encode(details)
    headers = {b"grpc-status": b"9", b"grpc-status-details-bin": encoded if padded else encoded.rstrip(b"=")}
    assert trailers_status(headers, "peer:1") == GrpcStatus(9, "", details)


def test_details_that_cannot_be_read_are_dropped() -> None:
    headers = {b"grpc-status": b"9", b"grpc-message": b"why", b"grpc-status-details-bin": b"a"}
    assert trailers_status(headers, "peer:1") == GrpcStatus(9, "why")


@pytest.mark.parametrize("text", [b"", b"-1", b"OK", b"1.0", b"9" * 5_000, "\u0663".encode()])
def test_a_status_that_is_no_number_is_unknown(text: bytes) -> None:
    status = trailers_status({b"grpc-status": text, b"grpc-message": b"why"}, "peer:1")
    assert status.code == UNKNOWN
    assert status.message.startswith("peer:1 sent ")
    assert status.message.endswith("for a gRPC status. why")
    assert len(status.message) < 300


@pytest.mark.parametrize(
    ("code", "expected", "refused"),
    [
        (frames.NO_ERROR, INTERNAL, False),
        (frames.PROTOCOL_ERROR, INTERNAL, False),
        (frames.REFUSED_STREAM, UNAVAILABLE, True),
        (frames.CANCEL, CANCELLED, False),
        (frames.ENHANCE_YOUR_CALM, RESOURCE_EXHAUSTED, False),
        (frames.INADEQUATE_SECURITY, PERMISSION_DENIED, False),
        (0xFFFFFFFF, INTERNAL, False),
    ],
)
def test_a_reset_becomes_a_grpc_code(code: int, expected: int, refused: bool) -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.send(frames.rst_stream(stream.id, code))
    assert recorder.status is not None
    assert recorder.status == reset_status(code, "peer:1")
    assert (recorder.status.code, recorder.status.refused) == (expected, refused)


def test_informational_headers_come_before_the_answer() -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.send(peer.headers(stream.id, [(":status", "103"), ("link", "</x>")]))
    peer.send(peer.headers(stream.id, [(":status", "100")]))
    peer.send(peer.headers(stream.id, RESPONSE))
    peer.send(peer.data(stream.id, grpc_message(b"x")))
    peer.send(peer.headers(stream.id, [("grpc-status", "0")], end=True))
    assert recorder.messages == [b"x"]
    assert recorder.status == GrpcStatus(0)


@pytest.mark.parametrize("trailers", [True, False])
def test_an_answer_that_ends_without_a_status_is_unknown(trailers: bool) -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    peer.send(peer.data(stream.id, grpc_message(b"x"), end=not trailers))
    if trailers:
        peer.send(peer.headers(stream.id, [("x", "y")], end=True))
    assert recorder.messages == [b"x"]
    assert recorder.status == GrpcStatus(UNKNOWN, "peer:1 ended its answer without a gRPC status.")


def test_an_answer_of_headers_alone_needs_a_status() -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.send(peer.headers(stream.id, RESPONSE, end=True))
    assert recorder.status == GrpcStatus(UNKNOWN, "peer:1 ended its answer without a gRPC status.")


@pytest.mark.parametrize("part", [1, 4, 5, 6])
def test_ok_in_the_middle_of_a_message_is_an_error(part: int) -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    peer.send(peer.data(stream.id, grpc_message(b"abc")[:part]))
    peer.send(peer.headers(stream.id, [("grpc-status", "0")], end=True))
    assert recorder.messages == []
    assert recorder.status == GrpcStatus(INTERNAL, "peer:1 ended its answer in the middle of a message.")


def test_an_error_in_the_middle_of_a_message_is_itself() -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    peer.send(peer.data(stream.id, b"\0\0"))
    peer.send(peer.headers(stream.id, [("grpc-status", "14"), ("grpc-message", "going")], end=True))
    assert recorder.status == GrpcStatus(UNAVAILABLE, "going")
