"""What the two windows of `limits` hold, how they are stored, and when they let somebody in. Pure.

Moments are whole milliseconds since the Unix epoch by the caller's clock, as with the other storages of `limits`. A
moment before one that is stored counts as that one: a clock that is behind never lets anybody in early.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

_PAIR: Final = struct.Struct("<QQ")
_WINDOW: Final = struct.Struct("<QQQ")


class WindowFull(Exception):
    """Nothing is to be written: the window has no room for what was asked."""


@dataclass(frozen=True, slots=True)
class MovingWindow:
    """Who came within the last `expiry` seconds: moments in their order, each with how many came then."""

    hits: tuple[tuple[int, int], ...] = ()

    @classmethod
    def load(cls, stored: object) -> Self:
        """Reads what `dump` wrote; None is a window that nobody has entered."""
        return cls(tuple(_PAIR.iter_unpack(stored)) if isinstance(stored, bytes) else ())

    def dump(self) -> bytes:
        """As bytes, 16 for each moment."""
        return b"".join(_PAIR.pack(moment, count) for moment, count in self.hits)

    def since(self, now_ms: int, expiry: int) -> MovingWindow:
        """What of it is not over yet."""
        first = now_ms - expiry * 1_000
        return MovingWindow(tuple(hit for hit in self.hits if hit[0] >= first))

    def count(self) -> int:
        """How many came."""
        return sum(count for _, count in self.hits)

    def enter(self, now_ms: int, limit: int, expiry: int, amount: int) -> MovingWindow:
        """The window with `amount` more. Raises WindowFull where they are more than `limit` together."""
        left = self.since(now_ms, expiry)
        if left.count() + amount > limit:
            raise WindowFull
        last, count = left.hits[-1] if left.hits else (0, 0)
        if now_ms <= last:
            return MovingWindow((*left.hits[:-1], (last, count + amount)))
        return MovingWindow((*left.hits, (now_ms, amount)))

    def state(self, now_ms: int, expiry: int) -> tuple[float, int]:
        """When the window began, in seconds since the epoch, and how many are in it."""
        left = self.since(now_ms, expiry)
        return (left.hits[0][0] if left.hits else now_ms) / 1_000, left.count()


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """How many came in the window that began at `start_ms`, and in the one before."""

    start_ms: int
    previous: int = 0
    current: int = 0

    @classmethod
    def load(cls, stored: object, now_ms: int) -> Self:
        """Reads what `dump` wrote; None is a window that begins now."""
        return cls(*_WINDOW.unpack(stored)) if isinstance(stored, bytes) else cls(now_ms)

    def dump(self) -> bytes:
        """As bytes."""
        return _WINDOW.pack(self.start_ms, self.previous, self.current)

    def at(self, now_ms: int, expiry: int) -> SlidingWindow:
        """The same, seen from a later moment: the current window may have become the one before."""
        length = expiry * 1_000
        passed = max(0, now_ms - self.start_ms) // length
        if passed == 0:
            return self
        if passed == 1:
            return SlidingWindow(self.start_ms + length, self.current)
        return SlidingWindow(now_ms)

    def enter(self, now_ms: int, limit: int, expiry: int, amount: int) -> SlidingWindow:
        """The window with `amount` more. Raises WindowFull where they are more than `limit`, by weight."""
        window = self.at(now_ms, expiry)
        before, left, current, _ = window.state(now_ms, expiry)
        if int(before * left / expiry) + current + amount > limit:
            raise WindowFull
        return SlidingWindow(window.start_ms, window.previous, current + amount)

    def state(self, now_ms: int, expiry: int) -> tuple[int, float, int, float]:
        """Of the window before and of the current one: how many came, and for how many seconds they count."""
        window = self.at(now_ms, expiry)
        ends = (window.start_ms - max(now_ms, window.start_ms)) / 1_000 + expiry
        return window.previous, ends if window.previous else 0.0, window.current, ends + expiry


def enter_moving(stored: object, now_ms: int, limit: int, expiry: int, amount: int) -> bytes:
    """What to store after `amount` more have come into a moving window. Raises WindowFull."""
    return MovingWindow.load(stored).enter(now_ms, limit, expiry, amount).dump()


def enter_sliding(stored: object, now_ms: int, limit: int, expiry: int, amount: int) -> bytes:
    """What to store after `amount` more have come into a sliding window. Raises WindowFull."""
    return SlidingWindow.load(stored, now_ms).enter(now_ms, limit, expiry, amount).dump()
