"""A client process that reads uniformly random keys, one by one or several in flight, and checks every value.

Started as `python -m bench.large.reads SETTINGS` with settings in JSON; prints the figures in JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass

import grpc.aio

from bench.large.keys import key, value
from bench.petra import SERVICE
from bench.process import BenchError
from bench.runs import percentile
from petra.v1 import storage_pb2

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read: numbers from `first` up to `end`, without it."""

    address: str
    first: int
    end: int
    seconds: float
    in_flight: int


async def _read(settings: Settings, channel: grpc.aio.Channel, chance: random.Random) -> list[float]:
    get = channel.unary_unary(
        SERVICE + "Get",
        request_serializer=storage_pb2.GetRequest.SerializeToString,
        response_deserializer=storage_pb2.GetResponse.FromString,
    )
    durations: list[float] = []
    began = now = time.perf_counter()
    while now - began < settings.seconds:
        number = chance.randrange(settings.first, settings.end)
        request = storage_pb2.GetRequest(key=key(number))
        sent = time.perf_counter()
        response = await get(request, timeout=_TIMEOUT_S)
        now = time.perf_counter()
        durations.append(now - sent)
        if response.entry.value != value(number):
            raise BenchError(f"key {number} does not hold its value")
    return durations


async def _main(settings: Settings) -> None:
    chance = random.Random(time.time_ns())
    async with grpc.aio.insecure_channel(settings.address) as channel:
        await channel.channel_ready()
        began = time.perf_counter()
        read = await asyncio.gather(*(_read(settings, channel, chance) for _ in range(settings.in_flight)))
        span = time.perf_counter() - began
    durations = sorted(duration for of_task in read for duration in of_task)
    figures = {
        "rate": len(durations) / span,
        "p50_ms": percentile(durations, 0.50) * 1000,
        "p99_ms": percentile(durations, 0.99) * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(_main(Settings(**json.loads(sys.argv[1]))))
