"""The storages of `limits` on a real server. The library's own tests run in `make integrations`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio import strategies as async_strategies
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES, FixedWindowRateLimiter, MovingWindowRateLimiter

from petra import Client
from petra.errors import InvalidArgument, PetraError
from petra.integrations.limits import AsyncPetraStorage, PetraStorage
from petra.testing import TestServer

STRATEGIES_OF_COROUTINES: dict[str, Callable[[AsyncPetraStorage], async_strategies.RateLimiter]] = {
    "fixed-window": async_strategies.FixedWindowRateLimiter,
    "moving-window": async_strategies.MovingWindowRateLimiter,
    "sliding-window-counter": async_strategies.SlidingWindowCounterRateLimiter,
}
TEN = RateLimitItemPerHour(10)


@pytest.fixture
def storage(location: str) -> Iterator[PetraStorage]:
    storage = PetraStorage(location)
    yield storage
    storage.close()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_threads_are_let_in_exactly_as_often_as_they_may(storage: PetraStorage, strategy: str) -> None:
    limiter = STRATEGIES[strategy](storage)
    with ThreadPoolExecutor(16) as pool:
        allowed = list(pool.map(lambda _: limiter.hit(TEN, "ann"), range(40)))
    assert allowed.count(True) == 10
    assert limiter.get_window_stats(TEN, "ann").remaining == 0
    assert limiter.hit(TEN, "bob")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES_OF_COROUTINES))
async def test_coroutines_are_let_in_exactly_as_often_as_they_may(location: str, strategy: str) -> None:
    storage = storage_from_string(f"async+{location}")
    assert isinstance(storage, AsyncPetraStorage)
    limiter: async_strategies.RateLimiter = STRATEGIES_OF_COROUTINES[strategy](storage)
    allowed = await asyncio.gather(*(limiter.hit(TEN, "ann") for _ in range(40)))
    assert allowed.count(True) == 10
    assert (await limiter.get_window_stats(TEN, "ann")).remaining == 0
    await limiter.clear(TEN, "ann")
    assert (await limiter.get_window_stats(TEN, "ann")).remaining == 10
    assert await storage.check()
    await storage.close()


def test_a_counter_expires_on_the_server(storage: PetraStorage, server: TestServer) -> None:
    minute = RateLimitItemPerMinute(2)
    limiter = FixedWindowRateLimiter(storage)
    assert limiter.hit(minute, cost=2)
    expires = server.clock.now.timestamp() + 60
    assert limiter.get_window_stats(minute).reset_time == pytest.approx(expires)
    server.clock.advance(30)
    assert not limiter.hit(minute)
    assert limiter.get_window_stats(minute).reset_time == pytest.approx(expires)
    server.clock.advance(30)
    assert limiter.hit(minute)


@pytest.mark.parametrize("in_coroutines", [False, True])
def test_windows_are_kept_as_long_as_they_count_and_no_longer(
    storage: PetraStorage, location: str, server: TestServer, in_coroutines: bool
) -> None:
    async def enter() -> None:
        other = AsyncPetraStorage(f"async+{location}")
        assert await other.acquire_entry("moving", 1, 60)
        assert await other.acquire_sliding_window_entry("sliding", 1, 60)
        await other.close()

    if in_coroutines:
        asyncio.run(enter())
    else:
        assert storage.acquire_entry("moving", 1, 60)
        assert storage.acquire_sliding_window_entry("sliding", 1, 60)
    # The server's time alone goes on: the windows themselves go by that of this process.
    server.clock.advance(60.9)
    assert not storage.acquire_entry("moving", 1, 60)
    server.clock.advance(59)
    assert storage.get_moving_window("moving", 1, 60)[1] == 0
    assert not storage.acquire_sliding_window_entry("sliding", 1, 60)
    server.clock.advance(0.2)
    assert storage.get_sliding_window("sliding", 60)[2] == 0


def test_what_costs_more_than_there_is_costs_nothing(storage: PetraStorage) -> None:
    limiter = MovingWindowRateLimiter(storage)
    assert limiter.hit(TEN, cost=7)
    assert not limiter.hit(TEN, cost=4)
    assert limiter.get_window_stats(TEN).remaining == 3
    assert limiter.hit(TEN, cost=3)


def test_a_reset_removes_limits_and_nothing_else(storage: PetraStorage, location: str, server: TestServer) -> None:
    with Client(server.address, namespace=location.rpartition("=")[2]) as client:
        client.set("mine", 1)
        FixedWindowRateLimiter(storage).hit(TEN)
        MovingWindowRateLimiter(storage).hit(TEN)
        assert storage.reset() == 2
        assert list(client.list_keys()) == ["mine"]


def test_keys_may_be_of_any_length(storage: PetraStorage) -> None:
    limiter = FixedWindowRateLimiter(storage)
    for end in "ab":
        assert limiter.hit(TEN, "x" * 5_000 + end, cost=10)


def test_a_server_that_is_away_is_told(server: TestServer) -> None:
    with TestServer() as other:
        away = f"petra://{other.address}/?timeout=0.2"
    assert not PetraStorage(away).check()
    with pytest.raises(PetraError):
        PetraStorage(away).incr("key", 1)
    with pytest.raises(StorageError):
        PetraStorage(away, wrap_exceptions=True).incr("key", 1)


def test_storage_options_overrule_the_uri(location: str) -> None:
    options = {"namespace": f"{time.time_ns()}"}
    one, other = storage_from_string(location), storage_from_string(location, **options)
    assert isinstance(one, PetraStorage)
    assert isinstance(other, PetraStorage)
    one.incr("key", 60)
    assert (one.get("key"), other.get("key")) == (1, 0)
    with pytest.raises(InvalidArgument, match="is no option"):
        storage_from_string(location, pool_size=3)
