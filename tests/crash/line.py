"""A client of a server that may die at any moment: what was answered is told apart from what was not.

All within one event loop. Nothing is retried, so nothing happens twice.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Self

import grpc

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.support.pipelines import METHODS, pack, unpack
from tests.support.refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.support.pipelines import Outcome, Request, Response

# Only a server that hangs takes so long.
PATIENCE_S = 20
_OPTIONS = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]


class Line:
    """A channel with one pipeline stream. Once anything went unanswered it is of no more use."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = StorageServiceStub(self._channel)
        self._stream: grpc.aio.StreamStreamCall[pb.PipelineRequest, pb.PipelineResponse] | None = None
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close()

    async def ask(self, request: Request) -> Outcome | None:
        """A unary call. None: the server is gone, and may have done it."""
        name, _ = METHODS[type(request)]
        try:
            answer: Response = await getattr(self._stub, name)(request, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            return known(refusal_of(error))
        return answer

    async def ask_together(self, requests: Sequence[Request]) -> list[Outcome | None]:
        """One pipeline message. The outcomes in the order of the requests."""
        asked = {next(self._ids): request for request in requests}
        outcomes: dict[int, Outcome] = {}
        if self._stream is None:
            self._stream = self._stub.Pipeline()
        try:
            await asyncio.wait_for(self._stream.write(pack(list(asked), requests, dense=False)), PATIENCE_S)
            while len(outcomes) < len(asked):
                answer = await asyncio.wait_for(self._stream.read(), PATIENCE_S)
                if not isinstance(answer, pb.PipelineResponse):
                    break
                unpack(answer, asked, outcomes)
        except (grpc.RpcError, asyncio.InvalidStateError):
            # The server died, before or while it answered.
            pass
        return [known(outcomes.get(id_)) for id_ in asked]


def known(outcome: Outcome | None) -> Outcome | None:
    """None when the server is gone or going: what it did not do may be sent to the next one."""
    if isinstance(outcome, Refusal) and outcome.reason in ("", "STORAGE_FAILED", "DRAINING"):
        assert outcome.code is not grpc.StatusCode.DEADLINE_EXCEEDED, "the server hangs"
        return None
    return outcome
