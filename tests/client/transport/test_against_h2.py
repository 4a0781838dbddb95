"""The client's connection against the server of the `h2` library, in memory."""

from __future__ import annotations

from random import Random

from h2.events import PingAckReceived, PingReceived, WindowUpdated
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from petra._transport.http2 import GrpcStatus, Stream
from petra._transport.stream import STREAM_WINDOW
from tests.support.http2_peers import PATH, H2Peer, Recorder, grpc_messages

_sizes = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 60_000)), max_size=6)


def _change_settings(peer: H2Peer, random: Random) -> None:
    """A setting that a server may make up its mind to, at any time; windows become negative by them.

    Not the size of frames: `h2` reads what comes together by the size that held before it.
    """
    name, values = random.choice(
        [
            (SettingCodes.INITIAL_WINDOW_SIZE, (1, 100, 65_535, 1_000_000)),
            (SettingCodes.MAX_CONCURRENT_STREAMS, (1, 2, 100)),
            (SettingCodes.HEADER_TABLE_SIZE, (0, 100, 4_096, 65_536)),
        ]
    )
    peer.set(name, random.choice(values))


def _send_next(unsent: dict[Stream, list[bytes]], stream: Stream) -> None:
    """Sends the next message of a stream, and ends it with the last."""
    message = unsent[stream].pop(0)
    last = not unsent[stream]
    if last:
        del unsent[stream]
    stream.send(message, last=last)


def _act(peer: H2Peer, random: Random, unsent: dict[Stream, list[bytes]]) -> None:
    """Something happens: a send, some bytes on their way, windows, settings."""
    match random.randrange(8):
        case 0 | 1 if unsent:
            _send_next(unsent, random.choice(list(unsent)))
        case 2 | 3:
            peer.to_peer_step(random.choice((1, 9, 100, 50_000)))
        case 4 | 5:
            peer.to_client_step(random.choice((1, 9, 100, 50_000)))
        case 6:
            peer.acknowledge()
        case _ if not random.randrange(8):
            _change_settings(peer, random)
        case _:
            peer.send_some()


@given(
    calls=st.lists(st.tuples(_sizes, _sizes), min_size=1, max_size=4),
    window=st.sampled_from([1, 5, 1_000, 65_535, 1 << 20]),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_nothing_is_lost_or_reordered_however_bytes_windows_and_settings_come(
    calls: list[tuple[list[int], list[int]]], window: int, seed: int
) -> None:
    random = Random(seed)
    asked = [[random.randbytes(size) for size in [*asks, 3]] for asks, _ in calls]
    answers = [[random.randbytes(size) for size in sizes] for _, sizes in calls]
    peer = H2Peer(random, lambda stream_id: answers[stream_id // 2])
    peer.settle()
    assert peer.set(SettingCodes.INITIAL_WINDOW_SIZE, window)
    recorders = [Recorder() for _ in calls]
    unsent = {
        peer.connection.open(PATH, recorder): list(messages)
        for recorder, messages in zip(recorders, asked, strict=True)
    }
    for _ in range(200):
        _act(peer, random, unsent)
    while unsent:
        _send_next(unsent, random.choice(list(unsent)))
    # What is left need not go byte by byte.
    while not peer.set(SettingCodes.INITIAL_WINDOW_SIZE, 65_535):
        peer.exchange()
    peer.settle()
    assert peer.connection.error is None
    assert [grpc_messages(peer.bodies[index * 2 + 1]) for index in range(len(calls))] == asked
    assert [recorder.messages for recorder in recorders] == answers
    assert [recorder.status for recorder in recorders] == [GrpcStatus(0)] * len(calls)
    assert not peer.resets
    assert not peer.connection.streams


def test_the_request_is_one_of_grpc() -> None:
    peer = H2Peer(Random(0))
    stream = peer.connection.open(PATH, Recorder(), [("grpc-timeout", "5m"), ("authorization", "secret")])
    stream.send(b"x", last=True)
    peer.settle()
    assert peer.requests[1] == [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "peer:1"),
        (":path", PATH),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "test"),
        ("grpc-timeout", "5m"),
        ("authorization", "secret"),
    ]


def test_windows_are_given_back_in_few_large_steps() -> None:
    size = 40 << 20
    answers = [bytes(size), b"last"]
    peer = H2Peer(Random(1), lambda _: answers)
    recorder = Recorder()
    peer.connection.open(PATH, recorder).send(b"", last=True)
    peer.settle()
    assert recorder.messages == answers
    updates = [event for event in peer.events if isinstance(event, WindowUpdated)]
    # Half a window at a time, of the stream and of the connection, and the first one of the connection.
    assert 1 < len(updates) <= size // (STREAM_WINDOW // 2) + size // (32 << 20) + 1


def test_a_large_message_waits_for_windows_and_tells_when_it_is_framed() -> None:
    peer = H2Peer(Random(2))
    peer.settle()
    recorder = Recorder()
    stream = peer.connection.open(PATH, recorder)
    message = Random(2).randbytes(1 << 20)
    stream.send(message)
    assert 0 < stream.backlog_bytes < len(message)
    assert recorder.writable_calls == 0
    peer.settle()
    assert stream.backlog_bytes == 0
    assert recorder.writable_calls == 1
    assert grpc_messages(peer.bodies[1]) == [message]


def test_calls_beyond_what_the_server_allows_wait_their_turn() -> None:
    peer = H2Peer(Random(3), lambda stream_id: [str(stream_id).encode()])
    peer.settle()
    assert peer.set(SettingCodes.MAX_CONCURRENT_STREAMS, 2)
    peer.settle()
    recorders = [Recorder() for _ in range(5)]
    streams = [peer.connection.open(PATH, recorder) for recorder in recorders]
    assert [stream.id for stream in streams] == [1, 3, 0, 0, 0]
    for stream in streams:
        stream.send(b"x", last=True)
    assert [bool(stream.backlog_bytes) for stream in streams] == [False, False, True, True, True]
    streams[3].cancel()
    peer.settle()
    assert [recorder.messages for recorder in recorders] == [[b"1"], [b"3"], [b"5"], [], [b"7"]]
    assert recorders[3].status == GrpcStatus(1, "The call was cancelled.", refused=True)
    assert not peer.resets


def test_a_cancelled_call_is_reset_and_what_comes_late_is_ignored() -> None:
    peer = H2Peer(Random(4), lambda _: [bytes(100_000)])
    cancelled, kept = Recorder(), Recorder()
    stream = peer.connection.open(PATH, cancelled)
    stream.send(b"x", last=True)
    peer.connection.open(PATH, kept).send(b"y", last=True)
    peer.to_peer_step(len(peer.to_peer))
    while peer.send_some():
        # Answers of both are on their way when the first is given up.
        pass
    stream.cancel()
    stream.cancel()
    peer.settle()
    assert cancelled.messages == []
    assert cancelled.status == GrpcStatus(1, "The call was cancelled.")
    assert kept.messages == [bytes(100_000)]
    assert kept.status == GrpcStatus(0)


def test_pings_are_answered_both_ways() -> None:
    peer = H2Peer(Random(5))
    peer.h2.ping(b"12345678")
    peer.collect()
    peer.connection.ping()
    peer.settle()
    assert [event.ping_data for event in peer.events if isinstance(event, PingAckReceived)] == [b"12345678"]
    assert [type(event) for event in peer.events].count(PingReceived) == 1


def test_a_paused_stream_takes_its_window_and_no_more() -> None:
    size = 3 * STREAM_WINDOW
    peer = H2Peer(Random(6), lambda _: [bytes(1_000_000)] * (size // 1_000_000))
    recorder = Recorder()
    stream = peer.connection.open(PATH, recorder)
    stream.pause()
    stream.send(b"", last=True)
    peer.settle()
    assert len(recorder.messages) == STREAM_WINDOW // 1_000_005
    assert recorder.status is None
    stream.resume()
    peer.settle()
    assert len(recorder.messages) == size // 1_000_000
    assert recorder.status == GrpcStatus(0)
