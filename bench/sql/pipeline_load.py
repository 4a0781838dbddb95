"""64 asyncio tasks that each execute one statement after the other; what is asked in one tick shares a message.

`ADDRESS OBJECTS NAME SECONDS`: the statement's name, and over how many objects the tasks are spread.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

import grpc

from bench.runs import percentile
from bench.sql.work import STATEMENTS
from petra.v1 import sql_pb2, statements_pb2
from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub

TASKS = 64


class _Packer:
    """Sends what was asked since the last message, and hands the answers out."""

    def __init__(self, stream: grpc.aio.StreamStreamCall[pb.PipelineRequest, pb.PipelineResponse]) -> None:
        self._stream = stream
        self._asked: list[tuple[int, bytes]] = []
        self._wake = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._ids = itertools.count(1)

    async def ask(self, request: bytes) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        id_ = next(self._ids)
        self._waiting[id_] = future
        self._asked.append((id_, request))
        self._wake.set()
        return await future

    async def write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            asked, self._asked = self._asked, []
            await self._stream.write(
                pb.PipelineRequest(
                    ids=[id_ for id_, _ in asked],
                    methods=[pb.METHOD_EXECUTE] * len(asked),
                    values=[request for _, request in asked],
                )
            )

    async def read(self) -> None:
        async for answer in self._stream:
            for id_, value in zip(answer.ids, answer.values, strict=True):
                self._waiting.pop(id_).set_result(value)
            for error in answer.errors:
                self._waiting.pop(error.id).set_exception(RuntimeError(error.message))


async def measure(address: str, objects: int, name: str, seconds: float) -> dict[str, float]:
    """The rate of a statement, and its latencies."""
    latencies: list[float] = []
    requests = [
        sql_pb2.ExecuteRequest(
            object=f"bench-{number}", statements=[statements_pb2.Statement(sql=STATEMENTS[name])]
        ).SerializeToString()
        for number in range(objects)
    ]
    async with grpc.aio.insecure_channel(address) as channel:
        packer = _Packer(StorageServiceStub(channel).Pipeline())
        both = [asyncio.create_task(packer.write()), asyncio.create_task(packer.read())]
        started = time.perf_counter()

        async def task(number: int) -> None:
            while True:
                begun = time.perf_counter()
                if begun - started > seconds:
                    return
                sql_pb2.ExecuteResponse.FromString(await packer.ask(requests[number % objects]))
                latencies.append((time.perf_counter() - begun) * 1000)

        await asyncio.gather(*(task(number) for number in range(TASKS)))
        taken = time.perf_counter() - started
        for one in both:
            one.cancel()
    latencies.sort()
    return {
        "rate": len(latencies) / taken,
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))))
