"""The asynchronous client."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from petra._transport import admin
from petra._transport.arguments import client_timeout, namespace_name
from petra._transport.binding import Binding
from petra._transport.calls import Address
from petra._transport.target import parse_target
from petra.objects import AsyncNamespace
from petra.server_info import ActorInfo, ServerInfo
from petra.values import Codec, Durability, JSONCodec, Seconds, to_timeout


class AsyncClient(AsyncNamespace):
    """A client of one server, for asyncio. The methods on it are those of the flat keys of its namespace.

    Calls made in the same tick of the event loop share a message, so a program with many tasks is packed by itself.
    It connects when it is first needed, connects anew when the connection is lost, and may be made anywhere, also
    before a fork or outside of an event loop. It belongs to one running loop at a time.

    Use it as `async with AsyncClient(...) as client`, or close it.
    """

    def __init__(
        self,
        address: str = "localhost:7475",
        *,
        namespace: str = "default",
        timeout: Seconds = 5.0,
        connect_timeout: Seconds = 5.0,
        durability: Durability | None = None,
        codec: Codec | None = None,
        tls: bool | ssl.SSLContext = False,
    ) -> None:
        """Makes a client of the server at `address`, a "host:port". Nothing is sent yet.

        `timeout` bounds each call with all its attempts, unless the call names its own, and `connect_timeout` each
        attempt to connect; in seconds, or as timedeltas. `durability` is "fsync" (the default) or "buffered".
        `codec` writes and reads values: JSONCodec() unless another is given. `tls` is True for TLS with the system's
        certificates, or an SSLContext. Raises InvalidArgument.
        """
        binding = Binding(
            parse_target(address, tls),
            timeout=client_timeout(timeout, "timeout"),
            connect_timeout=client_timeout(connect_timeout, "connect_timeout"),
        )
        super().__init__(
            binding, Address(namespace_name(namespace), ""), JSONCodec() if codec is None else codec, durability
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def namespace(self, name: str) -> AsyncNamespace:
        """A handle of a namespace. Nothing is made or asked: a namespace is there when it holds something."""
        return AsyncNamespace(self._binding, Address(namespace_name(name), ""), self._codec, self._durability)

    async def namespaces(self, *, prefix: str = "", timeout: Seconds | None = None) -> AsyncIterator[str]:
        """Iterates over the names of the namespaces that hold at least one entry, in the order of their bytes."""
        after, more = "", True
        while more:
            request = admin.namespaces_request(prefix, after)
            answer = await self._binding.unary(admin.LIST_NAMESPACES, request, to_timeout(timeout))
            names, more = admin.read_namespaces(answer)
            for name in names:
                yield name
                after = name

    async def info(self, *, timeout: Seconds | None = None) -> ServerInfo:
        """What the server is, and how it is doing."""
        return admin.read_info(await self._binding.unary(admin.GET_INFO, b"", to_timeout(timeout)))

    async def actors(self, *, timeout: Seconds | None = None) -> list[ActorInfo]:
        """The server's actors, in the order of their slots, with their load and cache."""
        return admin.read_actors(await self._binding.unary(admin.DESCRIBE_ACTORS, b"", to_timeout(timeout)))

    async def connect(self, *, timeout: Seconds | None = None) -> None:
        """Connects now. Raises Unavailable when the first attempt fails, instead of trying again as calls do."""
        await self._binding.connect(to_timeout(timeout))

    async def close(self) -> None:
        """Ends the connection. Whoever waits gets ClientClosed, and so do later calls. It may be called again."""
        await self._binding.close()
