"""The blocking client."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from petra._transport import admin
from petra._transport.arguments import client_timeout, namespace_name
from petra._transport.blocking import BlockingBinding
from petra._transport.calls import Address
from petra._transport.target import parse_target
from petra.server_info import ActorInfo, ServerInfo
from petra.sync.objects import Namespace
from petra.values import Codec, Durability, JSONCodec, Seconds, to_timeout


class Client(Namespace):
    """A client of one server, for threads. The methods on it are those of the flat keys of its namespace.

    Any number of threads may share it, and calls that they make at the same time share messages. It needs no event
    loop of yours, and may be used inside of one (which it blocks meanwhile). It connects when it is first needed,
    connects anew when the connection is lost, and works in a process that is forked off.

    Use it as `with Client(...) as client`, or close it.
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
        binding = BlockingBinding(
            parse_target(address, tls),
            timeout=client_timeout(timeout, "timeout"),
            connect_timeout=client_timeout(connect_timeout, "connect_timeout"),
        )
        super().__init__(
            binding, Address(namespace_name(namespace), ""), JSONCodec() if codec is None else codec, durability
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def namespace(self, name: str) -> Namespace:
        """A handle of a namespace. Nothing is made or asked: a namespace is there when it holds something."""
        return Namespace(self._binding, Address(namespace_name(name), ""), self._codec, self._durability)

    def namespaces(self, *, prefix: str = "", timeout: Seconds | None = None) -> Iterator[str]:
        """Iterates over the names of the namespaces that hold at least one entry, in the order of their bytes."""
        after, more = "", True
        while more:
            request = admin.namespaces_request(prefix, after)
            answer = self._binding.unary(admin.LIST_NAMESPACES, request, to_timeout(timeout))
            names, more = admin.read_namespaces(answer)
            for name in names:
                yield name
                after = name

    def info(self, *, timeout: Seconds | None = None) -> ServerInfo:
        """What the server is, and how it is doing."""
        return admin.read_info(self._binding.unary(admin.GET_INFO, b"", to_timeout(timeout)))

    def actors(self, *, timeout: Seconds | None = None) -> list[ActorInfo]:
        """The server's actors, in the order of their slots, with their load and cache."""
        return admin.read_actors(self._binding.unary(admin.DESCRIBE_ACTORS, b"", to_timeout(timeout)))

    def connect(self, *, timeout: Seconds | None = None) -> None:
        """Connects now. Raises Unavailable when the first attempt fails, instead of trying again as calls do."""
        self._binding.connect(to_timeout(timeout))

    def close(self) -> None:
        """Ends the connection. Whoever waits gets ClientClosed, and so do later calls. It may be called again."""
        self._binding.close()
