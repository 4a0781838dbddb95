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
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

from google.protobuf.message import DecodeError

from petra._transport import doubts
from petra._transport.admission import Admission
from petra._transport.calls import TIMEOUTS, Answer, Call, Retry
from petra._transport.channel import Channel
from petra._transport.connector import Connector
from petra._transport.deadlines import Deadlines
from petra._transport.http2 import GrpcStatus, Stream
from petra._transport.packing import pack, unpack, withdrawal
from petra._transport.portions import Portions
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
# What a call has left at least that waited for room until the last moment.
LEAST_SECONDS = 0.001
# Calls of one group that are under way at once.
_GROUP_CALLS = 4_096
# Calls given up before they are sent keep their place in the queue; beyond this many they are cleared out.
_SLACK = 4_096
# The first pause before a refused call is tried again, where the server names none; it doubles with each attempt.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
# Request ids are known to the server for ten minutes: a mutation is not sent again after most of that.
_REQUEST_ID_SECONDS = 540.0
# Errors of the stream that another connection would meet as well.
_LASTING = (Unimplemented, PermissionDenied, InvalidArgument)


def parts(calls: Sequence[Call[Any]]) -> Iterator[Sequence[Call[Any]]]:
    """What of a group is under way at once: however large it is, others have their turn."""
    return (calls[start : start + _GROUP_CALLS] for start in range(0, len(calls), _GROUP_CALLS))


class Link:
    """Carries calls. Made on the loop that it belongs to; connects when it is first needed."""

    def __init__(self, target: Target, *, timeout: float, connect_timeout: float) -> None:
        """`timeout` is what a call has that does not name its own. Both are in seconds."""
        # Set once.
        self.loop = asyncio.get_running_loop()
        self.target = target
        self._timeout = timeout
        self._connector = Connector(
            target,
            connect_timeout,
            up=self._connected,
            down=self._disconnected,
            wanted=lambda: self._admission.calls > 0,
        )
        self._deadlines = Deadlines(self.loop, timeout, self._expire)
        # Owned by the loop.
        self._stream: Stream | None = None
        self._pending: deque[Call[Any]] = deque()
        self._in_flight: dict[int, Call[Any]] = {}
        self._next_id = 1
        self._admission = Admission()
        self._portions = Portions()
        self._retries: set[Call[Any]] = set()
        # Some that wait to be sent were sent before, and may have been applied.
        self._some_in_doubt = False
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
        self._admission.enter(call)
        self._pending.append(call)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush)

    def submit_from_thread(self, calls: Sequence[Call[Any]]) -> None:
        """Takes calls from any thread. Raises RuntimeError when the loop is closed."""
        self._incoming.append(calls)
        if not self._incoming_scheduled:
            try:
                self._incoming_scheduled = True
                self.loop.call_soon_threadsafe(self._take_incoming)
            except BaseException:
                # Ctrl-C may come in between.
                self._incoming_scheduled = False
                raise

    def give_up(self, call: Call[Any]) -> None:
        """Nobody waits for this call any more."""
        if call.outcome is None:
            sent = self._in_flight.pop(call.id, None) is call
            if sent and call.interruptible and self._stream is not None:
                self._stream.send(withdrawal(call.id))
            self._finish(call, ClientClosed("The call was cancelled."))
            self._given_up()

    @property
    def full(self) -> bool:
        """Whether callers should wait for `room` first."""
        return self._admission.full

    async def room(self, calls: Sequence[Call[Any]], timeout: float | None) -> float:
        """Waits until calls may be submitted, which is then to be done at once. Returns what is left of the time-out.

        Raises DeadlineExceeded, Unavailable, and ClientClosed.
        """
        seconds = self._timeout if timeout is None else timeout
        deadline = self.loop.time() + seconds
        try:
            await self._admission.room(calls, deadline)
        except TimeoutError:
            if self._stream is None:
                raise self._connector.unreachable(seconds) from None
            raise DeadlineExceeded(
                f"{self._admission.calls} calls are under way, and there was no room for another within {seconds:g} s,"
                f" so it was not sent. {self.target} is behind; make fewer calls at a time."
            ) from None
        return max(LEAST_SECONDS, deadline - self.loop.time())

    # The connection.

    async def connect(self, timeout: float | None = None) -> None:
        """Makes the connection now. Raises Unavailable when the first attempt fails."""
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                await self._connector.first_attempt()
        except TimeoutError:
            raise Unavailable(f"No connection to {self.target} in time.") from None

    async def channel(self, deadline: float) -> Channel:
        """The connection, for a call of its own. Raises Unavailable when there is none by the deadline."""
        return await self._connector.get(deadline - self.loop.time())

    async def unary(self, path: str, request: bytes, timeout: float | None = None) -> bytes:
        """Makes a call of its own, outside the pipeline, that changes nothing and so may be made again."""
        seconds = self._timeout if timeout is None else timeout
        deadline = self.loop.time() + seconds
        attempts = 0
        while True:
            channel = await self.channel(deadline)
            try:
                answer = await channel.unary(path, request, timeout=deadline - self.loop.time())
            except DeadlineExceeded:
                raise DeadlineExceeded(f"No answer from {self.target} within {seconds:g} s.") from None
            except Unavailable as error:
                await self.before_next_attempt(error, attempts, deadline)
                attempts += 1
            else:
                self.settled()
                return answer

    async def before_next_attempt(self, error: PetraError, attempts: int, deadline: float) -> None:
        """Waits before a call of its own that failed so is made again. Raises why it is not to be made."""
        lasting = self._connector.last_error
        if isinstance(lasting, _LASTING):
            raise copy(lasting) from None
        if self._closed:
            raise ClientClosed("The client is closed.") from None
        pause = _pause(error, attempts)
        if self.loop.time() + pause >= deadline:
            raise error from None
        await asyncio.sleep(pause)

    def settled(self) -> None:
        """The connection works."""
        self._connector.settled()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed by its owner."""
        return self._closed

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
                self._finish(call, doubts.closed(call, sent=call.id in self._in_flight))
        self._admission.close(ClientClosed("The client is closed."))
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
        # At once: whoever waits in another thread has nothing to add in this tick.
        self._flush()

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
        if self._some_in_doubt:
            self._drop_old()
        return self._portions.take(self._pending, some_large=self._admission.bytes > 0)

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
                self._refused(call, from_operation_error(refused, key=call.key, mutation=call.mutates))
        if self._answered_count == 0:
            self._connector.settled()
        self._answered_count += len(response.ids) + len(response.errors)
        ends = self._ends
        while ends and ends[0] <= self._answered_count:
            ends.popleft()
        self._deadlines.trim(self._admission.calls)
        self._admission.let_in()
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
        self._admission.leave(call)
        call.finish(outcome)

    def _refused(self, call: Call[Any], error: PetraError) -> None:
        """The server did not do it. Tries again where that may help and there is time."""
        pause = self._pause_after(call, error)
        if pause is None:
            # Anything else than these decides what became of it.
            undecided = isinstance(error, Unavailable | ResourceExhausted | DeadlineExceeded)
            self._finish(call, doubts.doubted(call, error) if undecided else error)
            return
        call.attempts += 1
        if error.outcome_unknown:
            call.in_doubt = self._some_in_doubt = True
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
        pause = _pause(error, call.attempts)
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
            error: PetraError = doubts.unanswered(call, str(self.target), seconds)
        elif self._stream is None:
            error = self._connector.unreachable(seconds)
        else:
            error = doubts.not_begun(call, str(self.target), seconds)
        self._finish(call, error)
        self._given_up()

    def _given_up(self) -> None:
        """A call has left before its answer came: lets others in, and forgets it where it still waits."""
        if len(self._pending) > 2 * self._admission.calls + _SLACK:
            self._pending = deque(call for call in self._pending if call.outcome is None)
        self._deadlines.trim(self._admission.calls)
        self._admission.let_in()

    # The life of the connection.

    def _connected(self, channel: Channel) -> None:
        self._ends.clear()
        self._sent_count = self._answered_count = 0
        self._stream = channel.open(_PIPELINE, self)
        self._schedule_flush()

    def _disconnected(self, error: PetraError) -> None:
        self._stream = None
        lost, self._in_flight = self._in_flight, {}
        # A server that drains has answered everything it began. A stream that ends with a lasting error before its
        # first answer was refused as a whole; later, what was sent may have been applied.
        untouched = error.reason == "DRAINING" or (isinstance(error, _LASTING) and not self._answered_count)
        if isinstance(error, ResourceExhausted):
            self._blame_the_largest(lost, error)
        lasting = isinstance(error, _LASTING) and not self._portions.were_too_large(error)
        again: list[Call[Any]] = []
        for call in lost.values():
            call.in_doubt |= call.mutates and not untouched
            if call.in_doubt and (call.retry is Retry.NEVER or self._too_old(call)):
                self._finish(call, doubts.undecided(call, error))
            else:
                call.attempts += 1
                self._some_in_doubt |= call.in_doubt
                again.append(call)
        self._pending.extendleft(reversed(again))
        if lasting:
            waiting, self._pending = self._pending, deque()
            for call in waiting:
                if call.outcome is None:
                    self._finish(call, doubts.own(call, error))
        if self._pending:
            self._connector.want()
        self._admission.let_in()

    def _blame_the_largest(self, lost: dict[int, Call[Any]], error: ResourceExhausted) -> None:
        """A message larger than the server takes ends the stream, and gRPC does not say which one it was."""
        large = [call for call in lost.values() if self._portions.goes_alone(call)]
        if large:
            largest = max(large, key=lambda call: call.size_bytes)
            del lost[largest.id]
            # Where another one may be at fault, this one may have been applied.
            largest.in_doubt |= largest.mutates and len(large) > 1
            self._finish(largest, doubts.own(largest, error))
        else:
            self._portions.were_too_large(error)

    def _too_old(self, call: Call[Any]) -> bool:
        """Whether the server may have forgotten its request id."""
        started = call.deadline - (self._timeout if call.timeout is None else call.timeout)
        return call.retry is Retry.ONCE and self.loop.time() > started + _REQUEST_ID_SECONDS

    def _drop_old(self) -> None:
        """Gives up what may have been applied and must not be sent any more."""
        in_doubt = [call for call in self._pending if call.in_doubt and call.outcome is None]
        old = [call for call in in_doubt if self._too_old(call)]
        for call in old:
            self._finish(call, doubts.undecided(call, self._connector.last_error or Unavailable("It was refused.")))
        self._some_in_doubt = len(in_doubt) > len(old)


def _pause(error: PetraError, attempts: int) -> float:
    """The seconds before the next attempt: what the server says, or more with each failure."""
    least = error.retry_after if isinstance(error, Overloaded) else None
    pause: float = max(least or 0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempts, 10)))
    return pause * random.uniform(1, 1.5)  # noqa: S311 - it only spreads attempts
