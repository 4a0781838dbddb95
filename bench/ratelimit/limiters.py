"""The two limiters, as a program uses them: one that all tasks share, with its defaults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

PETRA, LIMITS = "petra", "limits"
# Nobody uses it up: what is measured is what allowed calls cost, which is what most calls are.
LIMIT, DAY = 2**31, 86_400

Algorithm = Literal["fixed_window", "sliding_window"]


@dataclass(frozen=True, slots=True)
class Limiter:
    """`check` charges 1 to a key and says whether it may go on; `charged` is how much a key has been charged."""

    check: Callable[[str], Awaitable[bool]]
    charged: Callable[[str], Awaitable[int]]


@asynccontextmanager
async def limiter(library: str, address: str, algorithm: Algorithm, *, durable: bool) -> AsyncIterator[Limiter]:
    """The limiter of a library on the server at `address`. `durable` is Petra's; Redis's is a setting of the server."""
    if library == PETRA:
        async with _petra(address, algorithm, durable=durable) as made:
            yield made
    else:
        async with _limits(address, algorithm) as made:
            yield made


@asynccontextmanager
async def _petra(address: str, algorithm: Algorithm, *, durable: bool) -> AsyncIterator[Limiter]:
    from petra import AsyncClient
    from petra.ratelimit import RateLimiter

    async with AsyncClient(address) as client:
        limiter = RateLimiter(
            client, limit=LIMIT, period=DAY, algorithm=algorithm, durability="fsync" if durable else None
        )

        async def check(key: str) -> bool:
            return (await limiter.check(key)).allowed

        async def charged(key: str) -> int:
            return LIMIT - (await limiter.peek(key)).remaining

        yield Limiter(check, charged)


@asynccontextmanager
async def _limits(address: str, algorithm: Algorithm) -> AsyncIterator[Limiter]:
    import redis.asyncio
    from limits import RateLimitItemPerDay
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

    pool = redis.asyncio.ConnectionPool.from_url(f"redis://{address}")
    # It takes the pool, whatever its types say.
    options: dict[str, Any] = {"connection_pool": pool}
    storage = RedisStorage(f"async+redis://{address}", implementation="redispy", **options)
    strategy = (FixedWindowRateLimiter if algorithm == "fixed_window" else SlidingWindowCounterRateLimiter)(storage)
    item = RateLimitItemPerDay(LIMIT)

    async def check(key: str) -> bool:
        return await strategy.hit(item, key)

    async def charged(key: str) -> int:
        return LIMIT - (await strategy.get_window_stats(item, key)).remaining

    yield Limiter(check, charged)
    await pool.aclose()
