"""One connection to a server, for tests that look at every answer and every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import grpc

from petra.v1 import admin_pb2
from petra.v1 import storage_pb2 as pb
from petra.v1.admin_pb2_grpc import AdminServiceStub
from petra.v1.storage_pb2_grpc import StorageServiceStub
from tests.support.pipelines import METHODS, pack, unpack
from tests.support.refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from google.protobuf.message import Message

    from tests.support.pipelines import Outcome, Request, Response

# Only a server that hangs takes so long.
PATIENCE_S = 20
# Nothing of gRPC's own client may refuse what the server should.
_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Entries = dict[tuple[str, str], list[pb.Entry]]


class Connection:
    """A channel of its own with the stubs of both services."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, options=[*_OPTIONS, ("grpc.use_local_subchannel_pool", 1)])
        self.storage = StorageServiceStub(self.channel)
        self.admin = AdminServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()

    def ask(self, request: Request, *, timeout_s: float = PATIENCE_S) -> Outcome:
        """A unary call."""
        name, _ = METHODS[type(request)]
        try:
            answer: Response = getattr(self.storage, name)(request, timeout=timeout_s)
        except grpc.RpcError as error:
            return refusal_of(error)
        return answer

    def ask_together(self, requests: Sequence[Request]) -> list[Outcome]:
        """One message of a pipeline stream of its own."""
        ids = range(1, len(requests) + 1)
        asked = dict(zip(ids, requests, strict=True))
        outcomes: dict[int, Outcome] = {}
        for answer in self.pipeline(pack(ids, requests, dense=False)):
            unpack(answer, asked, outcomes)
        return [outcomes[id_] for id_ in ids]

    def ask_piped(self, request: Request) -> Outcome:
        [outcome] = self.ask_together([request])
        return outcome

    def pipeline(self, *messages: pb.PipelineRequest) -> Iterator[pb.PipelineResponse]:
        """The answers of a stream with these messages, until the server ends it."""
        return iter(self.storage.Pipeline(iter(messages), timeout=PATIENCE_S))

    def pipeline_refusal(self, *messages: pb.PipelineRequest) -> Refusal:
        """What a stream with these messages ends with, which must be a refusal."""
        try:
            answers = list(self.pipeline(*messages))
        except grpc.RpcError as error:
            return refusal_of(error)
        raise AssertionError(f"the stream ended well, with {answers}")

    def ask_raw(self, method: str, message: bytes) -> bytes | Refusal:
        """Any bytes as the message of a unary StorageService method."""
        call = self.channel.unary_unary(f"/petra.v1.StorageService/{method}", _same, _same)
        try:
            answer: bytes = call(message, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            return refusal_of(error)
        return answer

    def pipeline_raw(self, *messages: bytes) -> list[bytes] | Refusal:
        """Any bytes as the messages of a pipeline stream."""
        call = self.channel.stream_stream("/petra.v1.StorageService/Pipeline", _same, _same)
        try:
            return list(call(iter(messages), timeout=PATIENCE_S))
        except grpc.RpcError as error:
            return refusal_of(error)

    def everything(self) -> Entries:
        """All entries of the server, by namespace and object."""
        found: Entries = {}
        for namespace in self.admin.ListNamespaces(admin_pb2.ListNamespacesRequest(), timeout=PATIENCE_S).namespaces:
            named = self.admin.ListObjects(admin_pb2.ListObjectsRequest(namespace=namespace), timeout=PATIENCE_S)
            for object_name in ("", *named.objects):
                found[namespace, object_name] = self.entries(namespace, object_name)
        return found

    def entries(self, namespace: str = "", object_name: str = "") -> list[pb.Entry]:
        """All entries of an object, or all flat keys of a namespace."""
        entries: list[pb.Entry] = []
        request = pb.ListRequest(namespace=namespace, object=object_name)
        while True:
            page = self.storage.List(request, timeout=PATIENCE_S)
            entries += page.entries
            if not page.next_page_token:
                return entries
            request.page_token = page.next_page_token


def refused(outcome: Outcome | bytes | list[bytes]) -> Refusal:
    """The outcome, which must be a refusal that says what to do in at least a sentence."""
    assert isinstance(outcome, Refusal), f"expected a refusal, the answer was {outcome!r}"
    assert " " in outcome.message, f"no sentence: {outcome.message!r}"
    return outcome


def _same(message: bytes) -> bytes:
    return message


def is_answer(outcome: bytes | Refusal, kind: type[Message]) -> bool:
    """Whether raw bytes are an answer of this type."""
    return isinstance(outcome, bytes) and isinstance(kind.FromString(outcome), kind)
