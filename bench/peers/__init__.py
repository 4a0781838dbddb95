"""The servers that `bench server` compares, each with the same work behind the same names."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.runs import Sample

# The contests. A peer offers a measurement for each that it can take part in.
GET = "get"
SET = "set"
GET_MANY = "get-many"
SET_MANY = "set-many"
GET_MANY_OBJECT = "get-many-object"
SET_MANY_OBJECT = "set-many-object"
PIPELINE_GET = "pipeline-get"
PIPELINE_SET = "pipeline-set"

Measure = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Work:
    """What every peer is given to do.

    A contest of single keys has `in_flight` calls under way on `connections`. A contest of batches has
    `batches_in_flight`, split over `batch_sets` sets of keys, each sent by a load generator of its own.
    """

    scratch: Path
    seconds: float
    value_bytes: int = 100
    connections: int = 4
    in_flight: int = 64
    batch: int = 100
    batch_sets: int = 4
    batches_in_flight: int = 16

    @property
    def key(self) -> str:
        """The one key of the single-key contests."""
        return "bench:000000000000"

    def value(self, key: str) -> bytes:
        """The value of a key: printable, so that it can stand in any protocol and on any command line."""
        seed = zlib.crc32(key.encode())
        return (f"{seed:08x}" * (self.value_bytes // 8 + 1))[: self.value_bytes].encode()

    def batch_keys(self, batch_set: int) -> list[str]:
        """The keys of a batch; no two sets share one."""
        return [f"bench:{batch_set:04d}{number:08d}" for number in range(1, self.batch + 1)]

    def payload(self, name: str, body: bytes) -> Path:
        """A file that holds what a load generator sends."""
        path = self.scratch / f"{name}.payload"
        path.write_bytes(body)
        return path


class Peer(Protocol):
    """A server of a comparison. Entering it starts the server and puts the keys there; leaving it ends the server.

    Entering raises Unavailable, with how to get it, when it is not installed.
    """

    @property
    def name(self) -> str:
        """As tables show it."""

    @property
    def durability(self) -> str:
        """When it acknowledges a write, and what says so."""

    def version(self) -> str:
        """Its release."""

    def measures(self) -> Mapping[str, Measure]:
        """A measurement for each contest that it takes part in."""

    def check(self) -> None:
        """Reads back what the contests wrote. BenchError when something else is there."""

    def __enter__(self) -> Peer: ...

    def __exit__(self, *exception: object) -> None: ...


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, for servers that cannot choose one and tell it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port
