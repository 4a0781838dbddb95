"""The life of a connection and of its streams, frame by frame: going away, turns, sizes, and calls from within."""

from __future__ import annotations

import struct

import pytest

from petra._transport import frames
from petra._transport.http2 import ConnectionEnded, GrpcStatus, Stream
from petra._transport.responses import RESOURCE_EXHAUSTED, UNAVAILABLE
from tests.support.http2_peers import PATH, RESPONSE, RawPeer, Recorder, frames_in, grpc_message

OK_TRAILERS = [("grpc-status", "0")]


def _goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    return frames.frame(frames.GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def test_going_away_refuses_what_came_later_and_lets_the_rest_end() -> None:
    peer = RawPeer(settings=[(frames.MAX_CONCURRENT_STREAMS, 2)])
    first, early = peer.answered_call()
    _, late = peer.call()
    _, waiting = peer.call()
    peer.send(_goaway(first.id))
    gone = GrpcStatus(UNAVAILABLE, "peer:1 takes no more calls on this connection.", refused=True)
    assert early.status is None
    assert late.status == gone
    assert waiting.status == gone
    with pytest.raises(ConnectionEnded, match="takes no more calls") as raised:
        peer.call()
    assert raised.value.status == gone
    first.send(b"still")
    assert [f.payload for f in frames_in(bytes(peer.written)) if f.kind == frames.DATA] == [grpc_message(b"still")]
    peer.send(peer.data(first.id, grpc_message(b"x")) + peer.headers(first.id, OK_TRAILERS, end=True))
    assert early.messages == [b"x"]
    assert early.status == GrpcStatus(0)


def test_going_away_in_two_steps() -> None:
    """The first says that it will, the second which calls were the last."""
    peer = RawPeer()
    first, early = peer.answered_call()
    _, late = peer.call()
    peer.send(_goaway((1 << 31) - 1))
    assert [early.status, late.status] == [None, None]
    peer.send(_goaway(first.id))
    gone = GrpcStatus(UNAVAILABLE, "peer:1 takes no more calls on this connection.", refused=True)
    assert [early.status, late.status] == [None, gone]


def test_why_a_peer_goes_away_is_told() -> None:
    peer = RawPeer()
    _, recorder = peer.call()
    peer.send(_goaway(0, frames.ENHANCE_YOUR_CALM, b"too_many_pings\n"))
    message = "peer:1 takes no more calls on this connection (ENHANCE_YOUR_CALM: too_many_pings)."
    assert recorder.status == GrpcStatus(UNAVAILABLE, message, refused=True)


@pytest.mark.parametrize("end", ["trailers", "reset", "cancel"])
def test_it_is_over_when_the_last_call_of_one_that_goes_away_has_ended(end: str) -> None:
    over: list[None] = []
    peer = RawPeer(over=lambda: over.append(None))
    stream, _ = peer.answered_call()
    peer.send(_goaway(1))
    assert len(over) == 0
    if end == "trailers":
        peer.send(peer.headers(stream.id, OK_TRAILERS, end=True))
    elif end == "reset":
        peer.send(frames.rst_stream(stream.id, 0))
    else:
        stream.cancel()
        stream.cancel()
    assert len(over) == 1
    peer.connection.end(GrpcStatus(UNAVAILABLE, "the socket is closed"))
    assert len(over) == 1


def test_the_end_of_the_connection_answers_every_call_even_if_a_handler_fails() -> None:
    class Failing(Recorder):
        def closed(self, status: GrpcStatus) -> None:
            super().closed(status)
            raise ValueError("a fault of its own")

    peer = RawPeer(settings=[(frames.MAX_CONCURRENT_STREAMS, 2)])
    recorders = [Failing(), Recorder(), Recorder()]
    for recorder in recorders:
        peer.connection.open(PATH, recorder)
    lost = GrpcStatus(UNAVAILABLE, "lost")
    with pytest.raises(ValueError, match="of its own"):
        peer.connection.end(lost)
    # The third has waited for its turn, and was never sent.
    assert [recorder.status for recorder in recorders] == [lost, lost, lost._replace(refused=True)]
    peer.connection.end(GrpcStatus(UNAVAILABLE, "again"))


def test_calls_wait_in_a_queue_of_bounded_length() -> None:
    peer = RawPeer(settings=[(frames.MAX_CONCURRENT_STREAMS, 0)])
    waiting = [peer.call() for _ in range(1_024)]
    with pytest.raises(ConnectionEnded, match="1024 calls wait") as raised:
        peer.call()
    assert raised.value.status.code == RESOURCE_EXHAUSTED
    peer.send(frames.settings([(frames.MAX_CONCURRENT_STREAMS, 1_000)]))
    assert [stream.id for stream, _ in waiting] == [*range(1, 2_000, 2), *([0] * 24)]


def test_a_call_that_waited_sends_its_headers_before_its_messages() -> None:
    peer = RawPeer(settings=[(frames.MAX_CONCURRENT_STREAMS, 1)])
    first, _ = peer.answered_call()
    second, recorder = peer.call()
    second.send(b"a")
    second.send(b"b", last=True)
    peer.written.clear()
    peer.send(peer.headers(first.id, OK_TRAILERS, end=True))
    kinds = [(f.kind, f.stream_id) for f in frames_in(bytes(peer.written))]
    assert kinds == [(frames.RST_STREAM, 1), (frames.HEADERS, 3), (frames.DATA, 3)]
    assert second.backlog_bytes == 0
    assert recorder.writable_calls == 1


def test_an_answer_that_comes_early_ends_this_side_too() -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    stream.send(bytes(100_000))
    peer.written.clear()
    peer.send(peer.headers(stream.id, OK_TRAILERS, end=True))
    assert recorder.status == GrpcStatus(0)
    assert [f.payload for f in peer.take(frames.RST_STREAM, frames.DATA)] == [bytes(4)]
    assert stream.backlog_bytes == 0
    # Whoever has not heard of it yet may go on for a while.
    stream.send(b"more")
    assert not peer.written


def test_a_call_that_has_sent_its_last_message_is_not_reset_when_it_ends() -> None:
    peer = RawPeer()
    stream, _ = peer.answered_call()
    stream.send(b"x", last=True)
    assert [f.flags for f in peer.take(frames.DATA)] == [frames.END_STREAM]
    peer.send(peer.headers(stream.id, OK_TRAILERS, end=True))
    assert not peer.written


@pytest.mark.parametrize("size", [10, 100_000])
def test_nothing_can_be_sent_after_the_last_message(size: int) -> None:
    peer = RawPeer()
    stream, _ = peer.call()
    stream.send(bytes(size), last=True)
    with pytest.raises(RuntimeError, match="last message"):
        stream.send(b"x")


def test_backlogs_take_turns() -> None:
    peer = RawPeer()
    streams = [peer.answered_call()[0] for _ in range(3)]
    peer.connection.outbox.pause()
    for stream in streams:
        stream.send(bytes(30_000))
    assert not peer.take(frames.DATA)
    peer.connection.resume_output()
    # The connection's window is 65,535 bytes.
    assert [(f.stream_id, len(f.payload)) for f in peer.take(frames.DATA)] == [
        (1, 16_384),
        (3, 16_384),
        (5, 16_384),
        (1, 13_621),
        (3, 2_762),
    ]
    assert [stream.backlog_bytes for stream in streams] == [0, 10_859, 13_621]


def test_a_socket_that_takes_nothing_leaves_messages_in_the_backlog() -> None:
    peer = RawPeer()
    stream, recorder = peer.answered_call()
    peer.connection.outbox.pause()
    peer.written.clear()
    stream.send(b"a")
    stream.send(b"b")
    assert not peer.written
    assert stream.backlog_bytes == 12
    peer.connection.resume_output()
    assert [f.payload for f in peer.take(frames.DATA)] == [grpc_message(b"a") + grpc_message(b"b")]
    assert recorder.writable_calls == 1
    stream.send(b"c")
    assert [f.payload for f in peer.take(frames.DATA)] == [grpc_message(b"c")]
    assert recorder.writable_calls == 1


def test_a_socket_that_says_stop_is_not_written_to() -> None:
    peer = RawPeer()
    stream, _ = peer.answered_call()
    peer.send(frames.window_update(0, 1 << 30) + frames.window_update(1, 1 << 30))
    writes: list[bytes] = []

    def write(data: bytes) -> None:
        writes.append(data)
        if len(data) >= 1_000:
            peer.connection.outbox.pause()

    peer.connection.outbox.write = write
    stream.send(bytes(1 << 20))
    assert [len(data) > 256 << 10 for data in writes] == [True]
    for _ in range(4):
        assert stream.backlog_bytes
        peer.connection.resume_output()
    assert not stream.backlog_bytes
    body = b"".join(f.payload for data in writes for f in frames_in(data))
    assert body == grpc_message(bytes(1 << 20))


@pytest.mark.parametrize(
    ("allowed", "used"), [(16_384, 16_384), (20_000, 20_000), (65_536, 65_536), (16_777_215, 65_536)]
)
def test_frames_are_as_large_as_the_peer_takes_and_others_can_bear(allowed: int, used: int) -> None:
    peer = RawPeer(settings=[(frames.MAX_FRAME_SIZE, allowed), (frames.INITIAL_WINDOW_SIZE, 1 << 20)])
    peer.send(frames.window_update(0, 1 << 20))
    stream, _ = peer.call()
    stream.send(bytes(used - 5))
    stream.send(bytes(used - 4))
    assert [len(f.payload) for f in peer.take(frames.DATA)] == [used, used, 1]


def test_the_frame_size_changes_while_the_socket_takes_nothing() -> None:
    peer = RawPeer()
    stream, _ = peer.answered_call()
    peer.connection.outbox.pause()
    peer.send(frames.settings([(frames.MAX_FRAME_SIZE, 20_000)]))
    stream.send(bytes(19_995))
    assert not peer.take(frames.DATA)
    peer.connection.resume_output()
    assert [len(f.payload) for f in peer.take(frames.DATA)] == [20_000]


def test_large_metadata_goes_in_continuations() -> None:
    peer = RawPeer()
    peer.written.clear()
    peer.connection.open(PATH, Recorder(), [("x", "~" * 50_000)])
    sent = list(frames_in(bytes(peer.written)))
    assert [f.kind for f in sent] == [frames.HEADERS] + [frames.CONTINUATION] * (len(sent) - 1)
    assert [f.flags for f in sent] == [0] * (len(sent) - 1) + [frames.END_HEADERS]
    assert len(sent) > 2


def test_what_handlers_do_from_within_goes_out_in_one_write() -> None:
    class Replying(Recorder):
        stream: Stream

        def message(self, data: bytes) -> None:
            super().message(data)
            self.stream.send(data)

    peer = RawPeer()
    recorder = Replying()
    recorder.stream = peer.connection.open(PATH, recorder)
    peer.send(peer.headers(1, RESPONSE))
    writes: list[bytes] = []
    peer.connection.outbox.write = writes.append
    peer.send(peer.data(1, grpc_message(b"a") + grpc_message(b"b")) + peer.data(1, grpc_message(b"c")))
    assert [[f.payload for f in frames_in(data)] for data in writes] == [
        [grpc_message(b"a"), grpc_message(b"b"), grpc_message(b"c")]
    ]


def test_a_handler_that_cancels_hears_no_more_messages() -> None:
    class Cancelling(Recorder):
        stream: Stream

        def message(self, data: bytes) -> None:
            super().message(data)
            self.stream.cancel()

    peer = RawPeer()
    recorder = Cancelling()
    recorder.stream = peer.connection.open(PATH, recorder)
    peer.send(peer.headers(1, RESPONSE))
    peer.send(peer.data(1, grpc_message(b"a") + grpc_message(b"b") + b"\0") + peer.data(1, grpc_message(b"c")))
    assert recorder.messages == [b"a"]
    assert recorder.status == GrpcStatus(1, "The call was cancelled.")
    assert len(peer.take(frames.RST_STREAM)) == 1


def test_a_handler_may_end_the_connection() -> None:
    peer = RawPeer()

    class Ending(Recorder):
        def message(self, data: bytes) -> None:
            super().message(data)
            peer.connection.end(GrpcStatus(UNAVAILABLE, "enough"))

    recorder, other = Ending(), Recorder()
    peer.connection.open(PATH, recorder)
    peer.connection.open(PATH, other)
    peer.send(peer.headers(1, RESPONSE) + peer.headers(3, RESPONSE))
    peer.written.clear()
    # The last frame would be a violation.
    peer.send(peer.data(1, grpc_message(b"a") * 2) + peer.data(3, grpc_message(b"b")) + peer.data(0, b"x"))
    assert recorder.messages == [b"a"]
    assert other.messages == []
    assert recorder.status == other.status == GrpcStatus(UNAVAILABLE, "enough")
    assert peer.connection.error is None
    assert not peer.written


def test_a_connection_whose_stream_numbers_are_used_up_takes_no_more() -> None:
    peer = RawPeer()
    peer.connection._next_id = frames.LARGEST_WINDOW
    stream, _ = peer.answered_call()
    assert stream.id == frames.LARGEST_WINDOW
    with pytest.raises(ConnectionEnded, match="no stream numbers left"):
        peer.call()
