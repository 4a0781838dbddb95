"""The Pipeline stream: many operations a message, each answered by its id.

Rules:
- Operations are submitted in the order of the stream, so those on one key are done and answered in that order.
- `load_bytes` counts operations not answered and answers not sent; while it is over the limit the stream is not read,
  and HTTP/2 flow control stops the client. It is the bound on the memory of a stream.
- One writer packs whatever is answered into one message after the other; batches grow while the client is slow.
- However the stream ends, what was submitted is done; when it ends in order, it is answered first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import grpc

from petra.v1 import storage_pb2 as pb
from petra_server.actor.asking import Gather
from petra_server.actor.call import Call
from petra_server.actor.operations import GetReply, Reply
from petra_server.actor.router import Router
from petra_server.errors import Refusal
from petra_server.rpc.columns import Answer, Columns, Row, write_answers
from petra_server.rpc.listings import Listings
from petra_server.rpc.parsing import parse
from petra_server.rpc.requests import Prepared, Requests

# What an operation or an answer costs beside its key and value.
_ITEM_BYTES = 256
# A message is closed when it has grown to this; larger answers go alone.
_MESSAGE_BYTES = 1 << 20


class PipelineStream:
    """One stream. `serve` runs it to its end."""

    def __init__(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        router: Router,
        requests: Requests,
        listings: Listings,
        *,
        max_stream_bytes: int,
    ) -> None:
        # Set once.
        self._context = context
        self._router = router
        self._requests = requests
        self._listings = listings
        self._max_stream_bytes = max_stream_bytes
        self._loop = asyncio.get_running_loop()
        # Owned by the loop.
        self._load_bytes = 0
        self._unanswered = 0
        self._answers: deque[Answer] = deque()
        self._reading = True
        self._failure: Refusal | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer_wake: asyncio.Future[None] | None = None
        self._reader_wake: asyncio.Future[None] | None = None
        self._listing_tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> Refusal | None:
        """Reads, answers, and returns when everything is answered: why the stream ended early, or None."""
        self._reader = self._loop.create_task(self._read_forever(), name="petra-pipeline-reader")
        try:
            await self._write_forever()
        finally:
            self._reader.cancel()
            for task in self._listing_tasks:
                task.cancel()
        return self._failure

    def drain(self, refusal: Refusal) -> None:
        """Stops reading; the stream ends with this when everything is answered."""
        if self._reading:
            self._failure = refusal
            assert self._reader is not None
            self._reader.cancel()

    # Reading.

    async def _read_forever(self) -> None:
        try:
            while True:
                if self._load_bytes > self._max_stream_bytes:
                    self._reader_wake = self._loop.create_future()
                    await self._reader_wake
                    continue
                data: object = await self._context.read()
                if data is grpc.aio.EOF:
                    return
                assert isinstance(data, bytes)
                self._take(data)
        except Refusal as refusal:
            self._failure = refusal
        finally:
            self._reading = False
            self._wake_writer()

    def _take(self, data: bytes) -> None:
        """Submits the operations of a message. Raises Refusal when it is no good as a whole."""
        columns = Columns(parse(pb.PipelineRequest, data), self._requests)
        checks = self._requests.checks
        calls: list[Call] = []
        now = self._loop.time()
        # Each operation counts for its share of the message.
        size_bytes = _ITEM_BYTES + len(data) // (columns.count or 1)
        self._unanswered += columns.count
        self._load_bytes += size_bytes * columns.count
        for row in columns.rows():
            deadline = now + row.timeout_ms / 1000 if row.timeout_ms else None
            try:
                if row.method in _EMBEDDED_METHODS:
                    self._take_embedded(row, deadline, size_bytes, calls)
                    continue
                address, key, operation = columns.operation(row)
                sync = checks.sync(row.durability)
                request_id = checks.request_id(row.request_id) if row.request_id else b""
            except Refusal as refusal:
                self.push(row.op_id, refusal, size_bytes)
                continue
            actor = address.actor_of(key)
            calls.append(
                Call(self, actor, operation, sync, address.prefix, request_id, deadline, row.op_id, size_bytes)
            )
        self._router.submit(calls)

    def _take_embedded(self, row: Row, deadline: float | None, size_bytes: int, calls: list[Call]) -> None:
        """An operation whose request message is its value."""
        if row.method == pb.METHOD_LIST:
            request = parse(pb.ListRequest, row.value)
            task = self._loop.create_task(self._list(row.op_id, request, deadline, size_bytes))
            self._listing_tasks.add(task)
            task.add_done_callback(self._listing_tasks.discard)
            return
        kind, prepare = _EMBEDDED[row.method]
        prepared: Prepared = prepare(self._requests, parse(kind, row.value))
        parts, combine = prepared.plan.parts, prepared.plan.combine
        caller = _Embedded(self, row.op_id, prepared, size_bytes)
        gather = caller if combine is None else Gather(len(parts), combine, caller.finish)
        if combine is not None and not parts:
            caller.finish(combine([]))
        calls.extend(
            Call(gather, actor, operation, prepared.sync, prepared.scope, prepared.request_id, deadline, tag)
            for tag, (actor, operation) in enumerate(parts)
        )

    async def _list(self, op_id: int, request: pb.ListRequest, deadline: float | None, size_bytes: int) -> None:
        outcome: bytes | Refusal
        try:
            outcome = (await self._listings.list(request, deadline=deadline)).SerializeToString()
        except Refusal as refusal:
            outcome = refusal
        self.push(op_id, outcome, size_bytes)

    # Answers.

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self.push(call.tag, outcome, call.size_bytes)

    def push(self, op_id: int, outcome: Reply | Refusal | bytes, operation_bytes: int) -> None:
        """Queues an answer; `operation_bytes` is what its operation was counted with."""
        size_bytes = _ITEM_BYTES
        kind = type(outcome)
        if kind is GetReply:
            record = outcome.record  # type: ignore[union-attr]
            if record is not None:
                size_bytes += len(record.value)
        elif kind is bytes:
            size_bytes += len(outcome)  # type: ignore[arg-type]
        self._answers.append(Answer(op_id, outcome, size_bytes))
        self._load_bytes += size_bytes - operation_bytes
        self._unanswered -= 1
        if self._writer_wake is not None:
            self._wake_writer()

    def _wake_writer(self) -> None:
        wake, self._writer_wake = self._writer_wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    async def _write_forever(self) -> None:
        while True:
            if self._answers:
                message, size_bytes = self._next_message()
                await self._context.write(message)
                self._load_bytes -= size_bytes
                wake = self._reader_wake
                if wake is not None and not wake.done() and self._load_bytes <= self._max_stream_bytes:
                    wake.set_result(None)
            elif not self._reading and not self._unanswered:
                return
            else:
                self._writer_wake = self._loop.create_future()
                await self._writer_wake

    def _next_message(self) -> tuple[bytes, int]:
        answers = self._answers
        taken: list[Answer] = []
        size_bytes = 0
        while answers and (not taken or size_bytes + answers[0].size_bytes <= _MESSAGE_BYTES):
            answer = answers.popleft()
            taken.append(answer)
            size_bytes += answer.size_bytes
        return write_answers(taken), size_bytes


class _Embedded:
    """Who takes the answer of an operation that came as a request message."""

    __slots__ = ("_op_id", "_prepared", "_size_bytes", "_stream")

    def __init__(self, stream: PipelineStream, op_id: int, prepared: Prepared, size_bytes: int) -> None:
        self._stream = stream
        self._op_id = op_id
        self._prepared = prepared
        self._size_bytes = size_bytes

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self.finish(outcome)

    def finish(self, outcome: Reply | Refusal) -> None:
        answer: bytes | Refusal
        if isinstance(outcome, Refusal):
            answer = outcome
        else:
            try:
                answer = self._prepared.encode(outcome).SerializeToString()
            except Refusal as refusal:
                answer = refusal
        self._stream.push(self._op_id, answer, self._size_bytes)


_EMBEDDED: dict[int, tuple[Any, Any]] = {
    pb.METHOD_GET_MANY: (pb.GetManyRequest, Requests.get_many),
    pb.METHOD_SET_MANY: (pb.SetManyRequest, Requests.set_many),
    pb.METHOD_DELETE_MANY: (pb.DeleteManyRequest, Requests.delete_many),
    pb.METHOD_CLEAR: (pb.ClearRequest, Requests.clear),
    pb.METHOD_THROTTLE: (pb.ThrottleRequest, Requests.throttle),
    pb.METHOD_TRANSACT: (pb.TransactRequest, Requests.transact),
}


_EMBEDDED_METHODS = frozenset((*_EMBEDDED, pb.METHOD_LIST))
