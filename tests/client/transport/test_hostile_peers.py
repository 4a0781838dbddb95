"""Peers that break the protocol: the connection ends with a clear error, and every call is answered once."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra._transport import frames
from petra._transport.frames import frame
from petra._transport.http2 import ConnectionEnded, GrpcStatus
from petra._transport.responses import INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED
from petra._transport.stream import STREAM_WINDOW
from tests.support.http2_peers import PATH, RESPONSE, RawPeer, Recorder, client, frames_in, grpc_message

Sent = Callable[[RawPeer], bytes]


def _setting(name: int, value: int) -> bytes:
    return frames.settings([(name, value)])


def _too_much_on_a_stream(peer: RawPeer) -> bytes:
    # Paused, so nothing is given back.
    stream, _ = peer.answered_call()
    stream.pause()
    piece = grpc_message(bytes(16_379))
    return peer.data(stream.id, piece) * (STREAM_WINDOW // len(piece) + 1)


# Stream 1 is a call whose answer has begun. Stream 3 is another, which has a backlog and no answer.
VIOLATIONS: dict[str, tuple[Sent, int, str]] = {
    "frame too large": (lambda _: frame(0, 0, 1, bytes(16_385)), frames.FRAME_SIZE_ERROR, "a frame of 16385 bytes"),
    "data on stream 0": (lambda _: frame(0, 0, 0, b"x"), frames.PROTOCOL_ERROR, "DATA on stream 0"),
    "data on an idle stream": (lambda _: frame(0, 0, 7, b"x"), frames.PROTOCOL_ERROR, "DATA on stream 7"),
    "data on a stream of the peer": (lambda _: frame(0, 0, 2, b"x"), frames.PROTOCOL_ERROR, "DATA on stream 2"),
    "headers on stream 0": (lambda p: p.headers(0, RESPONSE), frames.PROTOCOL_ERROR, "HEADERS on stream 0"),
    "headers on an idle stream": (lambda p: p.headers(9, RESPONSE), frames.PROTOCOL_ERROR, "HEADERS on stream 9"),
    "a pushed stream": (lambda p: p.headers(2, RESPONSE), frames.PROTOCOL_ERROR, "HEADERS on stream 2"),
    "push promise": (lambda _: frame(5, 4, 1, bytes(8)), frames.PROTOCOL_ERROR, "a push"),
    "push wanted": (lambda _: _setting(2, 1), frames.PROTOCOL_ERROR, "pushed to"),
    "data padded too much": (lambda _: frame(0, 8, 1, b"\x02x"), frames.PROTOCOL_ERROR, "padding"),
    "data padded without a length": (lambda _: frame(0, 8, 1), frames.PROTOCOL_ERROR, "padding"),
    "headers padded too much": (lambda _: frame(1, 12, 1, b"\x09x"), frames.PROTOCOL_ERROR, "padding"),
    "headers with a short priority": (lambda _: frame(1, 0x24, 1, b"abc"), frames.FRAME_SIZE_ERROR, "priority"),
    "reset of an idle stream": (lambda _: frame(3, 0, 5, bytes(4)), frames.PROTOCOL_ERROR, "RST_STREAM on stream 5"),
    "reset of a wrong size": (lambda _: frame(3, 0, 1, bytes(5)), frames.FRAME_SIZE_ERROR, "RST_STREAM of 5"),
    "settings on a stream": (lambda _: frame(4, 0, 1), frames.PROTOCOL_ERROR, "SETTINGS on a stream"),
    "settings cut off": (lambda _: frame(4, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR, "settings of 5 bytes"),
    "acknowledgement with settings": (lambda _: frame(4, 1, 0, bytes(6)), frames.FRAME_SIZE_ERROR, "acknowledgement"),
    "frame size too small": (lambda _: _setting(5, 16_383), frames.PROTOCOL_ERROR, "a largest frame of 16383"),
    "frame size too large": (lambda _: _setting(5, 1 << 24), frames.PROTOCOL_ERROR, "a largest frame of 16777216"),
    "window setting too large": (lambda _: _setting(4, 1 << 31), frames.FLOW_CONTROL_ERROR, "a window too large"),
    "window setting that overflows a stream": (
        lambda _: frames.window_update(1, 1 << 30) + _setting(4, (1 << 31) - 1),
        frames.FLOW_CONTROL_ERROR,
        "a window too large",
    ),
    "ping on a stream": (lambda _: frame(6, 0, 1, bytes(8)), frames.PROTOCOL_ERROR, "PING on a stream"),
    "ping of a wrong size": (lambda _: frame(6, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR, "PING of 7"),
    "goaway on a stream": (lambda _: frame(7, 0, 1, bytes(8)), frames.PROTOCOL_ERROR, "GOAWAY on a stream"),
    "goaway cut off": (lambda _: frame(7, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR, "GOAWAY of 7"),
    "window update of a wrong size": (lambda _: frame(8, 0, 0, b""), frames.FRAME_SIZE_ERROR, "WINDOW_UPDATE of 0"),
    "window update of nothing": (lambda _: frames.window_update(0, 0), frames.FLOW_CONTROL_ERROR, "window of the conn"),
    "window update that overflows": (
        lambda _: frames.window_update(0, (1 << 31) - 1) + frames.window_update(0, 1),
        frames.FLOW_CONTROL_ERROR,
        "window of the connection",
    ),
    "window update of an idle stream": (
        lambda _: frames.window_update(5, 1),
        frames.PROTOCOL_ERROR,
        "WINDOW_UPDATE on stream 5",
    ),
    "more than a stream's window": (_too_much_on_a_stream, frames.FLOW_CONTROL_ERROR, "more than the window"),
    "continuation of nothing": (lambda _: frame(9, 4, 1, b""), frames.PROTOCOL_ERROR, "CONTINUATION"),
    "continuation of another stream": (
        lambda _: frame(1, 0, 1, b"") + frame(9, 4, 3, b""),
        frames.PROTOCOL_ERROR,
        "CONTINUATION",
    ),
    "data within a header block": (
        lambda _: frame(1, 0, 1, b"") + frame(0, 0, 1, b"x"),
        frames.PROTOCOL_ERROR,
        "within a header block",
    ),
    "an unknown frame within a header block": (
        lambda _: frame(1, 0, 1, b"") + frame(99, 0, 1, b"x"),
        frames.PROTOCOL_ERROR,
        "within a header block",
    ),
    "many empty continuations": (
        lambda _: frame(1, 0, 1, b"") + frame(9, 0, 1, b"") * 65,
        frames.ENHANCE_YOUR_CALM,
        "a header block without end",
    ),
    "large continuations": (
        lambda _: frame(1, 0, 1, b"") + frame(9, 0, 1, bytes(16_384)) * 5,
        frames.ENHANCE_YOUR_CALM,
        "a header block without end",
    ),
    "headers that grow when read": (
        # One entry of the table, some 4 KB long, in one byte each.
        lambda p: frame(1, 4, 1, p.block([("x", "y" * 4_000)]) + b"\xbe" * 20),
        frames.COMPRESSION_ERROR,
        "cannot be read",
    ),
    "headers that are none": (lambda _: frame(1, 4, 1, b"\xff\xff\xff"), frames.COMPRESSION_ERROR, "cannot be read"),
    "late headers that are none": (
        # Of a stream that was reset: what a block does to the next ones counts all the same.
        lambda _: frame(3, 0, 1, bytes(4)) + frame(1, 4, 1, b"\xff\xff\xff"),
        frames.COMPRESSION_ERROR,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.parametrize("step", [1, 1 << 30], ids=["bytewise", "whole"])
def test_a_violation_ends_the_connection_and_answers_every_call(name: str, step: int) -> None:
    make, code, sentence = VIOLATIONS[name]
    peer = RawPeer()
    _, first = peer.answered_call()
    data = make(peer)
    waiting, second = peer.call()
    waiting.send(bytes(1 << 20))
    peer.written.clear()
    # What follows the violation is not looked at.
    _send(peer, data + frame(6, 0, 0, bytes(8)), step)
    goaway = list(frames_in(bytes(peer.written)))[-1]
    assert goaway.kind == frames.GOAWAY
    assert struct.unpack_from(">II", goaway.payload) == (0, code)
    assert peer.connection.error is not None
    assert peer.connection.error.startswith("peer:1 broke the HTTP/2 protocol: ")
    assert sentence in peer.connection.error
    assert second.status == GrpcStatus(UNAVAILABLE, peer.connection.error)
    assert first.status is not None
    with pytest.raises(ConnectionEnded, match="broke the HTTP/2 protocol"):
        peer.connection.open(PATH, Recorder())
    # It is dead: nothing that is done with it does anything.
    peer.written.clear()
    waiting.send(b"more")
    waiting.cancel()
    peer.send(frame(6, 0, 0, bytes(8)))
    assert not peer.written


def _send(peer: RawPeer, data: bytes, step: int) -> None:
    if len(data) > 1 << 20:
        step = 1 << 30
    for start in range(0, len(data), step):
        peer.send(data[start : start + step])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "it answers 'HTTP/1.1 400 Bad Request'."),
        (b"\x15\x03\x01\x00\x02\x02\x46 and more", "it answers in TLS."),
        (b"220 mail.example ESMTP\r\n", "it answers '220 mail.example ESMTP'."),
        (frame(6, 0, 0, bytes(8)), "it answers "),
        (frame(4, 1, 0), "it answers "),
    ],
)
def test_a_peer_that_speaks_something_else_is_named_so(data: bytes, sentence: str) -> None:
    written = bytearray()
    connection = client(written)
    recorder = Recorder()
    connection.open(PATH, recorder)
    written.clear()
    connection.receive(data)
    assert connection.error is not None
    assert connection.error.startswith(f"peer:1 does not speak HTTP/2: {sentence}")
    assert recorder.status == GrpcStatus(UNAVAILABLE, connection.error)
    assert not written


STREAM_ERRORS: dict[str, tuple[Callable[[RawPeer, int], bytes], int, int, str]] = {
    "compressed": (lambda p, s: p.data(s, b"\1\0\0\0\1x"), UNIMPLEMENTED, frames.CANCEL, "a compressed message"),
    "no message of grpc": (lambda p, s: p.data(s, b"<html>"), INTERNAL, frames.CANCEL, "does not begin like"),
    "too large": (
        lambda p, s: p.data(s, struct.pack(">BI", 0, 1_001)),
        RESOURCE_EXHAUSTED,
        frames.CANCEL,
        "a message of 1001 bytes; this client takes at most 1000",
    ),
    "headers in the middle": (
        lambda p, s: p.headers(s, RESPONSE),
        INTERNAL,
        frames.PROTOCOL_ERROR,
        "headers in the middle",
    ),
    "a window of nothing": (
        lambda _, s: frames.window_update(s, 0),
        INTERNAL,
        frames.FLOW_CONTROL_ERROR,
        "a wrong window",
    ),
    "a window that overflows": (
        lambda _, s: frames.window_update(s, (1 << 31) - 1),
        INTERNAL,
        frames.FLOW_CONTROL_ERROR,
        "a wrong window",
    ),
}


@pytest.mark.parametrize("name", STREAM_ERRORS)
@pytest.mark.parametrize("step", [1, 1 << 30], ids=["bytewise", "whole"])
def test_a_stream_that_goes_wrong_is_reset_and_the_others_go_on(name: str, step: int) -> None:
    make, code, reset, sentence = STREAM_ERRORS[name]
    peer = RawPeer(message_bytes=1_000)
    stream, recorder = peer.answered_call()
    _, other = peer.answered_call()
    peer.written.clear()
    bad = make(peer, stream.id)
    # More of the stream is on its way already.
    _send(peer, bad + peer.data(stream.id, grpc_message(b"late")), step)
    assert recorder.status is not None
    assert recorder.status.code == code
    assert sentence in recorder.status.message
    assert "peer:1" in recorder.status.message
    assert [(f.stream_id, f.payload) for f in peer.take(frames.RST_STREAM)] == [(stream.id, struct.pack(">I", reset))]
    peer.send(peer.data(3, grpc_message(b"fine")) + peer.headers(3, [("grpc-status", "0")], end=True))
    assert other.messages == [b"fine"]
    assert other.status == GrpcStatus(0)
    assert peer.connection.error is None


def test_data_before_headers_resets_the_stream() -> None:
    peer = RawPeer()
    stream, recorder = peer.call()
    peer.written.clear()
    peer.send(peer.data(stream.id, grpc_message(b"x")))
    assert recorder.status == GrpcStatus(INTERNAL, "peer:1 sent data before its headers.")
    assert [f.payload for f in peer.take(frames.RST_STREAM)] == [struct.pack(">I", frames.PROTOCOL_ERROR)]


def test_a_message_of_the_largest_size_is_taken() -> None:
    peer = RawPeer(message_bytes=1_000)
    stream, recorder = peer.answered_call()
    peer.send(peer.data(stream.id, grpc_message(bytes(1_000))))
    assert recorder.messages == [bytes(1_000)]


@pytest.mark.parametrize("question", [frame(6, 0, 0, bytes(8)), frames.settings([(3, 100)])], ids=["ping", "settings"])
def test_a_peer_that_asks_and_does_not_read_is_given_up(question: bytes) -> None:
    peer = RawPeer()
    _, recorder = peer.call()
    for _ in range(2):
        peer.connection.outbox.pause()
        peer.send(question * 1_000)
        peer.connection.resume_output()
    assert recorder.status is None
    peer.connection.outbox.pause()
    peer.send(question * 1_001)
    sentence = "peer:1 broke the HTTP/2 protocol: it asks for answers that it does not read."
    assert recorder.status == GrpcStatus(UNAVAILABLE, sentence)


def test_late_data_gives_the_connection_its_window_back() -> None:
    """Else every cancelled call would leave the connection a little narrower, until it stands still."""
    peer = RawPeer()
    stream, _ = peer.answered_call()
    stream.cancel()
    peer.written.clear()
    piece = peer.data(stream.id, bytes(16_000))
    for _ in range((200 << 20) // 16_000):
        peer.send(piece)
    given = sum(int.from_bytes(f.payload, "big") for f in peer.take(frames.WINDOW_UPDATE) if not f.stream_id)
    assert given > 160 << 20
    assert peer.connection.error is None


def test_frames_that_mean_nothing_to_a_client_are_ignored() -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    peer.written.clear()
    peer.send(
        frame(99, 0xFF, stream.id, b"?")
        + frame(0xFA, 0, 0)
        + frame(frames.PRIORITY, 0, stream.id, bytes(5))
        + frames.settings([(0x4242, 7)])
        + frame(frames.PING, frames.ACK, 0, bytes(8))
        + frame(frames.SETTINGS, frames.ACK, 0)
        # The reserved bit of a stream's id.
        + frame(frames.DATA, 0, stream.id | 1 << 31, grpc_message(b"x"))
    )
    assert recorder.messages == [b"x"]
    assert [f.kind for f in frames_in(bytes(peer.written))] == [frames.SETTINGS]


@given(data=st.binary(max_size=200), split=st.integers(0, 200))
def test_no_bytes_do_anything_but_end_it_in_order(data: bytes, split: int) -> None:
    peer = RawPeer()
    _, recorder = peer.answered_call()
    peer.send(data[:split])
    peer.send(data[split:])
    peer.connection.end(GrpcStatus(UNAVAILABLE, "over"))
    assert recorder.status is not None


@given(
    sent=st.lists(
        st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)), max_size=12
    )
)
def test_no_frames_do_anything_but_end_it_in_order(sent: list[tuple[int, int, int, bytes]]) -> None:
    peer = RawPeer()
    recorders = [peer.answered_call()[1], peer.call()[1]]
    for kind, flags, stream_id, payload in sent:
        peer.send(frame(kind, flags, stream_id, payload))
    peer.connection.end(GrpcStatus(UNAVAILABLE, "over"))
    assert all(recorder.status is not None for recorder in recorders)
