"""A gRPC server of grpcio that echoes, fails, waits and streams, for tests of the client's transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

UNARY = "/test.Echo/Unary"
CHAT = "/test.Echo/Chat"
FAIL = "/test.Echo/Fail"
HANG = "/test.Echo/Hang"
MANY = "/test.Echo/Many"

# What a call of FAIL ends with.
FAILURE = status_pb2.Status(code=9, message="50% of ü\nwas there")
_INFO = AnyMessage()
_INFO.Pack(error_details_pb2.ErrorInfo(reason="NOT_AN_INTEGER", domain="petra.dev"))
FAILURE.details.append(_INFO)


class EchoServer(grpc.GenericRpcHandler):
    """Its methods, and what a test wants to see of them."""

    def __init__(self) -> None:
        self.address = ""
        self.server: grpc.aio.Server | None = None
        # A call of HANG is there, and it was cancelled.
        self.hanging = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.seconds_left: float | None = None
        # CHAT reads while this is set.
        self.reading = asyncio.Event()
        self.reading.set()
        self.metadata: dict[str, str | bytes] = {}

    @property
    def host(self) -> str:
        return self.address.rsplit(":", 1)[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        unary = grpc.unary_unary_rpc_method_handler
        stream = grpc.stream_stream_rpc_method_handler
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            UNARY: unary(self._unary),
            FAIL: unary(self._fail),
            HANG: unary(self._hang),
            CHAT: stream(self._chat),
            MANY: stream(self._many),
        }
        return handlers.get(details.method or "")

    async def stop(self, grace: float | None) -> None:
        assert self.server is not None
        await self.server.stop(grace)

    async def _unary(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.metadata = dict(context.invocation_metadata() or ())
        return request

    async def _fail(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", FAILURE.SerializeToString()),))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, FAILURE.message)

    async def _hang(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.seconds_left = context.time_remaining()
        self.hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return request

    async def _chat(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        await self.reading.wait()
        async for request in requests:
            yield request
            await self.reading.wait()

    async def _many(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        """As many messages as the request says."""
        async for request in requests:
            for number in range(int(request)):
                yield str(number).encode()


@asynccontextmanager
async def echo_server(
    address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[EchoServer]:
    """A running server."""
    echo = EchoServer()
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.aio.server(options=[*limits, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((echo,))
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    echo.address = f"{address.rsplit(':', 1)[0]}:{port}"
    echo.server = server
    await server.start()
    try:
        yield echo
    finally:
        echo.reading.set()
        await server.stop(None)
