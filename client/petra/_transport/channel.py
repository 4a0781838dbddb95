"""A connection to a server, as the layers above see it: connect, open streams, make single calls, close.

Everything that goes wrong is a PetraError. Loop thread only.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, Sequence
from typing import Final

from petra._transport import dialing
from petra._transport.http2 import ConnectionEnded, GrpcStatus, Stream, StreamHandler
from petra._transport.responses import DEADLINE_EXCEEDED
from petra._transport.status import from_status
from petra._transport.wire import Wire
from petra.errors import DeadlineExceeded, InternalError, Unavailable

# With calls under way and nothing heard for so long, the peer is asked for a sign of life, and has so long to give it.
KEEPALIVE_SECONDS: Final = 20.0
PONG_SECONDS: Final = 10.0
# How long to wait for TLS's own farewell after that of HTTP/2, which says all: gRPC servers may send none.
_TLS_GOODBYE_SECONDS: Final = 0.1
# The grpc-timeout header has eight digits.
_LARGEST_TIMEOUT: Final = 99_999_999


class Channel:
    """One HTTP/2 connection. Made by `connect`; when it is lost, another must be made."""

    def __init__(self, wire: Wire, peer: str) -> None:
        """For `connect` only."""
        self._wire = wire
        self._http2 = wire.http2
        self._loop = asyncio.get_running_loop()
        self.peer = peer

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        on_lost: Callable[[Unavailable], None] | None = None,
        connect_timeout: float = 5.0,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        pong_seconds: float = PONG_SECONDS,
    ) -> Channel:
        """Connects, and waits until the peer has shown that it speaks HTTP/2. Raises Unavailable.

        `ssl` asks for TLS; HTTP/2 is set as the protocol that the context negotiates. `on_lost` is called once when
        the connection ends, after its streams are closed, unless `close` or `abort` ended it.
        """
        peer = _address(host, port)
        wire = Wire(
            peer,
            _address(server_hostname or host, port),
            secure=ssl is not None,
            keepalive_seconds=keepalive_seconds,
            pong_seconds=pong_seconds,
        )
        made = False
        try:
            async with asyncio.timeout(connect_timeout):
                await _establish(wire, host, port, peer, ssl, server_hostname)
            made = True
        except TimeoutError:
            raise Unavailable(f"{peer} did not answer within {connect_timeout:g} s.") from None
        except OSError as error:
            raise dialing.unavailable(error, peer) from None
        finally:
            # Whoever is cancelled in the very tick of the greeting has a connection, and nobody to give it to.
            if not made or wire.http2.ended:
                wire.end(f"No connection to {peer}.", at_once=True)
        if wire.http2.ended is not None:
            # It has gone since the greeting, and nobody was told.
            raise Unavailable(wire.http2.ended.message)
        wire.on_lost = on_lost
        return cls(wire, peer)

    @property
    def is_open(self) -> bool:
        """Whether the connection stands; streams may be under way even where no new ones can be opened."""
        return self._http2.ended is None

    @property
    def draining(self) -> bool:
        """Whether the peer takes no more streams on this connection; those under way go on."""
        return self._http2.draining is not None

    def open(
        self,
        path: str,
        handler: StreamHandler,
        metadata: Sequence[tuple[str, str]] = (),
        *,
        timeout: float | None = None,
    ) -> Stream:
        """Begins a call. Raises Unavailable when the connection takes no more, ResourceExhausted when many wait.

        `timeout`, in seconds, is for the server to know; on this side it is the caller's affair.
        """
        if timeout is not None:
            metadata = (("grpc-timeout", _timeout_text(timeout)), *metadata)
        try:
            return self._http2.open(path, handler, metadata)
        except ConnectionEnded as ended:
            raise from_status(ended.status.code, ended.status.message, b"") from None

    async def unary(
        self, path: str, request: bytes, *, timeout: float, metadata: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """Makes a call with one message each way, and at most `timeout` seconds. Raises PetraError."""
        if timeout <= 0:
            raise DeadlineExceeded(f"There is no time left to call {self.peer}.")
        answer = _Answer(self._loop.create_future())
        stream = self.open(path, answer, metadata, timeout=timeout)
        late = GrpcStatus(DEADLINE_EXCEEDED, f"No answer from {self.peer} within {timeout:g} s.")
        timer = self._loop.call_later(timeout, answer.closed, late)
        try:
            stream.send(request, last=True)
            status = await answer.status
        finally:
            timer.cancel()
            stream.cancel()
        if status.code == DEADLINE_EXCEEDED and not status.details:
            # The server's clock may be the first.
            status = late
        if status.code:
            raise from_status(status.code, status.message, status.details)
        if len(answer.messages) != 1:
            raise InternalError(f"{self.peer} answered with {len(answer.messages)} messages instead of one.")
        return answer.messages[0]

    def close(self) -> None:
        """Says goodbye and closes the socket. Streams under way are closed with UNAVAILABLE."""
        self._wire.on_lost = None
        if self._http2.ended is None:
            self._http2.farewell()
        self._wire.end(f"The connection to {self.peer} was closed by this side.")

    def abort(self) -> None:
        """Closes the socket at once. Streams under way are closed with UNAVAILABLE."""
        self._wire.on_lost = None
        self._wire.end(f"The connection to {self.peer} was given up by this side.", at_once=True)

    async def wait_closed(self) -> None:
        """Waits until the socket is closed, after `close` a second at most."""
        await asyncio.shield(self._wire.closed)

    def abandon(self) -> None:
        """Lets go of everything in a forked process, where socket and loop belong to the parent.

        Nothing is sent, closed or unregistered, and no handler is told.
        """
        self._wire.abandon()


async def _establish(
    wire: Wire, host: str, port: int, peer: str, context: tls.SSLContext | None, server_hostname: str | None
) -> None:
    loop = asyncio.get_running_loop()
    sock = await dialing.dial(host, port, peer)
    try:
        if context is None:
            await loop.create_connection(lambda: wire, sock=sock)
        else:
            context.set_alpn_protocols(["h2"])
            await loop.create_connection(
                lambda: wire,
                sock=sock,
                ssl=context,
                server_hostname=server_hostname or host,
                ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS,
            )
    except BaseException:
        sock.close()
        raise
    await asyncio.shield(wire.greeting)


class _Answer:
    """The handler of a unary call."""

    __slots__ = ("messages", "status")

    def __init__(self, status: asyncio.Future[GrpcStatus]) -> None:
        self.status = status
        self.messages: list[bytes] = []

    def message(self, data: bytes) -> None:
        self.messages.append(data)

    def closed(self, status: GrpcStatus) -> None:
        if not self.status.done():
            self.status.set_result(status)

    def writable(self) -> None:
        """There is nothing more to send."""


def _timeout_text(seconds: float) -> str:
    milliseconds = max(1, int(seconds * 1_000))
    if milliseconds <= _LARGEST_TIMEOUT:
        return f"{milliseconds}m"
    return f"{min(milliseconds // 1_000, _LARGEST_TIMEOUT)}S"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
