"""Increments, expiry, clearing and rate limits, with both trees of the client. The time is the server's."""

from __future__ import annotations

import asyncio

import pytest

from petra import AsyncClient, RateLimit, Throttled
from petra.errors import FailedPrecondition, IntegerOverflow, InvalidArgument, NotAnInteger, NotAThrottle
from petra.testing import TestServer
from petra.values import Algorithm

LARGEST = 2**63 - 1


class TestIncrement:
    async def test_an_absent_entry_counts_from_the_initial_value(self, client: AsyncClient) -> None:
        assert await client.increment("a") == 1
        assert await client.increment("a", 4) == 5
        assert await client.increment("a", -7) == -2
        assert await client.increment("a", 0) == -2
        assert await client.increment("b", 1, initial=100) == 101
        assert await client.increment("b", 1, initial=100) == 102
        assert await client.increment("c", 0, initial=-5) == -5
        assert await client.get_many(["a", "b", "c"]) == {"a": -2, "b": 102, "c": -5}

    async def test_concurrent_ones_all_count(self, client: AsyncClient) -> None:
        sums = await asyncio.gather(*(client.increment("hits") for _ in range(50)))
        assert sorted(sums) == list(range(1, 51))

    async def test_a_ttl_is_given_when_it_begins(self, client: AsyncClient, server: TestServer) -> None:
        await client.increment("a", ttl=10)
        server.clock.advance(6)
        await client.increment("a", ttl=10)
        server.clock.advance(3.999)
        assert await client.increment("a") == 3
        server.clock.advance(0.001)
        assert await client.increment("a") == 1

    async def test_the_ends_of_64_bits(self, client: AsyncClient) -> None:
        await client.set("top", LARGEST - 1)
        assert await client.increment("top") == LARGEST
        with pytest.raises(IntegerOverflow):
            await client.increment("top")
        assert await client.increment("top", -LARGEST) == 0
        assert await client.increment("bottom", -LARGEST - 1) == -LARGEST - 1
        with pytest.raises(IntegerOverflow):
            await client.increment("bottom", -1)
        assert await client.get("bottom") == -LARGEST - 1

    @pytest.mark.parametrize("value", ["text", 1.5, None, [1], b"x", {"n": 1}])
    async def test_what_is_no_integer_stays_as_it_is(self, client: AsyncClient, value: object) -> None:
        version = await client.set("key", value)
        with pytest.raises(NotAnInteger) as caught:
            await client.increment("key")
        assert isinstance(caught.value, FailedPrecondition)
        assert not caught.value.outcome_unknown
        entry = await client.get_entry("key")
        assert entry is not None
        assert (entry.value, entry.version) == (value, version)


class TestTouch:
    async def test_a_new_expiry_and_none(self, client: AsyncClient, server: TestServer) -> None:
        version = await client.set("key", 1, ttl=1)
        assert await client.touch("key", 5) is True
        server.clock.advance(4.999)
        entry = await client.get_entry("key")
        assert entry is not None
        assert entry.version == version
        assert await client.touch("key", None) is True
        server.clock.advance(1_000)
        assert await client.get("key") == 1
        assert await client.touch("key", 0.001) is True
        server.clock.advance(0.001)
        assert await client.touch("key", 1) is False
        assert await client.touch("absent", None) is False


class TestClear:
    async def test_all_or_a_prefix_of_flat_keys_and_no_objects(self, client: AsyncClient) -> None:
        room = client.object("room")
        for place in (client, room):
            await place.set_many({f"{prefix}:{number}": 0 for prefix in "ab" for number in range(20)})
        assert await client.clear(prefix="a:") == 20
        assert [key async for key in client.list_keys(limit=1)] == ["b:0"]
        assert await client.clear(durability="buffered") == 20
        assert await client.clear() == 0
        assert await room.clear(prefix="b:1") == 11
        assert await room.clear() == 29
        assert await room.get("a:0") is None

    async def test_expired_entries_do_not_count(self, client: AsyncClient, server: TestServer) -> None:
        await client.set_many({"a": 1, "b": 1}, ttl=1)
        await client.set("c", 1)
        server.clock.advance(1)
        assert await client.clear() == 1


class TestThrottle:
    async def test_gcra_spaces_calls_out(self, client: AsyncClient, server: TestServer) -> None:
        verdicts = [await client.throttle("limit", 2, 1) for _ in range(3)]
        assert [bool(verdict) for verdict in verdicts] == [True, True, False]
        assert verdicts[0] == Throttled(allowed=True, limit=2, remaining=1, retry_after=0, reset_after=0.5)
        assert verdicts[2] == Throttled(allowed=False, limit=2, remaining=0, retry_after=0.5, reset_after=1)
        server.clock.advance(0.499)
        assert not await client.throttle("limit", 2, 1)
        server.clock.advance(0.001)
        assert await client.throttle("limit", 2, 1)
        assert not await client.throttle("limit", 2, 1)

    async def test_a_burst_of_its_own(self, client: AsyncClient, server: TestServer) -> None:
        assert [bool(await client.throttle("limit", 10, 10, burst=1)) for _ in range(2)] == [True, False]
        server.clock.advance(1)
        assert await client.throttle("limit", 10, 10, burst=1)

    @pytest.mark.parametrize("algorithm", ["gcra", "fixed_window", "sliding_window"])
    async def test_each_algorithm_denies_charges_nothing_then_and_forgets(
        self, client: AsyncClient, server: TestServer, algorithm: Algorithm
    ) -> None:
        room = client.object("room")
        assert await room.throttle("limit", 5, 60, algorithm=algorithm, cost=3)
        denied = await room.throttle("limit", 5, 60, algorithm=algorithm, cost=3)
        assert not denied.allowed
        assert denied.remaining == 2
        assert 0 < denied.retry_after <= denied.reset_after <= 120
        assert await room.throttle("limit", 5, 60, algorithm=algorithm, cost=2)
        server.clock.advance(denied.reset_after + 60)
        fresh = await room.throttle("limit", 5, 60, algorithm=algorithm, peek=True)
        assert fresh == Throttled(allowed=True, limit=5, remaining=5, retry_after=0, reset_after=0)
        assert await room.get("limit") is None

    async def test_a_peek_charges_nothing(self, client: AsyncClient) -> None:
        for _ in range(3):
            seen = await client.throttle("limit", 1, 60, peek=True)
            assert (seen.allowed, seen.remaining) == (True, 1)
        assert await client.throttle("limit", 1, 60, durability="fsync")
        assert not await client.throttle("limit", 1, 60, peek=True)

    async def test_a_value_is_no_rate_limit(self, client: AsyncClient) -> None:
        await client.set("key", "value")
        with pytest.raises(NotAThrottle):
            await client.throttle("key", 1, 1)
        assert await client.get("key") == "value"

    async def test_what_can_never_be_allowed_is_refused(self, client: AsyncClient) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await client.throttle("key", 2, 1, cost=3)
        assert caught.value.reason == "INVALID_THROTTLE"
        assert caught.value.field == "cost"


class TestSeveralThrottles:
    async def test_all_are_charged_or_none(self, client: AsyncClient, server: TestServer) -> None:
        limits = [RateLimit(1, 60), RateLimit(5, 3_600, "sliding_window")]
        first, second = [await client.throttle_all("limit", limits) for _ in range(2)]
        assert (bool(first), first.limit, first.remaining) == (True, 1, 0)
        assert [each.remaining for each in first.each] == [0, 4]
        assert (bool(second), second.retry_after) == (False, 60)
        assert [(each.allowed, each.remaining) for each in second.each] == [(False, 0), (True, 4)]
        server.clock.advance(60)
        assert await client.throttle_all("limit", limits, peek=True)
        assert [each.remaining for each in (await client.throttle_all("limit", limits)).each] == [0, 3]

    async def test_in_a_pipeline_and_in_an_object(self, client: AsyncClient) -> None:
        limits = [RateLimit(1, 60), RateLimit(5, 3_600)]
        pipeline = client.object("room").pipeline()
        deferred = [pipeline.throttle_all("limit", limits) for _ in range(2)]
        await pipeline.execute()
        assert [bool(each.result()) for each in deferred] == [True, False]

    async def test_there_must_be_one(self, client: AsyncClient) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await client.throttle_all("limit", [])
        assert caught.value.field == "limits"

    async def test_one_that_need_not_be_charged_once_is_as_exact(self, client: AsyncClient) -> None:
        limits = [RateLimit(7, 60)]
        verdicts = await asyncio.gather(
            *(client.throttle("one", 7, 60, once=False) for _ in range(20)),
            *(client.throttle_all("all", limits, once=False) for _ in range(20)),
        )
        assert sum(map(bool, verdicts[:20])) == sum(map(bool, verdicts[20:])) == 7
        # The same check again, with one thing that is another.
        assert await client.throttle("one", 8, 60, once=False, peek=True, algorithm="fixed_window")
        assert not await client.throttle("one", 7, 60, once=False, peek=True)
        assert await client.object("room").throttle("one", 7, 60, once=False)

    async def test_it_goes_on_after_a_restart(self, client: AsyncClient, server: TestServer) -> None:
        assert await client.throttle("limit", 2, 60, once=False)
        server.restart()
        assert await client.throttle("limit", 2, 60, once=False)
        assert not await client.throttle("limit", 2, 60, once=False)
