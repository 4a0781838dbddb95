"""The clocks that expiry is judged by. Milliseconds since the Unix epoch, as integers."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. It never runs backwards, so that what has expired stays expired."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The machine's wall clock. When that is set back, this one stands still until it has caught up."""

    __slots__ = ("_latest_ms",)

    def __init__(self) -> None:
        self._latest_ms = 0

    def now_ms(self) -> int:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > self._latest_ms:
            self._latest_ms = now_ms
        return self._latest_ms


class ManualClock:
    """A clock that moves only when told to, for tests."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Moves the time on. Raises ValueError for a step back."""
        if ms < 0:
            raise ValueError("a clock does not run backwards")
        self._now_ms += ms
