"""Where an adapter finds its server, as one line of text: what a configuration file or a framework's setting can hold.

    localhost:7475
    petra://localhost:7475/?namespace=shop&timeout=2&durability=fsync&tls=true

Pure: the clients that it makes connect when they are first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args
from urllib.parse import parse_qsl, urlsplit

from petra import AsyncClient, Client
from petra.errors import InvalidArgument
from petra.values import Durability, Seconds

DEFAULT_ADDRESS: Final = "localhost:7475"

_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
OPTIONS: Final = ("namespace", "timeout", "durability", "tls")


@dataclass(frozen=True, slots=True)
class Location:
    """A server, a namespace on it, and how its clients talk to it. `timeout` is that of each call."""

    namespace: str
    address: str = DEFAULT_ADDRESS
    timeout: Seconds = 5.0
    durability: Durability | None = None
    tls: bool = False

    def client(self) -> Client:
        """A client for threads. Nothing is sent yet. Raises InvalidArgument."""
        return Client(
            self.address, namespace=self.namespace, timeout=self.timeout, durability=self.durability, tls=self.tls
        )

    def async_client(self) -> AsyncClient:
        """A client for asyncio. Nothing is sent yet. Raises InvalidArgument."""
        return AsyncClient(
            self.address, namespace=self.namespace, timeout=self.timeout, durability=self.durability, tls=self.tls
        )


def parse_location(text: str, usual: Location, options: Mapping[str, object] | None = None) -> Location:
    """Reads a `host:port`, or a URL whose query has options. What it leaves out is as in `usual`.

    `options` are more of the same, and overrule those of the URL. Raises InvalidArgument for what is none of them.
    """
    chosen: dict[str, object] = {}
    address = text
    if "://" in text:
        parts = urlsplit(text)
        if parts.path not in {"", "/"} or parts.fragment or "@" in parts.netloc:
            raise InvalidArgument(
                f"{text!r} is no address of a server. Write petra://host:port/?namespace=name.", field="location"
            )
        address = parts.netloc
        chosen = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    chosen |= options or {}
    return _with_options(replace(usual, address=address or usual.address), chosen)


def _with_options(location: Location, chosen: Mapping[str, object]) -> Location:
    for name, value in chosen.items():
        match name:
            case "namespace":
                location = replace(location, namespace=str(value))
            case "timeout":
                location = replace(location, timeout=_seconds(value))
            case "durability":
                location = replace(location, durability=_durability(value))
            case "tls":
                location = replace(location, tls=_truth(value))
            case _:
                raise InvalidArgument(f"{name!r} is no option; there are {', '.join(OPTIONS)}.", field=name)
    return location


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise InvalidArgument(f"timeout is a number of seconds, not {value!r}.", field="timeout") from None


def _durability(value: object) -> Durability:
    for known in get_args(Durability):
        if value == known:
            found: Durability = known
            return found
    raise InvalidArgument(f"durability is fsync or buffered, not {value!r}.", field="durability")


def _truth(value: object) -> bool:
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise InvalidArgument(f"tls is true or false, not {value!r}.", field="tls")
    return word in _TRUE
