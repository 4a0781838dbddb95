"""The HTTP server on the loop of the actors: uvicorn, without its signal handlers, its log and its command line."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from petra_server.errors import StartupError

# What uvicorn logs are faults of clients, which get an answer.
_LOG_LEVEL = "critical"
_BACKLOG = 2048
# How long a connection may be silent between requests.
_KEEP_ALIVE_SECONDS = 75
# For answers on their way out, once nothing is asked any more.
_SHUTDOWN_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """See petra_server.settings for the meaning of each; the certificates are those of gRPC."""

    host: str
    port: int
    max_connections: int
    max_head_bytes: int
    head_seconds: float
    tls_cert: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None


def _impatient(head_seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, but with a bound on how long a connection may take for the head of a request."""

    class Impatient(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _look(self) -> None:
            """A head is waited for while there is no request under way; between requests uvicorn has its own bound."""
            # It is None before the first request, whatever its type says.
            if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
                self._stop()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(head_seconds, self.transport.close)

        def _stop(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return Impatient


class HttpServer:
    """Listens from the moment that it is made; `start` serves, `stop` ends that."""

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        """Raises StartupError."""
        self._socket = _listening(options.host, options.port)
        host, port = self._socket.getsockname()[:2]
        # Host and port it listens on.
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._server = _Embedded(_config(app, options))
        except (OSError, ssl.SSLError) as error:
            self._socket.close()
            raise StartupError(f"The TLS files cannot be used for HTTP: {error}. See their paths and rights.") from None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serves. Returns when connections are taken."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="petra-http")
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait((self._serving, up), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Takes nothing more, and closes all connections when their answers have left."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()


class _Embedded(uvicorn.Server):
    """uvicorn as a guest: the signals are the host's, and the host is told when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _config(app: ASGIApp, options: HttpOptions) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        # Python's own parser, whose heads are bounded; the one in C has no bound.
        http=_impatient(options.head_seconds),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=_LOG_LEVEL,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=options.max_connections,
        h11_max_incomplete_event_size=options.max_head_bytes,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        ssl_ca_certs=str(options.tls_client_ca) if options.tls_client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if options.tls_client_ca else ssl.CERT_NONE,
    )
    config.load()
    return config


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError:
        raise StartupError(
            f"The address {host}:{port} cannot be listened on: it is in use, or is not one of this machine."
            " Stop the other server, or name another address with --http."
        ) from None
    return listener
