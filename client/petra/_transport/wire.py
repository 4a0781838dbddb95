"""The socket of a connection on an asyncio loop: bytes to HTTP/2 and back, keepalive, and the end.

Whatever ends it (the peer, the network, a violation, silence, or this side) it ends once: first every stream is
closed, then the owner is told, unless it was the owner's wish. Loop thread only.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from petra._transport import dialing
from petra._transport.http2 import GrpcStatus, Http2Connection
from petra._transport.responses import UNAVAILABLE
from petra.errors import Unavailable

USER_AGENT: Final = "petra-python"

# Bytes in the socket's buffer above which streams wait, and below which they go on.
_HIGH_WATER: Final = 256 << 10
_LOW_WATER: Final = 64 << 10
# What is read from the socket at a time. Into a buffer that stays: for asyncio.Protocol, asyncio allocates and gives
# back 256 KiB with every read, which costs more than all the rest of a small one.
_RECEIVE_BYTES: Final = 256 << 10
# How long the peer has to take what was written before the end.
_CLOSE_SECONDS: Final = 1.0


class Wire(asyncio.BufferedProtocol):
    """The asyncio protocol of one connection."""

    def __init__(
        self,
        peer: str,
        authority: str,
        *,
        secure: bool,
        keepalive_seconds: float,
        pong_seconds: float,
    ) -> None:
        # Set once.
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._secure = secure
        self._keepalive_seconds = keepalive_seconds
        self._pong_seconds = pong_seconds
        self.http2 = Http2Connection(
            peer=peer, authority=authority, secure=secure, user_agent=USER_AGENT, over=self._over
        )
        # Done when the peer has shown that it speaks HTTP/2.
        self.greeting: asyncio.Future[None] = self._loop.create_future()
        # Done when the socket is closed.
        self.closed: asyncio.Future[None] = self._loop.create_future()
        # Owned by the loop.
        self.on_lost: Callable[[Unavailable], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._ended = False
        self._heard = self._loop.time()
        # When a sign of life was asked for that has not come yet.
        self._asked: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._ended:
            self._transport.abort()
            return
        if self._secure:
            tls = transport.get_extra_info("ssl_object")
            protocol = tls.selected_alpn_protocol() if isinstance(tls, ssl.SSLObject) else None
            if protocol != "h2":
                self.end(f"{self._peer} speaks TLS but does not offer HTTP/2 (ALPN h2).")
                return
        self._transport.set_write_buffer_limits(high=_HIGH_WATER, low=_LOW_WATER)
        self.http2.start(self._transport.write)
        self._watch(self._keepalive_seconds)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        self.http2.receive(bytes(self._buffer[:nbytes]))
        if not self.greeting.done() and self.http2.greeted:
            self.greeting.set_result(None)

    def pause_writing(self) -> None:
        self.http2.outbox.pause()

    def resume_writing(self) -> None:
        self.http2.resume_output()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        message = dialing.lost(exc, self._peer)
        if self.http2.draining:
            message = f"{message} Before, {self.http2.draining.message}"
        self.end(message)

    # The end.

    def _over(self) -> None:
        if self.http2.ended is not None:
            self.end(self.http2.ended.message)
        elif self.http2.draining is not None:
            self.end(self.http2.draining.message)

    def end(self, message: str, *, at_once: bool = False) -> None:
        """Ends the connection; what was written still goes out, unless `at_once`."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        transport = self._transport
        if transport is not None:
            transport.abort() if at_once else transport.close()
            if not at_once and not self.closed.done():
                self._timer = self._loop.call_later(_CLOSE_SECONDS, transport.abort)
                self.closed.add_done_callback(lambda _: self._timer.cancel() if self._timer else None)
        try:
            self.http2.end(GrpcStatus(UNAVAILABLE, message))
        finally:
            if not self.greeting.done():
                self.greeting.set_exception(Unavailable(message))
                # Nobody may wait for it any more.
                self.greeting.exception()
            on_lost, self.on_lost = self.on_lost, None
            if on_lost is not None:
                on_lost(Unavailable(message))

    def abandon(self) -> None:
        """Lets go of the connection in a forked process: nothing here will reach it, the loop, or the handlers."""
        self._ended = True
        self.on_lost = None
        self.http2.outbox.write = _nowhere
        self.http2.ended = GrpcStatus(UNAVAILABLE, "The connection belongs to the parent process.")
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                dialing.disown(sock.fileno())
            _abandoned.append(self._transport)

    # Keepalive.

    def _watch(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Asks for a sign of life when calls wait and nothing was heard for long."""
        if self._ended:
            return
        now = self._loop.time()
        if not self.http2.streams:
            self._heard = now
        if self._asked is not None and self._heard > self._asked:
            self._asked = None
        quiet = now - self._heard
        if quiet < self._keepalive_seconds:
            self._watch(self._keepalive_seconds - quiet)
            return
        if self._asked is None:
            self._asked = now
            self.http2.ping()
        left = self._asked + self._pong_seconds - now
        if left > 0:
            self._watch(min(left, self._keepalive_seconds))
        else:
            seconds = self._keepalive_seconds + self._pong_seconds
            self.end(f"{self._peer} was silent for {seconds:g} s, so the connection was given up.", at_once=True)


# To collect a transport as garbage would complain that it is not closed.
_abandoned: list[asyncio.Transport] = []


def _nowhere(data: bytes) -> None:
    """Drops it."""
