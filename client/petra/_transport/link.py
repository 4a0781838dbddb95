"""The link of a client to its server: many calls packed into the messages of one Pipeline stream.

It guarantees that each call submitted is answered once: with its result, with a refusal of the server, with
DeadlineExceeded or Unavailable at its deadline, or with ClientClosed.

- Calls of one tick of the loop share a message. While `_WINDOW` messages are not answered yet, calls gather for the
  next one, so messages grow with the load; calls that take long (a clear, a transaction) hold the others up for
  `_PATIENCE` at most.
- When the stream cannot take more (HTTP/2 flow control), nothing is packed. `full` then becomes true, and callers wait
  in `room` before they submit.
- When the connection is lost, what was not answered goes first on the next one, in its order: reads, and mutations
  with a request id, which the server applies once. A mutation without one is answered with an unknown outcome.

Loop thread only, except `submit_from_thread`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from petra._transport.calls import TIMEOUTS, Answer, Call, Retry
from petra._transport.channel import Channel
from petra._transport.connector import Connector
from petra._transport.deadlines import Deadlines
from petra._transport.http2 import GrpcStatus, Stream
from petra._transport.packing import MESSAGE_BYTES, MESSAGE_CALLS, pack, unpack
from petra._transport.status import from_operation_error, from_status
from petra._transport.target import Target
from petra.errors import (
    ClientClosed,
    DeadlineExceeded,
    InvalidArgument,
    Overloaded,
    PermissionDenied,
    PetraError,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from petra.v1 import storage_pb2 as pb

_PIPELINE = "/petra.v1.StorageService/Pipeline"

# Messages that may wait for their answers before the next one gathers: one is being answered while one is on its way.
_WINDOW = 2
# After so many seconds, messages that are not answered do not count any more.
_PATIENCE = 0.001
# Calls and bytes under way beyond which callers wait.
_MOST_CALLS = 8_192
_MOST_BYTES = 64 << 20
# Values up to this are not counted in bytes: the bound of calls bounds them.
_UNCOUNTED_BYTES = 1_024
# The first pause before a refused call is tried again, where the server names none; it doubles with each attempt.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
# Request ids are known to the server for ten minutes: a mutation is not sent again after most of that.
_REQUEST_ID_SECONDS = 540.0
# Errors of the stream that another connection would meet as well.
_LASTING = (Unimplemented, PermissionDenied, InvalidArgument)


class Link:
    """Carries calls. Made on the loop that it belongs to; connects when it is first needed."""

    def __init__(self, target: Target, *, timeout: float, connect_timeout: float) -> None:
        """`timeout` is what a call has that does not name its own. Both are in seconds."""
        # Set once.
        self.loop = asyncio.get_running_loop()
        self.target = target
        self._timeout = timeout
        self._connector = Connector(
            target, connect_timeout, up=self._connected, down=self._disconnected, wanted=lambda: bool(self._pending)
        )
        self._deadlines = Deadlines(self.loop, timeout, self._expire)
        # Owned by the loop.
        self._stream: Stream | None = None
        self._pending: deque[Call[Any]] = deque()
        self._in_flight: dict[int, Call[Any]] = {}
        self._next_id = 1
        self._live_calls = 0
        self._live_bytes = 0
        self._room_waiters: deque[asyncio.Future[None]] = deque()
        self._retries: set[Call[Any]] = set()
        self._flush_scheduled = False
        self._patience: asyncio.TimerHandle | None = None
        # Where each message not answered ends, counted in calls sent on this stream.
        self._ends: deque[int] = deque()
        self._sent_count = self._answered_count = 0
        self._closed = False
        # Appended by any thread, emptied by the loop.
        self._incoming: deque[Sequence[Call[Any]]] = deque()
        self._incoming_scheduled = False

    # Calls.

    def submit(self, call: Call[Any]) -> None:
        """Takes a call, to be answered at its deadline at the latest."""
        if self._closed:
            call.finish(ClientClosed("The client is closed."))
            return
        self._deadlines.add(call)
        self._live_calls += 1
        size = len(call.value)
        if size > _UNCOUNTED_BYTES:
            self._live_bytes += size
        self._pending.append(call)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def submit_from_thread(self, calls: Sequence[Call[Any]]) -> None:
        """Takes calls from any thread. Raises RuntimeError when the loop is closed."""
        self._incoming.append(calls)
        if not self._incoming_scheduled:
            self._incoming_scheduled = True
            self.loop.call_soon_threadsafe(self._take_incoming)

    def give_up(self, call: Call[Any]) -> None:
        """Nobody waits for this call any more."""
        if call.outcome is None:
            self._in_flight.pop(call.id, None)
            self._finish(call, ClientClosed("The call was cancelled."))
            self._make_room()

    @property
    def full(self) -> bool:
        """Whether callers should wait for `room` first."""
        return self._live_calls >= _MOST_CALLS or self._live_bytes >= _MOST_BYTES

    async def room(self, timeout: float | None) -> None:
        """Waits until there is room for one more call. Raises DeadlineExceeded, and ClientClosed."""
        seconds = self._timeout if timeout is None else timeout
        waiter = self.loop.create_future()
        self._room_waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self._live_calls} calls are under way, and none of them was answered within {seconds:g} s, so this"
                " one was not sent. The server is behind; make fewer calls at a time."
            ) from None
        finally:
            if waiter.done() and not waiter.cancelled():
                # Cancelled with room in its hand: that is the next one's.
                self._make_room()

    # The connection.

    async def connect(self, timeout: float | None = None) -> None:
        """Makes the connection now. Raises Unavailable when the first attempt fails."""
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                await self._connector.first_attempt()
        except TimeoutError:
            raise Unavailable(f"No connection to {self.target} in time.") from None

    async def unary(self, path: str, request: bytes, timeout: float | None = None) -> bytes:
        """Makes a call of its own, outside the pipeline, that changes nothing and so may be made again."""
        deadline = self.loop.time() + (self._timeout if timeout is None else timeout)
        while True:
            channel = await self._connector.get(deadline - self.loop.time())
            try:
                answer = await channel.unary(path, request, timeout=deadline - self.loop.time())
            except Unavailable:
                pause = random.uniform(_FIRST_PAUSE / 2, _FIRST_PAUSE)  # noqa: S311
                if self._closed or self.loop.time() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)
            else:
                self._connector.settled()
                return answer

    async def close(self) -> None:
        """Ends the connection, and answers every call that waits."""
        if self._closed:
            return
        self._closed = True
        self._deadlines.stop()
        if self._patience is not None:
            self._patience.cancel()
        stream, self._stream = self._stream, None
        self._take_incoming()
        unanswered = [*self._in_flight.values(), *self._retries, *self._pending]
        for call in unanswered:
            if call.outcome is None:
                self._finish(call, self._closed_error(call))
        while self._room_waiters:
            waiter = self._room_waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ClientClosed("The client is closed."))
        if stream is not None:
            stream.cancel()
        await self._connector.close()

    def abandon(self) -> None:
        """Lets go of everything without touching it, in a process that was forked off."""
        self._closed = True
        self._connector.abandon()

    # Sending.

    def _take_incoming(self) -> None:
        self._incoming_scheduled = False
        incoming = self._incoming
        while incoming:
            for call in incoming.popleft():
                self.submit(call)

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Sends what may be sent now."""
        self._flush_scheduled = False
        pending = self._pending
        while pending:
            stream = self._stream
            if stream is None:
                self._connector.want()
                return
            if stream.backlog_bytes:
                # Its handler is told when it is writable.
                return
            if len(self._ends) >= _WINDOW:
                if self._patience is None:
                    self._patience = self.loop.call_later(_PATIENCE, self._lose_patience)
                return
            calls = self._take()
            if calls:
                self._send(stream, calls)

    def _lose_patience(self) -> None:
        self._patience = None
        self._ends.clear()
        self._flush()

    def _take(self) -> list[Call[Any]]:
        """The calls of the next message."""
        pending = self._pending
        if len(pending) <= MESSAGE_CALLS and not self._live_bytes:
            # Nothing large is under way.
            calls = [call for call in pending if call.outcome is None]
            pending.clear()
            return calls
        calls = []
        size = 0
        while pending and len(calls) < MESSAGE_CALLS:
            call = pending[0]
            size += call.size_bytes
            if calls and size > MESSAGE_BYTES:
                break
            pending.popleft()
            if call.outcome is None:
                calls.append(call)
        return calls

    def _send(self, stream: Stream, calls: list[Call[Any]]) -> None:
        first_id = self._next_id
        try:
            message = pack(calls, first_id, self.loop.time())
        except (ValueError, TypeError):
            # A call that cannot be written is the fault of its own.
            calls = [call for call in calls if self._can_be_packed(call)]
            if not calls:
                return
            message = pack(calls, first_id, self.loop.time())
        self._next_id += len(calls)
        in_flight = self._in_flight
        for call_id, call in enumerate(calls, start=first_id):
            call.id = call_id
            in_flight[call_id] = call
        self._sent_count += len(calls)
        self._ends.append(self._sent_count)
        stream.send(message)

    def _can_be_packed(self, call: Call[Any]) -> bool:
        try:
            pack([call], 1, self.loop.time())
        except (ValueError, TypeError) as error:
            self._finish(call, InvalidArgument(f"The {call.name} cannot be sent: {error}."))
            return False
        return True

    # Answers.

    def message(self, data: bytes) -> None:
        """Takes a message of the server (StreamHandler)."""
        in_flight = self._in_flight
        try:
            response = pb.PipelineResponse.FromString(data)
            for call_id, answer in unpack(response):
                call = in_flight.pop(call_id, None)
                if call is not None:
                    self._finish(call, answer)
        except (DecodeError, ValueError) as error:
            self._connector.drop(Unavailable(f"{self.target} sent an answer that cannot be read: {error}."))
            return
        for refused in response.errors:
            call = in_flight.pop(refused.id, None)
            if call is not None:
                mutation = call.retry is not Retry.SAFE
                self._refused(call, from_operation_error(refused, key=call.key, mutation=mutation))
        if self._answered_count == 0:
            self._connector.settled()
        self._answered_count += len(response.ids) + len(response.errors)
        ends = self._ends
        while ends and ends[0] <= self._answered_count:
            ends.popleft()
        self._deadlines.trim(self._live_calls)
        if self._room_waiters:
            self._make_room()
        # After the callers that were just answered had their turn.
        self._schedule_flush()

    def writable(self) -> None:
        """The stream takes more (StreamHandler)."""
        self._schedule_flush()

    def closed(self, status: GrpcStatus) -> None:
        """The server has ended the stream (StreamHandler)."""
        if self._stream is None:
            return
        if status.code == 0:
            error: PetraError = Unavailable(f"{self.target} has ended the connection.")
        else:
            error = from_status(status.code, status.message, status.details)
        self._connector.drop(error)

    def _finish(self, call: Call[Any], outcome: Answer | PetraError) -> None:
        """Answers a call that is not answered yet."""
        self._live_calls -= 1
        size = len(call.value)
        if size > _UNCOUNTED_BYTES:
            self._live_bytes -= size
            # Deadlines may remember the call for a while yet.
            call.value = b""
        call.finish(outcome)

    def _refused(self, call: Call[Any], error: PetraError) -> None:
        """The server did not do it. Tries again where that may help and there is time."""
        pause = self._pause_after(call, error)
        if pause is None:
            self._finish(call, _doubted(call, error))
            return
        call.attempts += 1
        call.columns |= TIMEOUTS
        self._retries.add(call)
        self.loop.call_later(pause, self._again, call)

    def _pause_after(self, call: Call[Any], error: PetraError) -> float | None:
        """How long to wait before a refused call is tried again; None for not at all."""
        if call.in_group or not isinstance(error, Overloaded | Unavailable):
            return None
        if isinstance(error, Unavailable) and call.retry is Retry.NEVER:
            # A failed write or flush may have taken effect.
            return None
        least = error.retry_after if isinstance(error, Overloaded) else None
        pause = max(least or 0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(call.attempts, 10)))
        pause *= random.uniform(1, 1.5)  # noqa: S311 - it only spreads attempts
        return pause if self.loop.time() + pause < call.deadline else None

    def _again(self, call: Call[Any]) -> None:
        self._retries.discard(call)
        if call.outcome is None:
            self._pending.append(call)
            self._schedule_flush()

    def _expire(self, call: Call[Any]) -> None:
        """The deadline of a call has come."""
        if call.outcome is not None:
            return
        seconds = self._timeout if call.timeout is None else call.timeout
        in_flight = self._in_flight.pop(call.id, None) is call
        if in_flight or call.in_doubt:
            error: PetraError = DeadlineExceeded(
                f"No answer to the {call.name} from {self.target} within {seconds:g} s.{_unknown(call)}",
                outcome_unknown=call.retry is not Retry.SAFE,
            )
        elif self._stream is None:
            error = self._connector.unreachable(seconds)
        else:
            error = DeadlineExceeded(
                f"The {call.name} was not done within {seconds:g} s: {self.target} is behind. It was not applied."
            )
        self._finish(call, error)
        self._make_room()

    def _make_room(self) -> None:
        """Lets as many callers in as there is room for."""
        waiters = self._room_waiters
        room = _MOST_CALLS - self._live_calls
        while waiters and room > 0 and self._live_bytes < _MOST_BYTES:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                room -= 1

    # The life of the connection.

    def _connected(self, channel: Channel) -> None:
        self._ends.clear()
        self._sent_count = self._answered_count = 0
        self._stream = channel.open(_PIPELINE, self)
        self._schedule_flush()

    def _disconnected(self, error: PetraError) -> None:
        self._stream = None
        lost, self._in_flight = self._in_flight, {}
        again: list[Call[Any]] = []
        for call in lost.values():
            if self._may_be_sent_again(call, error):
                call.attempts += 1
                call.in_doubt = call.retry is not Retry.SAFE
                again.append(call)
        self._pending.extendleft(reversed(again))
        if isinstance(error, _LASTING):
            waiting, self._pending = self._pending, deque()
            for call in waiting:
                if call.outcome is None:
                    self._finish(call, _doubted(call, error))
        if self._pending:
            self._connector.want()
        self._make_room()

    def _may_be_sent_again(self, call: Call[Any], error: PetraError) -> bool:
        """Answers a call that must not be."""
        if isinstance(error, ResourceExhausted) and call.size_bytes > MESSAGE_BYTES:
            # It went alone, and is larger than the server takes.
            self._finish(call, error)
            return False
        started = call.deadline - (self._timeout if call.timeout is None else call.timeout)
        too_old = call.retry is Retry.ONCE and self.loop.time() > started + _REQUEST_ID_SECONDS
        if call.retry is Retry.NEVER or too_old:
            message = f"The connection was lost before the {call.name} was answered: {error}{_unknown(call)}"
            self._finish(call, Unavailable(message, reason=error.reason, outcome_unknown=True))
            return False
        return True

    def _closed_error(self, call: Call[Any]) -> ClientClosed:
        doubt = (call.in_doubt or call.id in self._in_flight) and call.retry is not Retry.SAFE
        message = f"The client was closed before the {call.name} was answered.{_unknown(call) if doubt else ''}"
        return ClientClosed(message, outcome_unknown=doubt)


def _unknown(call: Call[Any]) -> str:
    return "" if call.retry is Retry.SAFE else " It is not known whether it was applied."


def _doubted(call: Call[Any], error: PetraError) -> PetraError:
    """The error of a call; where an earlier attempt may have been applied, it says so."""
    if error.outcome_unknown or not call.in_doubt:
        return error
    if not isinstance(error, Unavailable | ResourceExhausted | DeadlineExceeded):
        return error
    error.outcome_unknown = True
    error.args = (f"{error}{_unknown(call)}",)
    return error
