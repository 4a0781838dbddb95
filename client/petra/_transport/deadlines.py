"""When calls are given up.

Nearly all calls have the client's own time-out, so they end in the order in which they came: one queue and one timer
serve them all. A call with a time-out of its own has a timer of its own. Loop thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from petra._transport.calls import Call

# Answered calls behind one that is not keep their place; beyond this many they are cleared out.
_SLACK = 4_096


class Deadlines:
    """Calls `expire` with each call that is not answered in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, usual: float, expire: Callable[[Call[Any]], None]) -> None:
        """`usual` is the client's own time-out, in seconds."""
        # Set once.
        self._loop = loop
        self._usual = usual
        self._expire = expire
        # Owned by the loop.
        self._queue: deque[Call[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call[Any]) -> None:
        """Sets the deadline of a call that begins now."""
        timeout = call.timeout
        if timeout is not None:
            call.deadline = self._loop.time() + timeout
            call.timer = self._loop.call_at(call.deadline, self._expire, call)
            return
        call.deadline = self._loop.time() + self._usual
        self._queue.append(call)
        if self._timer is None:
            self._timer = self._loop.call_at(call.deadline, self._tick)

    def trim(self, live: int) -> None:
        """Forgets calls that are answered. `live` is how many are not."""
        queue = self._queue
        while queue and queue[0].outcome is not None:
            queue.popleft()
        if len(queue) > 2 * live + _SLACK:
            self._queue = deque(call for call in queue if call.outcome is None)

    def stop(self) -> None:
        """Gives up nothing more."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        # To expire a call may trim the queue, so it is looked at anew each time.
        while self._queue:
            call = self._queue[0]
            if call.outcome is None and call.deadline > now:
                self._timer = self._loop.call_at(call.deadline, self._tick)
                return
            self._queue.popleft()
            if call.outcome is None:
                self._expire(call)
