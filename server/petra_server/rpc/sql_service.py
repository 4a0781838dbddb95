"""SqlService: each method is decode, ask, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

import grpc

from petra.v1 import sql_pb2 as pb
from petra_server.actor.addresses import DEFAULT_NAMESPACE
from petra_server.actor.asking import Waiter
from petra_server.actor.operations import Query, QueryReply
from petra_server.actor.plans import Plan
from petra_server.actor.router import Router
from petra_server.actor.sql_streams import Streams
from petra_server.errors import Refusal, deadline_passed
from petra_server.faults import internal_error
from petra_server.figures import CANCELLED, GRPC, OK
from petra_server.intake.admission import Admission
from petra_server.rpc.parsing import parse
from petra_server.rpc.requests import Requests
from petra_server.rpc.statements import cells_message, column_messages, query_plan
from petra_server.rpc.status import abort
from petra_server.rpc.storage_service import method_of
from petra_server.rpc.unary import unary_handler
from petra_server.sql.statements import NO_RESULT

SERVICE = pb.DESCRIPTOR.services_by_name["SqlService"].full_name

_Context = grpc.aio.ServicerContext[bytes, bytes]


class SqlService:
    """The handlers of the service."""

    def __init__(self, router: Router, requests: Requests, admission: Admission, streams: Streams) -> None:
        self._router = router
        self._requests = requests
        self._admission = admission
        self._streams = streams
        self._loop = asyncio.get_running_loop()

    def handler(self) -> grpc.GenericRpcHandler:
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        execute = method_of(self._router, self._requests.execute)
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Execute": unary_handler(pb.ExecuteRequest, execute, self._admission),
            "Query": grpc.unary_stream_rpc_method_handler(self._query),
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def _query(self, data: bytes, context: _Context) -> None:
        began, status, figures = perf_counter(), CANCELLED, self._admission.figures
        try:
            self._admission.begin()
        except Refusal as refusal:
            figures.ended(GRPC, "Query", refusal.reason.value, began)
            await abort(context, refusal)
        try:
            leave = self._admission.enter(context.peer(), len(data))
            try:
                # Whatever ends it, its stream ends with it, and not when the garbage is collected.
                async with aclosing(self._answer(data, _deadline(context, self._loop))) as parts:
                    async for part in parts:
                        try:
                            await context.write(part.SerializeToString())
                        except grpc.aio.BaseError:
                            # Whoever asked has gone in the middle of the part.
                            return
            finally:
                leave()
            status = OK
        except Refusal as refusal:
            status = refusal.reason.value
            await abort(context, refusal)
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            fault = internal_error("A Query failed.")
            status = fault.reason.value
            await abort(context, fault)
        finally:
            figures.ended(GRPC, "Query", status, began)
            self._admission.end()

    async def _answer(self, data: bytes, deadline: float | None) -> AsyncGenerator[pb.QueryResponse, None]:
        request = parse(pb.QueryRequest, data)
        self._admission.figures.namespaces.add(request.namespace or DEFAULT_NAMESPACE)
        address, query = query_plan(self._requests.addresses, self._requests.checks, request)
        assert address.owner is not None
        waiter = Waiter()
        waiter.submit(self._router, Plan([(address.owner, query)]), deadline=deadline)
        reply = await waiter.reply()
        assert isinstance(reply, QueryReply)
        if reply.snapshot is None:
            yield _whole(reply)
            return
        async with aclosing(self._stream(query, reply, deadline)) as parts:
            try:
                async for part in parts:
                    yield part
            except Refusal as refusal:
                raise (refusal.within("statement") if refusal.field else refusal) from None

    async def _stream(
        self, query: Query, reply: QueryReply, deadline: float | None
    ) -> AsyncGenerator[pb.QueryResponse, None]:
        assert reply.snapshot is not None
        async with self._streams.open(query, reply.snapshot, reply.now_ms, deadline) as stream:
            columns = column_messages(stream.columns)
            while True:
                cells = await stream.part()
                if not cells.kinds:
                    break
                yield pb.QueryResponse(columns=columns, cells=cells_message(cells))
                columns = []
            figures, database_bytes = stream.end()
            yield pb.QueryResponse(
                columns=columns,
                last=True,
                rows_read=figures.rows_read,
                duration_us=figures.duration_us,
                database_bytes=database_bytes,
            )


def _whole(reply: QueryReply) -> pb.QueryResponse:
    result = reply.result or NO_RESULT
    return pb.QueryResponse(
        columns=column_messages(result.columns),
        cells=cells_message(result.cells),
        last=True,
        rows_read=result.rows_read,
        duration_us=result.duration_us,
        database_bytes=reply.database_bytes,
    )


def _deadline(context: _Context, loop: asyncio.AbstractEventLoop) -> float | None:
    """In seconds of the loop's clock. Raises Refusal when it has passed."""
    # The stubs do not know that it is None without a deadline.
    remaining: float | None = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise deadline_passed()
    return None if remaining is None else loop.time() + remaining
