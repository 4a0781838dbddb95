"""A client process that writes a range of the keys by SetMany, several calls in flight.

Started as `python -m bench.large.load SETTINGS` with settings in JSON. After every part it prints `acknowledged N`:
all keys with a number below N are acknowledged. At the end it prints `done`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

import grpc.aio

from bench.large.keys import key, value
from bench.petra import SERVICE
from petra.v1 import storage_pb2

_BATCH = 500
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Which keys to write: numbers from `first` up to `end`, without it."""

    address: str
    first: int
    end: int
    durable: bool
    in_flight: int = 8


class Loader:
    """Writes the range in order, a batch at a time for each task."""

    def __init__(self, settings: Settings, channel: grpc.aio.Channel) -> None:
        self._durability = storage_pb2.DURABILITY_FSYNC if settings.durable else storage_pb2.DURABILITY_BUFFERED
        self._end = settings.end
        self._set_many: grpc.aio.UnaryUnaryMultiCallable[storage_pb2.SetManyRequest, bytes] = channel.unary_unary(
            SERVICE + "SetMany", request_serializer=storage_pb2.SetManyRequest.SerializeToString
        )
        self._batches = iter(range(settings.first, settings.end, _BATCH))
        self._under_way: set[int] = set()
        self._next = settings.first

    async def load(self) -> None:
        """Writes batches until none is left."""
        for first in self._batches:
            end = min(first + _BATCH, self._end)
            self._under_way.add(first)
            self._next = end
            items = [storage_pb2.SetItem(key=key(number), value=value(number)) for number in range(first, end)]
            await self._set_many(
                storage_pb2.SetManyRequest(items=items, durability=self._durability), timeout=_TIMEOUT_S
            )
            self._under_way.remove(first)
            print(f"acknowledged {min(self._under_way, default=self._next)}", flush=True)


async def _main(settings: Settings) -> None:
    async with grpc.aio.insecure_channel(settings.address) as channel:
        loader = Loader(settings, channel)
        await asyncio.gather(*(loader.load() for _ in range(settings.in_flight)))
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(Settings(**json.loads(sys.argv[1]))))
