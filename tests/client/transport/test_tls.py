"""Channels over TLS, and the sentence for each way in which TLS fails."""

from __future__ import annotations

import asyncio
import ssl

import grpc
import pytest

from petra._transport.channel import Channel
from petra._transport.http2 import GrpcStatus
from petra._transport.responses import OK
from petra.errors import Unavailable
from tests.client.transport.test_channel import Listener
from tests.support.certificates import Certificate, make_certificate
from tests.support.echo_server import CHAT, UNARY, echo_server
from tests.support.tcp_peers import tcp_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(certificate.key.read_bytes(), certificate.certificate.read_bytes())])


def test_calls_over_tls(certificate: Certificate) -> None:
    async def test() -> None:
        async with echo_server("localhost:0", _credentials(certificate)) as echo:
            channel = await Channel.connect("localhost", echo.port, ssl=certificate.client_context())
            request = bytes(range(256)) * 8_192
            assert await channel.unary(UNARY, request, timeout=60) == request
            listener = Listener()
            stream = channel.open(CHAT, listener)
            for number in range(100):
                stream.send(str(number).encode(), last=number == 99)
            assert [await listener.messages.get() for _ in range(100)] == [str(n).encode() for n in range(100)]
            assert await listener.status == GrpcStatus(OK)
            channel.close()
            await channel.wait_closed()

    asyncio.run(test())


def test_the_name_in_the_certificate_may_be_given(certificate: Certificate) -> None:
    async def test() -> None:
        async with echo_server("127.0.0.1:0", _credentials(certificate)) as echo:
            channel = await Channel.connect(
                "127.0.0.1", echo.port, ssl=certificate.client_context(), server_hostname="localhost"
            )
            assert await channel.unary(UNARY, b"x", timeout=60) == b"x"
            channel.close()
            await channel.wait_closed()
            assert await _refusal("127.0.0.1", echo.port, certificate.client_context()) == (
                f"The TLS certificate of 127.0.0.1:{echo.port} cannot be verified: IP address mismatch, certificate is"
                " not valid for '127.0.0.1'."
            )

    asyncio.run(test())


async def _refusal(host: str, port: int, context: ssl.SSLContext | None) -> str:
    with pytest.raises(Unavailable) as raised:
        await Channel.connect(host, port, ssl=context, connect_timeout=60)
    return str(raised.value)


def test_a_certificate_that_is_not_trusted(certificate: Certificate) -> None:
    async def test() -> None:
        async with echo_server("localhost:0", _credentials(certificate)) as echo:
            message = await _refusal("localhost", echo.port, ssl.create_default_context())
        assert message.startswith(f"The TLS certificate of localhost:{echo.port} cannot be verified: self")

    asyncio.run(test())


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_a_server_without_http2(certificate: Certificate, protocols: tuple[str, ...]) -> None:
    async def test() -> None:
        async with tcp_server(_wait, certificate.server_context(*protocols)) as port:
            message = await _refusal("localhost", port, certificate.client_context())
        assert message == f"localhost:{port} speaks TLS but does not offer HTTP/2 (ALPN h2)."

    asyncio.run(test())


async def _wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_tls_to_a_server_without_it(certificate: Certificate) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def test() -> None:
        async with tcp_server(answer) as port:
            message = await _refusal("127.0.0.1", port, certificate.client_context())
        assert message == f"127.0.0.1:{port} does not speak TLS. Connect without it, or look at the port."

    asyncio.run(test())


def test_a_server_that_hangs_up_in_the_handshake(certificate: Certificate) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async def test() -> None:
        async with tcp_server(hang_up) as port:
            message = await _refusal("127.0.0.1", port, certificate.client_context())
        assert message.startswith(f"127.0.0.1:{port} cannot be reached: ")

    asyncio.run(test())


def test_no_tls_to_a_server_with_it(certificate: Certificate) -> None:
    async def test() -> None:
        async with echo_server("localhost:0", _credentials(certificate)) as echo:
            message = await _refusal("localhost", echo.port, None)
        assert message in {
            f"localhost:{echo.port} does not speak HTTP/2: it answers in TLS.",
            f"localhost:{echo.port} closed the connection.",
        }

    asyncio.run(test())


def test_the_server_hangs_up_later(certificate: Certificate) -> None:
    async def test() -> None:
        lost: asyncio.Queue[Unavailable] = asyncio.Queue()
        async with echo_server("localhost:0", _credentials(certificate)) as echo:
            channel = await Channel.connect(
                "localhost", echo.port, ssl=certificate.client_context(), on_lost=lost.put_nowait
            )
            assert await channel.unary(UNARY, b"x", timeout=60) == b"x"
        assert f"localhost:{echo.port}" in str(await lost.get())
        await channel.wait_closed()

    asyncio.run(test())
