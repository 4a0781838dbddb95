"""The storage of `limits` for coroutines. Its twin in `storage` is for threads."""

from __future__ import annotations

import time
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from petra.errors import PetraError
from petra.integrations.limits.addressing import COUNTER, MOVING, PREFIX, SLIDING, key_of, location_of
from petra.integrations.limits.windows import MovingWindow, SlidingWindow, WindowFull, enter_moving, enter_sliding


class AsyncPetraStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """Rate limits of `limits` on a Petra server, one and the same for all processes that use it.

    A counter is one turn of the server. The two windows are replaced by compare-and-set, so they are exact under any
    concurrency as well. It belongs to one running event loop at a time.
    """

    STORAGE_SCHEME = ["async+petra"]  # noqa: RUF012 - as the base class has it

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        """A storage at `async+petra://host:port/?namespace=...`; more of the query are timeout, durability and tls.

        `options` are those of the query, and overrule them. Writes are "buffered" unless the durability is "fsync":
        limits need not survive a crash of the server's machine. Raises petra.errors.InvalidArgument.
        """
        super().__init__(uri, wrap_exceptions)
        self._client = location_of(uri, options).async_client()

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What its methods raise: PetraError."""
        return PetraError

    async def close(self) -> None:
        """Ends the connection. Later calls raise ClientClosed."""
        await self._client.close()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Adds to a counter, which lives `expiry` seconds from its first increment, and returns the sum."""
        return await self._client.increment(key_of(COUNTER, key), amount, ttl=expiry)

    async def get(self, key: str) -> int:
        """What a counter has reached; 0 when it has expired."""
        return int(await self._client.get(key_of(COUNTER, key), 0))

    async def get_expiry(self, key: str) -> float:
        """When a counter expires, in seconds since the Unix epoch; now, when there is none."""
        entry = await self._client.get_entry(key_of(COUNTER, key))
        return time.time() if entry is None or entry.expires_at is None else entry.expires_at.timestamp()

    async def check(self) -> bool:
        """Whether the server answers, and takes writes."""
        try:
            return (await self._client.info()).writable
        except PetraError:
            return False

    async def reset(self) -> int | None:
        """Removes all limits of this namespace, and returns how many there were."""
        return await self._client.clear(prefix=PREFIX)

    async def clear(self, key: str) -> None:
        """Removes a counter, and the moving window of the same key."""
        await self._client.delete_many([key_of(COUNTER, key), key_of(MOVING, key)])

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enters a moving window `amount` times, or not at all."""
        return await self._replace(
            key_of(MOVING, key), lambda stored: enter_moving(stored, _now_ms(), limit, expiry, amount), expiry + 1
        )

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When a moving window began, in seconds since the Unix epoch, and how many are in it."""
        return MovingWindow.load(await self._client.get(key_of(MOVING, key))).state(_now_ms(), expiry)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enters a sliding window `amount` times, or not at all."""
        return await self._replace(
            key_of(SLIDING, key), lambda stored: enter_sliding(stored, _now_ms(), limit, expiry, amount), 2 * expiry
        )

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Of the window before and of the current one: how many came, and for how many seconds they count."""
        stored, now_ms = await self._client.get(key_of(SLIDING, key)), _now_ms()
        return SlidingWindow.load(stored, now_ms).state(now_ms, expiry)

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Removes a sliding window."""
        await self._client.delete(key_of(SLIDING, key))

    async def _replace(self, key: str, change: Callable[[object], bytes], ttl: int) -> bool:
        """Whether there was room, and the window was replaced."""
        try:
            await self._client.update(key, change, ttl=ttl)
        except WindowFull:
            return False
        return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
