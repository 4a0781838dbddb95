"""Clients that are broken, or mean harm: they are bounded or dropped, and everyone else is served."""

from __future__ import annotations

import os
import random
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import PATIENCE_S, Connection
from tests.support.refusals import Refusal
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB, MIB = 1024, 1024 * 1024
VALUE_BYTES = 256 * KIB
VALUES = 64
MAX_STREAMS = 8
# How long a stream has to make no progress until the server counts as having stopped reading it.
STALL_S = 2.0
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="measures memory through /proc, which only Linux has"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with little patience and small caches, so that memory is what streams hold."""
    arguments = [
        *("--handshake-timeout-ms", "500"),
        *("--max-streams", str(MAX_STREAMS)),
        *("--max-stream-bytes", "1MiB"),
        *("--cache-bytes", "0"),
        *("--block-cache-bytes", "4MiB"),
        *("--write-buffer-bytes", "16MiB"),
    ]
    with ServerProcess(tmp_path_factory.mktemp("hostile") / "data", *arguments) as server:
        with Connection(server.address) as connection:
            for number in range(VALUES):
                value = random.Random(number).randbytes(VALUE_BYTES)
                connection.storage.Set(pb.SetRequest(key=f"k{number}", value=value, durability=pb.DURABILITY_BUFFERED))
        yield server


def _resident_bytes(server: ServerProcess) -> int:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _is_served(address: str) -> bool:
    """Whether somebody else gets an answer."""
    with Connection(address) as other:
        answer = other.ask(pb.GetRequest(key="k0"))
        return isinstance(answer, pb.GetResponse) and len(answer.entry.value) == VALUE_BYTES


class _Deaf:
    """A client that sends pipeline messages for as long as the server takes them, and reads no answer."""

    def __init__(self, address: str, message: pb.PipelineRequest, most: int) -> None:
        self._connection = Connection(address)
        self._message = message
        self._most = most
        self._progress = threading.Condition()
        self._stopped = False
        self.sent = 0
        self._call = self._connection.storage.Pipeline(self._messages())

    def __enter__(self) -> _Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._call.cancel()
        self._connection.channel.close()

    def _messages(self) -> Iterator[pb.PipelineRequest]:
        while self.sent < self._most and not self._stopped:
            yield self._message
            with self._progress:
                self.sent += 1
                self._progress.notify()

    def is_stopped(self) -> bool:
        """Waits until all is sent, or until the server has taken nothing for a while."""
        with self._progress:
            while self.sent < self._most:
                sent = self.sent
                if not self._progress.wait_for(lambda: self.sent > sent, STALL_S):  # noqa: B023  # called at once
                    return True
        return False


def _gets(count: int) -> pb.PipelineRequest:
    return pb.PipelineRequest(
        ids=range(count), methods=[pb.METHOD_GET] * count, keys=[f"k{number % VALUES}" for number in range(count)]
    )


@needs_proc
@pytest.mark.slow
def test_client_that_never_reads_is_not_read_any_more(server: ServerProcess) -> None:
    before = _resident_bytes(server)
    # 16 MiB of answers a message. Padded, or thousands of messages would fit into the windows of flow control.
    message = _gets(64)
    message.values.extend([bytes(KIB)] * 64)
    with _Deaf(server.address, message, most=1_000) as deaf:
        assert deaf.is_stopped()
        assert _resident_bytes(server) - before < 100 * MIB
        assert _is_served(server.address)


@needs_proc
@pytest.mark.slow
def test_one_message_cannot_ask_for_all_memory(server: ServerProcess) -> None:
    before = _resident_bytes(server)
    # Each asks for 256 MiB of answers with a few kilobytes.
    with _Deaf(server.address, _gets(1_024), most=1), _Deaf(server.address, _gets(1_024), most=1):
        assert _is_served(server.address)
        assert _resident_bytes(server) - before < 100 * MIB


@needs_proc
@pytest.mark.slow
def test_refusals_that_nobody_reads_are_bounded_too(server: ServerProcess) -> None:
    before = _resident_bytes(server)
    count = 1_024
    without_keys = pb.PipelineRequest(ids=range(count), methods=[pb.METHOD_SET] * count, values=[bytes(100)] * count)
    with _Deaf(server.address, without_keys, most=1_000) as deaf:
        assert deaf.is_stopped()
        assert _resident_bytes(server) - before < 100 * MIB
        assert _is_served(server.address)


def test_streams_of_one_connection_are_bounded(server: ServerProcess) -> None:
    with Connection(server.address) as connection:
        end = threading.Event()
        streams = [connection.storage.Pipeline(_held_open(end, number)) for number in range(MAX_STREAMS)]
        for stream in streams:
            assert next(stream).ids
        one_more = connection.ask(pb.GetRequest(key="k0"), timeout_s=1)
        assert isinstance(one_more, Refusal)
        assert one_more.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert _is_served(server.address)
        end.set()
        for stream in streams:
            assert list(stream) == []
        assert isinstance(connection.ask(pb.GetRequest(key="k0")), pb.GetResponse)


def _held_open(end: threading.Event, number: int) -> Iterator[pb.PipelineRequest]:
    yield pb.PipelineRequest(ids=[number], methods=[pb.METHOD_TOUCH], keys=["nobody"])
    end.wait(PATIENCE_S)


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"P",
        HTTP2_PREFACE[:10],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        random.Random(1).randbytes(1_000),
        HTTP2_PREFACE + random.Random(2).randbytes(1_000),
        HTTP2_PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x00",
    ],
    ids=["silent", "one-byte", "slow", "http1", "tls", "random", "preface-random", "huge-frame"],
)
def test_whoever_does_not_speak_http2_is_dropped(server: ServerProcess, greeting: bytes) -> None:
    host, port = server.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as client:
        client.sendall(greeting)
        assert _is_served(server.address)
        try:
            while client.recv(65_536):
                pass
        except ConnectionResetError:
            pass
    assert _is_served(server.address)


def test_many_silent_connections_keep_nobody_out(server: ServerProcess) -> None:
    host, port = server.address.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(100)]
    try:
        assert _is_served(server.address)
        for client in silent:
            while client.recv(65_536):
                pass
    finally:
        for client in silent:
            client.close()
    assert _is_served(server.address)


def test_headers_over_the_limit_are_refused(server: ServerProcess) -> None:
    with Connection(server.address) as connection:
        with pytest.raises(grpc.RpcError) as caught:
            connection.storage.Get(pb.GetRequest(key="k0"), metadata=(("x-long", "x" * 100 * KIB),), timeout=PATIENCE_S)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert _is_served(server.address)


def test_client_that_leaves_in_the_middle_of_a_stream_is_forgotten(server: ServerProcess) -> None:
    for _ in range(20):
        with Connection(server.address) as connection:
            stream = connection.storage.Pipeline(_held_open(threading.Event(), 1))
            assert next(stream).ids
            stream.cancel()
    assert _is_served(server.address)
