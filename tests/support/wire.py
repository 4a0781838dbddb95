"""Asks the server, by a unary call or through a pipeline."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.support.pipelines import METHODS, pack, unpack
from tests.support.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.pipelines import Outcome, Request, Response

# Only a server that hangs takes so long.
PATIENCE_S = 20


class Wire:
    """One connection with one pipeline stream. All within one event loop."""

    def __init__(self, address: str) -> None:
        # A connection of its own: by default gRPC shares those of the process.
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = StorageServiceStub(self._channel)
        self._stream = self._stub.Pipeline()
        self._next_id = 1

    async def close(self) -> None:
        await self._stream.done_writing()
        with suppress(grpc.RpcError):
            assert await asyncio.wait_for(self._stream.read(), PATIENCE_S) is grpc.aio.EOF
        await self._channel.close()

    async def ask(self, request: Request) -> Outcome:
        """A unary call."""
        name, _ = METHODS[type(request)]
        try:
            answer: Response = await getattr(self._stub, name)(request, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            return refusal_of(error)
        return answer

    async def ask_together(self, requests: Sequence[Request], *, dense: bool = False) -> list[Outcome]:
        """One pipeline message, with all columns filled when dense. The outcomes in the order of the requests."""
        ids = range(self._next_id, self._next_id + len(requests))
        self._next_id += len(requests)
        await self._stream.write(pack(ids, requests, dense=dense))
        asked = dict(zip(ids, requests, strict=True))
        outcomes: dict[int, Outcome] = {}
        while len(outcomes) < len(asked):
            answer = await asyncio.wait_for(self._stream.read(), PATIENCE_S)
            assert isinstance(answer, pb.PipelineResponse), "the stream ended"
            unpack(answer, asked, outcomes)
        return [outcomes[id_] for id_ in ids]
