"""Where a server is, and how it is spoken to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from petra.errors import InvalidArgument

DEFAULT_PORT = 7475


@dataclass(frozen=True, slots=True)
class Target:
    """A server's host and port. `tls` is None for plain TCP."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(address: str, tls: bool | ssl.SSLContext) -> Target:
    """A target from `host`, `host:port` or `[IPv6]:port`. Raises InvalidArgument."""
    context = (ssl.create_default_context() if tls else None) if isinstance(tls, bool) else tls
    host, port = _split(address)
    if not host or any(character.isspace() or character == "/" for character in host):
        raise _bad(address)
    return Target(host, port, context)


def _split(address: str) -> tuple[str, int]:
    if not isinstance(address, str):
        raise InvalidArgument(f"The address is a str, not {type(address).__name__}.", field="address")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _bad(address)
        return host, _port(address, rest[1:]) if rest else DEFAULT_PORT
    if address.count(":") > 1:
        # An IPv6 address on its own.
        return address, DEFAULT_PORT
    host, colon, port = address.partition(":")
    return host, _port(address, port) if colon else DEFAULT_PORT


def _port(address: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65_536:
        raise _bad(address)
    return int(text)


def _bad(address: str) -> InvalidArgument:
    return InvalidArgument(
        f'{address!r} is no address of a server. Write host:port, such as "localhost:{DEFAULT_PORT}".', field="address"
    )
