"""StorageService: each method is decode, ask, encode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from petra.v1 import storage_pb2 as pb
from petra_server.actor.asking import Waiter
from petra_server.actor.operations import GetReply
from petra_server.actor.router import Router
from petra_server.errors import Refusal
from petra_server.intake.admission import Admission
from petra_server.intake.pages import Pages
from petra_server.rpc.listings import list_entries
from petra_server.rpc.pipeline import PipelineStream
from petra_server.rpc.requests import Prepared, Requests, get_response
from petra_server.rpc.status import abort
from petra_server.rpc.unary import Method, unary_handler
from petra_server.storage.cache import MISSING

SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"].full_name


class StorageService:
    """The handlers of the service, and its open streams."""

    def __init__(
        self, router: Router, requests: Requests, pages: Pages, admission: Admission, *, max_stream_bytes: int
    ) -> None:
        self._router = router
        self._requests = requests
        self._pages = pages
        self._admission = admission
        self._max_stream_bytes = max_stream_bytes
        self._streams: set[PipelineStream] = set()

    def handler(self) -> grpc.GenericRpcHandler:
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        prepare: dict[str, tuple[type[Message], Callable[[Any], Prepared]]] = {
            "Set": (pb.SetRequest, self._requests.set),
            "Delete": (pb.DeleteRequest, self._requests.delete),
            "GetMany": (pb.GetManyRequest, self._requests.get_many),
            "SetMany": (pb.SetManyRequest, self._requests.set_many),
            "DeleteMany": (pb.DeleteManyRequest, self._requests.delete_many),
            "Clear": (pb.ClearRequest, self._requests.clear),
            "Increment": (pb.IncrementRequest, self._requests.increment),
            "Touch": (pb.TouchRequest, self._requests.touch),
            "Throttle": (pb.ThrottleRequest, self._requests.throttle),
            "Transact": (pb.TransactRequest, self._requests.transact),
        }
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: unary_handler(kind, self._method(decode), self._admission) for name, (kind, decode) in prepare.items()
        }
        handlers["Get"] = unary_handler(pb.GetRequest, self._get(), self._admission)
        handlers["List"] = unary_handler(pb.ListRequest, self._list, self._admission)
        handlers["Pipeline"] = grpc.stream_stream_rpc_method_handler(self._pipeline)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def drain(self) -> Refusal:
        """Refuses new requests, and has the open streams answer what they have read, and end. Returns the refusal."""
        closing = self._admission.close()
        for stream in list(self._streams):
            stream.drain(closing)
        return closing

    def _get(self) -> Method:
        later = self._method(self._requests.get)
        find, check, router = self._requests.addresses.find, self._requests.checks.key, self._router

        def method(request: pb.GetRequest, deadline: float | None) -> Message | Awaitable[Message]:
            address = find(request.namespace, request.object)
            name = request.key
            key = check(name)
            record = router.reader()(address.actor_of(key), address.prefix + key)
            return later(request, deadline) if record is MISSING else get_response(name, GetReply(record))

        return method

    def _method(self, decode: Callable[[Any], Prepared]) -> Method:
        return method_of(self._router, decode)

    async def _list(self, request: pb.ListRequest, deadline: float | None) -> pb.ListResponse:
        return await list_entries(self._pages, request, deadline=deadline)

    async def _pipeline(self, _: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        try:
            self._admission.begin()
        except Refusal as refusal:
            await abort(context, refusal)
        account = self._admission.open_account(context.peer())
        stream = PipelineStream(
            context,
            self._router,
            self._requests,
            self._pages,
            account,
            self._admission.figures,
            max_stream_bytes=self._max_stream_bytes,
        )
        self._streams.add(stream)
        try:
            failure = await stream.serve()
        finally:
            self._streams.discard(stream)
            self._admission.close_account(account)
            self._admission.end()
        if failure is not None:
            await abort(context, failure)


def method_of(router: Router, decode: Callable[[Any], Prepared]) -> Method:
    """A method that asks what `decode` makes of its request."""

    def method(request: Any, deadline: float | None) -> Message | Awaitable[Message]:  # noqa: ANN401
        prepared = decode(request)
        waiter = Waiter()
        waiter.submit(router, prepared.plan, prepared.sync, prepared.scope, prepared.request_id, deadline)
        outcome = waiter.outcome
        if outcome is None:
            return _encoded_later(waiter, prepared)
        if isinstance(outcome, Refusal):
            raise outcome
        return prepared.encode(outcome)

    return method


async def _encoded_later(waiter: Waiter, prepared: Prepared) -> Message:
    return prepared.encode(await waiter.reply())
