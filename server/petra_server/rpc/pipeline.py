"""The Pipeline stream: many operations a message, each answered by its id.

Rules:
- Operations are submitted in the order of the stream, so those on one key are done in that order, and those by columns
  answered in it.
- `load_bytes` counts operations not answered and answers not sent. While it is over the limit nothing more is taken: a
  message is submitted in slices of about what there is room for, and then the stream is not read, and HTTP/2 flow
  control stops the client. What slips through when answers are larger than the last ones is bounded by the account
  of the connection, beyond which reads are refused.
- One writer packs whatever is answered into one message after the other; batches grow while the client is slow.
- However the stream ends, what was submitted is done; when it ends in order, everything is answered first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from time import perf_counter

import grpc

from petra.v1 import storage_pb2 as pb
from petra_server.actor.addresses import DEFAULT_NAMESPACE
from petra_server.actor.asking import Gather
from petra_server.actor.call import Call, Caller
from petra_server.actor.operations import GetReply, Operation, Reply
from petra_server.actor.router import Router
from petra_server.errors import Refusal
from petra_server.faults import internal_error
from petra_server.figures import OK, PIPELINE, Histogram, RequestFigures
from petra_server.intake.admission import UNCOUNTED_BYTES, Account
from petra_server.intake.pages import Pages
from petra_server.rpc.answers import ITEM_BYTES, Answers
from petra_server.rpc.columns import Columns, Row
from petra_server.rpc.listings import list_entries
from petra_server.rpc.methods import EMBEDDED, EMBEDDED_METHODS, method_name
from petra_server.rpc.parsing import parse
from petra_server.rpc.reads import Found, read_at_once
from petra_server.rpc.requests import Prepared, Requests

# A message is closed when it has grown to this; larger answers go alone.
_MESSAGE_BYTES = 1 << 20
# Of a message, what is submitted at once: a hundred sets, or a few transactions of a thousand steps.
_SLICE_BYTES = 96 << 10
# Of what Gets found, what is counted and queued at once. So little more than the limit passes it.
_PORTION_BYTES = 64 << 10
# What the first answers of a stream are taken to be: large, until it is known.
_UNKNOWN_ANSWER_BYTES = 64 << 10
# What may run for long.
_WITHDRAWABLE = frozenset((pb.METHOD_EXECUTE, pb.METHOD_TRANSACT))


class PipelineStream:
    """One stream. `serve` runs it to its end."""

    def __init__(
        self,
        context: grpc.aio.ServicerContext[bytes, bytes],
        router: Router,
        requests: Requests,
        pages: Pages,
        account: Account,
        figures: RequestFigures,
        *,
        max_stream_bytes: int,
    ) -> None:
        # Set once.
        self._context = context
        self._router = router
        self._requests = requests
        self._pages = pages
        self._account = account
        self._figures = figures
        self._max_stream_bytes = max_stream_bytes
        self._message_bytes = min(_MESSAGE_BYTES, requests.checks.limits.max_message_bytes)
        self._portion_bytes = min(_PORTION_BYTES, self._message_bytes)
        self._loop = asyncio.get_running_loop()
        # Owned by the loop.
        self._load_bytes = 0
        self._unanswered = 0
        # How large answers are: of the last slice, and a quarter of what was thought before.
        self._answer_bytes = _UNKNOWN_ANSWER_BYTES
        self._slice_bytes = self._slice_items = 0
        # The messages to be sent; the last one grows.
        self._messages: deque[Answers] = deque()
        self._reading = True
        self._waiting_for_message = False
        self._over = False
        self._failure: Refusal | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer_wake: asyncio.Future[None] | None = None
        self._reader_wake: asyncio.Future[None] | None = None
        self._listing_tasks: set[asyncio.Task[None]] = set()
        # Operations that may be withdrawn, by their ids, until they are answered.
        self._withdrawable: dict[int, Call] = {}

    async def serve(self) -> Refusal | None:
        """Reads, answers, and returns when everything is answered: why the stream ended early, or None."""
        self._reader = self._loop.create_task(self._read_forever(), name="petra-pipeline-reader")
        try:
            await self._write_forever()
            await asyncio.wait((self._reader,))
            if not self._reader.cancelled():
                self._reader.result()
        finally:
            self._over = True
            self._account.add(-self._load_bytes)
            self._withdraw(self._withdrawable)
            for message in self._messages:
                self._tell(message)
            self._reader.cancel()
            for task in self._listing_tasks:
                task.cancel()
        return self._failure

    def drain(self, refusal: Refusal) -> None:
        """Takes nothing more; the stream ends with this when everything is answered."""
        if self._reading and self._failure is None:
            self._failure = refusal
            self._wake_reader()
            if self._waiting_for_message and self._reader is not None:
                self._reader.cancel()

    # Reading.

    async def _read_forever(self) -> None:
        try:
            while self._failure is None:
                await self._room()
                self._waiting_for_message = True
                data: object = await self._context.read()
                self._waiting_for_message = False
                if data is grpc.aio.EOF:
                    return
                assert isinstance(data, bytes)
                await self._take(data)
        except Refusal as refusal:
            self._failure = refusal
        finally:
            self._reading = False
            self._wake_writer()

    async def _room(self) -> None:
        """Waits until there is room for more, or the stream is to end."""
        while self._load_bytes > self._max_stream_bytes and self._failure is None:
            self._reader_wake = self._loop.create_future()
            await self._reader_wake

    def _wake_reader(self) -> None:
        wake, self._reader_wake = self._reader_wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    async def _take(self, data: bytes) -> None:
        """Submits the operations of a message. Raises Refusal when it is no good as a whole."""
        request = parse(pb.PipelineRequest, data)
        self._withdraw(request.withdrawn)
        columns = Columns(request, self._requests)
        now = self._loop.time()
        self._figures.messages.observe(columns.count)
        for namespace, count in columns.namespaces():
            self._figures.namespaces.add(namespace or DEFAULT_NAMESPACE, count)
        # Each operation counts for its share of the message.
        size_bytes = ITEM_BYTES + len(data) // (columns.count or 1)
        rows = columns.rows()
        left = columns.count
        while left:
            count = min(left, self._next_slice(), max(1, _SLICE_BYTES // size_bytes))
            left -= count
            self._unanswered += count
            self._add(size_bytes * count)
            self._submit(columns, islice(rows, count), now, size_bytes)
            if left:
                # Between slices everyone else has a turn.
                await asyncio.sleep(0)
                await self._room()

    def _withdraw(self, op_ids: Iterable[int]) -> None:
        """Has nothing more done for operations that are not answered yet."""
        for op_id in op_ids:
            call = self._withdrawable.get(op_id)
            if call is not None:
                call.withdrawn = True

    def _next_slice(self) -> int:
        """How many operations may be submitted at once, so that their answers find room if they are like the last."""
        if self._slice_items:
            self._answer_bytes = max(self._slice_bytes // self._slice_items, self._answer_bytes // 4)
            self._slice_bytes = self._slice_items = 0
        return max(1, (self._max_stream_bytes - self._load_bytes) // self._answer_bytes)

    def _submit(self, columns: Columns, rows: Iterator[Row], now: float, size_bytes: int) -> None:
        refusal = self._refusal()
        if refusal is not None:
            for op_id, method, *_ in rows:
                self.push(op_id, refusal, size_bytes, method)
            return
        calls: list[Call] = []
        found, others = read_at_once(
            columns,
            rows,
            self._router.reader(),
            late_ms=(self._loop.time() - now) * 1000,
            portion_bytes=self._portion_bytes,
        )
        for portion in found:
            self._push_found(portion, size_bytes)
        for row in others:
            op_id, method, timeout_ms = row[0], row[1], row[-1]
            deadline = now + timeout_ms / 1000 if timeout_ms else None
            try:
                if method in EMBEDDED_METHODS:
                    self._take_embedded(op_id, method, row[4], deadline, size_bytes, calls)
                    continue
                actor, prefix, operation, sync, request_id = columns.asked(row)
            except Refusal as refused:
                self.push(op_id, refused, size_bytes, method)
                continue
            calls.append(Call(self, actor, operation, sync, prefix, request_id, deadline, op_id, size_bytes))
        if calls:
            calls[-1].caller = _Timed(calls[-1].caller, self._figures.pipeline_seconds)
            self._router.submit(calls)
        else:
            self._figures.pipeline_seconds.observe(self._loop.time() - now)

    def _refusal(self) -> Refusal | None:
        """Why nothing is taken now."""
        if self._failure is None:
            try:
                self._account.check(0)
            except Refusal as refusal:
                return refusal
        return self._failure

    def _take_embedded(
        self, op_id: int, method: int, data: bytes, deadline: float | None, size_bytes: int, calls: list[Call]
    ) -> None:
        """An operation whose request message is its value."""
        if method == pb.METHOD_LIST:
            request = parse(pb.ListRequest, data)
            self._figures.namespaces.add(request.namespace or DEFAULT_NAMESPACE)
            task = self._loop.create_task(self._list(op_id, request, deadline, size_bytes))
            self._listing_tasks.add(task)
            task.add_done_callback(self._listing_tasks.discard)
            return
        prepared = self._requests.known_check(data) if method == pb.METHOD_THROTTLE else None
        if prepared is None:
            prepared = self._prepare(method, data)
        parts, combine = prepared.plan.parts, prepared.plan.combine
        caller = _Embedded(self, op_id, method, prepared, size_bytes)
        gather = caller if combine is None else Gather(len(parts), combine, caller.finish)
        if combine is not None and not parts:
            caller.finish(combine([]))
        calls.extend(
            Call(gather, actor, operation, prepared.sync, prepared.scope, prepared.request_id, deadline, tag)
            for tag, (actor, operation) in enumerate(parts)
        )
        if method in _WITHDRAWABLE:
            self._withdrawable[op_id] = calls[-1]

    def _prepare(self, method: int, data: bytes) -> Prepared:
        kind, prepare = EMBEDDED[method]
        request = parse(kind, data)
        self._figures.namespaces.add(request.namespace or DEFAULT_NAMESPACE)
        prepared = prepare(self._requests, request)
        if method == pb.METHOD_THROTTLE:
            self._requests.remember_check(data, prepared)
        return prepared

    async def _list(self, op_id: int, request: pb.ListRequest, deadline: float | None, size_bytes: int) -> None:
        outcome: bytes | Refusal
        try:
            outcome = (await list_entries(self._pages, request, deadline=deadline)).SerializeToString()
        except Refusal as refusal:
            outcome = refusal
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            outcome = internal_error("A listing failed.")
        self.push(op_id, outcome, size_bytes, pb.METHOD_LIST)

    # Answers.

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self.push(call.tag, outcome, call.size_bytes, call.operation)

    def _push_found(self, found: Found, operation_bytes: int) -> None:
        """Queues the answers of Gets, unless they are large and too much waits to be sent already."""
        count, size_bytes = len(found.op_ids), found.size_bytes
        if size_bytes > UNCOUNTED_BYTES:
            try:
                self._account.check(size_bytes)
            except Refusal as refusal:
                for op_id in found.op_ids:
                    self.push(op_id, refusal, operation_bytes, pb.METHOD_GET)
                return
        self._message_for(size_bytes).add_records(found.op_ids, found.records, size_bytes)
        self._queued(count, size_bytes, operation_bytes * count)

    def push(self, op_id: int, outcome: Reply | Refusal | bytes, operation_bytes: int, asked: int | Operation) -> None:
        """Queues an answer; `operation_bytes` is what its operation was counted with, and `asked` its method."""
        if self._over:
            return
        if self._withdrawable:
            self._withdrawable.pop(op_id, None)
        size_bytes = ITEM_BYTES
        if type(outcome) is GetReply:
            if outcome.record is not None:
                size_bytes += len(outcome.record.value)
        elif type(outcome) is bytes:
            size_bytes += len(outcome)
            self._figures.count(PIPELINE, method_name(asked), OK)
        elif isinstance(outcome, Refusal):
            self._figures.count(PIPELINE, method_name(asked), outcome.reason.value)
            # Up to four bytes a character.
            size_bytes += 4 * len(outcome.message) + sum(4 * len(value) for value in outcome.metadata.values())
        if size_bytes > UNCOUNTED_BYTES:
            outcome, size_bytes = self._check_answer(outcome, size_bytes)
        self._message_for(size_bytes).add(op_id, outcome, size_bytes)
        self._queued(1, size_bytes, operation_bytes)

    def _message_for(self, size_bytes: int) -> Answers:
        """The message that answers of this size go into."""
        messages = self._messages
        if not messages or messages[-1].size_bytes + size_bytes > self._message_bytes:
            messages.append(Answers())
        return messages[-1]

    def _queued(self, count: int, size_bytes: int, operation_bytes: int) -> None:
        """So many answers now wait to be sent, instead of their operations to be done."""
        self._add(size_bytes - operation_bytes)
        self._slice_bytes += size_bytes
        self._slice_items += count
        self._unanswered -= count
        if self._writer_wake is not None:
            self._wake_writer()

    def _check_answer(self, outcome: Reply | Refusal | bytes, size_bytes: int) -> tuple[Reply | Refusal | bytes, int]:
        """A large answer and its size; of a read, a refusal when too much waits to be sent already."""
        if type(outcome) is GetReply:
            try:
                self._account.check(size_bytes)
            except Refusal as refusal:
                self._figures.count(PIPELINE, "Get", refusal.reason.value)
                return refusal, ITEM_BYTES
        return outcome, size_bytes

    def _add(self, size_bytes: int) -> None:
        self._load_bytes += size_bytes
        self._account.add(size_bytes)

    def _wake_writer(self) -> None:
        wake, self._writer_wake = self._writer_wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    async def _write_forever(self) -> None:
        while True:
            if self._messages:
                message = self._messages.popleft()
                self._tell(message)
                await self._context.write(message.write())
                self._add(-message.size_bytes)
                if self._load_bytes <= self._max_stream_bytes:
                    self._wake_reader()
            elif not self._reading and not self._unanswered:
                return
            else:
                self._writer_wake = self._loop.create_future()
                await self._writer_wake

    def _tell(self, message: Answers) -> None:
        """Counts what a message answers."""
        for method, count in message.done():
            self._figures.count(PIPELINE, method, OK, count)


class _Timed:
    """Takes the answer of the last operation of a slice, and tells how long that took."""

    __slots__ = ("_began", "_caller", "_histogram")

    def __init__(self, caller: Caller, histogram: Histogram) -> None:
        self._caller = caller
        self._histogram = histogram
        self._began = perf_counter()

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self._histogram.observe(perf_counter() - self._began)
        self._caller.answered(call, outcome)


class _Embedded:
    """Who takes the answer of an operation that came as a request message."""

    __slots__ = ("_method", "_op_id", "_prepared", "_size_bytes", "_stream")

    def __init__(self, stream: PipelineStream, op_id: int, method: int, prepared: Prepared, size_bytes: int) -> None:
        self._stream = stream
        self._op_id = op_id
        self._method = method
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
            except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
                answer = internal_error("An answer could not be written.")
        self._stream.push(self._op_id, answer, self._size_bytes, self._method)
