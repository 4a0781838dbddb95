"""How much a link has under way, and who waits to add to it. Loop thread only.

Whoever is let in counts from that moment on, so that no number of callers that are let in at once exceeds the bounds by
more than one of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from petra._transport.calls import Call
from petra.errors import PetraError

# Calls and bytes under way beyond which callers wait.
MOST_CALLS: Final = 8_192
MOST_BYTES: Final = 64 << 20
# Values up to this are not counted in bytes: the bound of calls bounds them.
UNCOUNTED_BYTES: Final = 1_024


class _Waiter(NamedTuple):
    """A caller that waits for room, and what it will submit."""

    admitted: asyncio.Future[None]
    calls: int
    bytes: int


class Admission:
    """Counts what is submitted and not answered."""

    __slots__ = ("_waiters", "bytes", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self.bytes = 0
        self._waiters: deque[_Waiter] = deque()

    @property
    def full(self) -> bool:
        """Whether callers should wait for `room` first."""
        return self.calls >= MOST_CALLS or self.bytes >= MOST_BYTES

    def enter(self, call: Call[Any]) -> None:
        """Counts a call that is submitted."""
        self.calls += 1
        size = len(call.value)
        if size > UNCOUNTED_BYTES:
            self.bytes += size

    def leave(self, call: Call[Any]) -> None:
        """Counts a call no more, and lets its value go: others may remember the call for a while yet."""
        self.calls -= 1
        size = len(call.value)
        if size > UNCOUNTED_BYTES:
            self.bytes -= size
            call.value = b""

    async def room(self, calls: Sequence[Call[Any]], deadline: float) -> None:
        """Waits until the calls may be submitted, which is then to be done at once. Raises TimeoutError."""
        sizes = (len(call.value) for call in calls)
        size = sum(size for size in sizes if size > UNCOUNTED_BYTES)
        waiter = _Waiter(asyncio.get_running_loop().create_future(), len(calls), size)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter.admitted
        except (TimeoutError, asyncio.CancelledError):
            self._give_back(waiter)
            raise
        # Counted again when they are submitted.
        self.calls -= waiter.calls
        self.bytes -= waiter.bytes

    def let_in(self) -> None:
        """Lets as many in as there is room for. What they will submit counts from now on."""
        waiters = self._waiters
        while waiters and not self.full:
            waiter = waiters.popleft()
            if not waiter.admitted.done():
                waiter.admitted.set_result(None)
                self.calls += waiter.calls
                self.bytes += waiter.bytes

    def close(self, error: PetraError) -> None:
        """Answers everyone who waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.admitted.done():
                waiter.admitted.set_exception(error)

    def _give_back(self, waiter: _Waiter) -> None:
        """The caller submits nothing. Where it was let in already, that is the next one's room."""
        admitted = waiter.admitted
        if admitted.done() and not admitted.cancelled() and admitted.exception() is None:
            self.calls -= waiter.calls
            self.bytes -= waiter.bytes
            self.let_in()
