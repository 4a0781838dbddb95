"""A client process that fills Pipeline streams: messages made beforehand, one in flight on each stream.

What it costs to make messages belongs to a client library and not to the server, so the bytes are made before the
clock starts; what it costs to read answers stays in, because every answer is checked.
Started as `python -m bench.pipeline_load SETTINGS` with settings in JSON; prints the figures in JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import TypeAlias

import grpc.aio

from bench.petra import SERVICE
from bench.process import BenchError
from bench.runs import percentile
from petra.v1 import storage_pb2

# So many different messages a stream cycles through; with 100 operations each, thousands of different keys.
_MESSAGES = 16

_Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do: `mode` is get or set."""

    address: str
    mode: str
    streams: int
    batch: int
    value_bytes: int
    seconds: float


def _message(settings: Settings, mode: str, stream: int, number: int) -> bytes:
    count = settings.batch
    keys = [f"pipeline:{stream:02d}{number:04d}{index:06d}" for index in range(count)]
    if mode == "get":
        return storage_pb2.PipelineRequest(
            ids=range(1, count + 1), methods=[storage_pb2.METHOD_GET] * count, keys=keys
        ).SerializeToString()
    values = [key.encode().ljust(settings.value_bytes, b".") for key in keys]
    return storage_pb2.PipelineRequest(
        ids=range(1, count + 1), methods=[storage_pb2.METHOD_SET] * count, keys=keys, values=values
    ).SerializeToString()


async def _exchange(settings: Settings, mode: str, call: _Call, message: bytes) -> None:
    """Sends a message and reads until each of its operations is answered, and answered well."""
    await call.write(message)
    waiting = settings.batch
    while waiting:
        data = await call.read()
        if not isinstance(data, bytes):
            raise BenchError(f"the stream ended: {await call.code()} {await call.details()}")
        answer = storage_pb2.PipelineResponse.FromString(data)
        if answer.errors:
            raise BenchError(f"an operation failed: {answer.errors[0]}")
        if len(answer.versions) != len(answer.ids) or 0 in answer.versions:
            raise BenchError(f"a {mode} was answered without a version")
        if mode == "get" and sum(map(len, answer.values)) != settings.value_bytes * len(answer.ids):
            raise BenchError("a get was answered with another value")
        waiting -= len(answer.ids)


async def _fill(
    settings: Settings, channel: grpc.aio.Channel, stream: int, begin: asyncio.Barrier
) -> tuple[float, float, list[float]]:
    """Runs one stream. When it began, when it ended, and how many seconds each message took."""
    messages = [_message(settings, settings.mode, stream, number) for number in range(_MESSAGES)]
    # Without serializers grpc takes the bytes of a message and gives bytes back.
    call: _Call = channel.stream_stream(SERVICE + "Pipeline")()
    for number in range(_MESSAGES):
        await _exchange(settings, "set", call, _message(settings, "set", stream, number))
    await begin.wait()
    durations: list[float] = []
    began = now = time.perf_counter()
    while now - began < settings.seconds:
        sent = now
        await _exchange(settings, settings.mode, call, messages[len(durations) % _MESSAGES])
        now = time.perf_counter()
        durations.append(now - sent)
    await call.done_writing()
    return began, now, durations


async def _main(settings: Settings) -> None:
    async with grpc.aio.insecure_channel(settings.address) as channel:
        begin = asyncio.Barrier(settings.streams)
        filled = await asyncio.gather(*(_fill(settings, channel, stream, begin) for stream in range(settings.streams)))
    durations = sorted(duration for _, _, of_stream in filled for duration in of_stream)
    span = max(ended for _, ended, _ in filled) - min(began for began, _, _ in filled)
    figures = {
        "rate": len(durations) * settings.batch / span,
        "p50_ms": percentile(durations, 0.50) * 1000,
        "p99_ms": percentile(durations, 0.99) * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(_main(Settings(**json.loads(sys.argv[1]))))
