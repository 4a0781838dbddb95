"""What every unary method goes through: the bound on bytes in flight, the deadline, parsing, and refusals.

Requests and responses are bytes to gRPC, and messages only in here: a request that cannot be parsed is then an error
like any other, and its size is known without asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import Message

from petra_server.actor.addresses import DEFAULT_NAMESPACE
from petra_server.errors import Refusal, deadline_passed
from petra_server.faults import internal_error
from petra_server.figures import CANCELLED, GRPC, OK
from petra_server.intake.admission import UNCOUNTED_BYTES, Admission
from petra_server.rpc.parsing import parse
from petra_server.rpc.status import abort

# Takes a request and the deadline in seconds of the loop's clock, None for none. Answers at once where it can: that
# spares the loop a coroutine.
Method = Callable[[Any, float | None], Message | Awaitable[Message]]


def unary_handler(kind: type[Message], method: Method, admission: Admission) -> grpc.RpcMethodHandler[bytes, bytes]:
    """A handler for one method, whose requests are messages of `kind`."""
    loop = asyncio.get_running_loop()
    name = kind.DESCRIPTOR.name.removesuffix("Request")
    figures = admission.figures
    has_namespace = "namespace" in kind.DESCRIPTOR.fields_by_name

    async def handle(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        leave: Callable[[], None] = _nothing
        began, status = perf_counter(), CANCELLED
        try:
            admission.begin()
        except Refusal as refusal:
            figures.ended(GRPC, name, refusal.reason.value, began)
            await abort(context, refusal)
        try:
            if len(data) > UNCOUNTED_BYTES:
                leave = admission.enter(context.peer(), len(data))
            remaining = context.time_remaining()
            if remaining is not None and remaining <= 0:  # type: ignore[redundant-expr]
                raise deadline_passed()
            # The stubs do not know that it is None without a deadline.
            deadline = None if remaining is None else loop.time() + remaining  # type: ignore[redundant-expr]
            request = parse(kind, data)
            if has_namespace:
                figures.namespaces.add(request.namespace or DEFAULT_NAMESPACE)  # type: ignore[attr-defined]
            answer = method(request, deadline)
            response = (answer if isinstance(answer, Message) else await answer).SerializeToString()
            if len(response) > UNCOUNTED_BYTES:
                _count_answer(admission, context, len(response))
            status = OK
            return response
        except Refusal as refusal:
            status = refusal.reason.value
            await abort(context, refusal)
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            fault = internal_error(f"A {kind.DESCRIPTOR.name} failed.")
            status = fault.reason.value
            await abort(context, fault)
        finally:
            figures.ended(GRPC, name, status, began)
            leave()
            admission.end()

    return grpc.unary_unary_rpc_method_handler(handle)


def _count_answer(admission: Admission, context: grpc.aio.ServicerContext[bytes, bytes], size_bytes: int) -> None:
    """Counts an answer until the RPC is over, which is when gRPC has sent it or the client has gone."""
    leave = admission.count(context.peer(), size_bytes)
    context.add_done_callback(lambda _: leave())  # type: ignore[arg-type]


def _nothing() -> None: ...
