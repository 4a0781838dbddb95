"""What can go wrong while a channel connects, in one sentence each; and connections that fall silent, or are forked."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from petra._transport import frames
from petra._transport.channel import Channel
from petra._transport.http2 import GrpcStatus
from petra._transport.responses import UNAVAILABLE
from petra.errors import Unavailable
from tests.client.transport.test_channel import Listener
from tests.support import forked_channel
from tests.support.echo_server import CHAT, UNARY, echo_server
from tests.support.tcp_peers import GREETING, greeting_server, read_frame, tcp_server


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else is given."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def refusal(host: str, port: int, *, connect_timeout: float = 60) -> str:
    with pytest.raises(Unavailable) as raised:
        await Channel.connect(host, port, connect_timeout=connect_timeout)
    return str(raised.value)


def test_nobody_listens() -> None:
    with closed_port() as port:
        message = asyncio.run(refusal("127.0.0.1", port))
    assert message == f"127.0.0.1:{port} refused the connection. Is the server running there?"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64, "a..b"])
def test_the_host_is_not_known(host: str) -> None:
    message = asyncio.run(refusal(host, 7475))
    assert message.startswith(f"{host}:7475 cannot be reached: the host name is not known (")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak HTTP/2: it answers 'HTTP/1.1 400 Bad Request'."),
        (b"\x15\x03\x01\x00\x02\x02\x28...", "does not speak HTTP/2: it answers in TLS."),
        (b"", "closed the connection."),
        (b"HTTP", "closed the connection."),
        (GREETING + frames.frame(frames.PING, 0, 0), "broke the HTTP/2 protocol: PING of 0 bytes."),
    ],
)
def test_the_peer_is_something_else(answer: bytes, sentence: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(frames.PREFACE))
        writer.write(answer)
        await writer.drain()

    async def test() -> None:
        async with tcp_server(talk) as port:
            message = await refusal("127.0.0.1", port)
        assert message == f"127.0.0.1:{port} {sentence}"

    asyncio.run(test())


def test_the_peer_says_nothing() -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async def test() -> None:
        async with tcp_server(talk) as port:
            message = await refusal("127.0.0.1", port, connect_timeout=0.2)
            # The socket does not stay behind.
            await gone.wait()
        assert message == f"127.0.0.1:{port} did not answer within 0.2 s."

    asyncio.run(test())


def test_the_peer_goes_away_at_once() -> None:
    """A server that shuts down greets, and sends the next one away."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING + frames.goaway(frames.NO_ERROR, ""))
        await reader.read()

    async def test() -> None:
        async with tcp_server(talk) as port:
            message = await refusal("127.0.0.1", port)
        assert message == f"127.0.0.1:{port} takes no more calls on this connection."

    asyncio.run(test())


def test_a_peer_that_greets_and_hangs_up_is_noticed_once() -> None:
    """Either nothing is connected, or the connection is lost: never a dead one that nobody is told about."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)

    async def test() -> None:
        lost: asyncio.Queue[Unavailable] = asyncio.Queue()
        async with tcp_server(talk) as port:
            for _ in range(50):
                with suppress(Unavailable):
                    channel = await Channel.connect("127.0.0.1", port, on_lost=lost.put_nowait)
                    assert f"127.0.0.1:{port}" in str(await lost.get())
                    assert not channel.is_open
            assert lost.empty()

    asyncio.run(test())


def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing_behind() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        gone.set()

    async def test() -> None:
        async with tcp_server(talk) as port:
            connecting = asyncio.create_task(Channel.connect("127.0.0.1", port))
            await arrived.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await gone.wait()

    asyncio.run(test())


def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with echo_server() as echo:
            with closed_port() as port:
                addresses = [("127.0.0.1", port), ("127.0.0.1", echo.port)]

                async def resolve(*args: object, **options: object) -> list[tuple[object, ...]]:
                    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

                monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
                channel = await Channel.connect("two.example", 7475)
                assert await channel.unary(UNARY, b"x", timeout=60) == b"x"
                channel.close()
                await channel.wait_closed()
                addresses.pop()
                assert await refusal("one.example", 7475) == (
                    "one.example:7475 refused the connection. Is the server running there?"
                )

    asyncio.run(test())


def test_an_ipv6_address() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")

    async def test() -> None:
        async with echo_server("[::1]:0") as echo:
            channel = await Channel.connect("::1", echo.port)
            assert channel.peer == f"[::1]:{echo.port}"
            assert await channel.unary(UNARY, b"x", timeout=60) == b"x"
            channel.close()
            await channel.wait_closed()

    asyncio.run(test())


def test_a_peer_that_falls_silent_is_given_up() -> None:
    async def test() -> None:
        pings: asyncio.Queue[bytes] = asyncio.Queue()
        lost: asyncio.Queue[Unavailable] = asyncio.Queue()
        async with greeting_server(pings, answers=False) as port:
            channel = await Channel.connect(
                "127.0.0.1", port, on_lost=lost.put_nowait, keepalive_seconds=0.1, pong_seconds=0.15
            )
            listener = Listener()
            channel.open(CHAT, listener)
            error = await lost.get()
            message = f"127.0.0.1:{port} was silent for 0.25 s, so the connection was given up."
            assert str(error) == message
            assert listener.status.result() == GrpcStatus(UNAVAILABLE, message)
            assert not channel.is_open
            assert pings.qsize() == 1
            await channel.wait_closed()

    asyncio.run(test())


def test_a_peer_that_answers_pings_is_kept() -> None:
    async def test() -> None:
        pings: asyncio.Queue[bytes] = asyncio.Queue()
        lost: asyncio.Queue[Unavailable] = asyncio.Queue()
        async with greeting_server(pings, answers=True) as port:
            channel = await Channel.connect(
                "127.0.0.1", port, on_lost=lost.put_nowait, keepalive_seconds=0.02, pong_seconds=60
            )
            listener = Listener()
            channel.open(CHAT, listener)
            for _ in range(5):
                await pings.get()
            assert channel.is_open
            assert lost.empty()
            assert not listener.status.done()
            channel.close()
            await channel.wait_closed()

    asyncio.run(test())


def test_a_connection_without_calls_is_not_asked_for_signs_of_life() -> None:
    async def test() -> None:
        pings: asyncio.Queue[bytes] = asyncio.Queue()
        async with greeting_server(pings, answers=True) as port:
            idle = await Channel.connect("127.0.0.1", port, keepalive_seconds=0.01)
            busy = await Channel.connect("127.0.0.1", port, keepalive_seconds=0.05)
            busy.open(CHAT, Listener())
            # While the one is asked three times, the other would have been asked a dozen times.
            for _ in range(3):
                await pings.get()
            assert pings.empty()
            for channel in (idle, busy):
                channel.close()
                await channel.wait_closed()

    asyncio.run(test())


def test_a_peer_that_takes_nothing_does_not_hold_up_the_end() -> None:
    """What was written cannot go out, and the socket is closed all the same."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            frames.settings([(frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW)]) + frames.window_update(0, 1 << 30)
        )
        await asyncio.Event().wait()

    async def test() -> None:
        async with tcp_server(talk) as port:
            channel = await Channel.connect("127.0.0.1", port)
            listener = Listener()
            stream = channel.open(CHAT, listener)
            stream.send(bytes(64 << 20))
            assert stream.backlog_bytes
            channel.close()
            assert listener.status.done()
            await channel.wait_closed()

    asyncio.run(test())


def test_a_reset_connection_names_its_peer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readexactly(len(frames.PREFACE))
        while (await read_frame(reader)).kind != frames.HEADERS:
            pass
        # No lingering: the socket is reset.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def test() -> None:
        lost: asyncio.Queue[Unavailable] = asyncio.Queue()
        async with tcp_server(talk) as port:
            channel = await Channel.connect("127.0.0.1", port, on_lost=lost.put_nowait)
            channel.open(CHAT, Listener())
            assert str(await lost.get()) == (f"The connection to 127.0.0.1:{port} was lost: Connection reset by peer.")

    asyncio.run(test())


def test_a_forked_child_lets_go_without_a_trace() -> None:
    # In a process of its own: one in which grpcio has run cannot be forked.
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-m", forked_channel.__name__],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
