"""A limiter in both trees: what it allows, what it says, and what it leaves behind. The time is the server's."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from typing import Any

import pytest

import petra.sync.ratelimit
from petra import AsyncClient, Client
from petra.errors import InvalidArgument, NotAThrottle
from petra.ratelimit import RateLimit, RateLimited, RateLimiter, Throttled
from petra.testing import TestServer
from petra.values import Algorithm
from tests.support.layers import Tree

ALGORITHMS: list[Algorithm] = ["gcra", "fixed_window", "sliding_window"]


def to_the_next_minute(server: TestServer) -> None:
    """Windows begin at whole minutes of the clock."""
    server.clock.advance(60 - server.clock.now_ms() % 60_000 / 1_000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestOneLimit:
    async def test_it_allows_the_limit_and_no_more(self, tree: Tree, server: TestServer, algorithm: Algorithm) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=3, period=60, algorithm=algorithm)
        verdicts = [await limiter.check("ann") for _ in range(4)]
        assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
        assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
        assert {verdict.limit for verdict in verdicts} == {3}
        assert [verdict.retry_after > 0 for verdict in verdicts] == [False, False, False, True]
        assert await limiter.check("bob")

    async def test_it_allows_again_at_the_very_millisecond(
        self, tree: Tree, server: TestServer, algorithm: Algorithm
    ) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=3, period=60, algorithm=algorithm)
        denied = [await limiter.check("ann") for _ in range(4)][-1]
        server.clock.advance(denied.retry_after - 0.001)
        assert not await limiter.check("ann")
        server.clock.advance(0.001)
        assert await limiter.check("ann")

    async def test_all_is_there_again_after_the_reset(
        self, tree: Tree, server: TestServer, algorithm: Algorithm
    ) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=3, period=60, algorithm=algorithm)
        last = [await limiter.check("ann") for _ in range(2)][-1]
        server.clock.advance(last.reset_after)
        assert (await limiter.peek("ann")).remaining == 3
        assert await limiter.check("ann", 3)

    async def test_a_cost_counts_as_a_whole(self, tree: Tree, server: TestServer, algorithm: Algorithm) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=5, period=60, algorithm=algorithm)
        assert await limiter.check("ann", 3)
        assert not await limiter.check("ann", 3)
        assert await limiter.check("ann", cost=2)
        with pytest.raises(InvalidArgument):
            await limiter.check("ann", 6)

    async def test_peek_charges_nothing(self, tree: Tree, server: TestServer, algorithm: Algorithm) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=1, period=60, algorithm=algorithm)
        assert (await limiter.peek("ann")).remaining == 1
        assert await limiter.check("ann")
        assert not await limiter.peek("ann")

    async def test_reset_forgets(self, tree: Tree, server: TestServer, algorithm: Algorithm) -> None:
        to_the_next_minute(server)
        limiter = tree.make(RateLimiter, limit=1, period=60, algorithm=algorithm)
        assert not await limiter.reset("ann")
        await limiter.check("ann")
        assert await limiter.reset("ann")
        assert await limiter.check("ann")


class TestSeveralLimits:
    async def test_they_are_charged_together_or_not_at_all(self, tree: Tree, server: TestServer) -> None:
        limiter = tree.make(RateLimiter, limits=[(2, 60), RateLimit(3, timedelta(hours=1))])
        first, second, third = [await limiter.check("ann") for _ in range(3)]
        assert first
        assert second
        assert not third
        assert [each.allowed for each in third.each] == [False, True]
        # The hour was not charged for what the minute has denied.
        assert [each.remaining for each in third.each] == [0, 1]
        server.clock.advance(60)
        fourth = await limiter.check("ann")
        assert fourth
        assert [each.remaining for each in fourth.each] == [1, 0]
        fifth = await limiter.check("ann")
        assert [each.allowed for each in fifth.each] == [True, False]
        assert [each.remaining for each in fifth.each] == [1, 0]

    async def test_the_answer_is_that_of_the_tightest(self, tree: Tree) -> None:
        limiter = tree.make(RateLimiter, limits=[(10, 60), (4, 3_600)])
        verdict = await limiter.check("ann")
        minute, hour = verdict.each
        assert verdict == Throttled(True, 4, 3, 0.0, hour.reset_after, (minute, hour))
        assert (minute.limit, minute.remaining) == (10, 9)

    async def test_it_may_be_tried_again_when_all_allow_it(self, tree: Tree, server: TestServer) -> None:
        limiter = tree.make(RateLimiter, limits=[(1, 60), (1, 3_600)])
        await limiter.check("ann")
        denied = await limiter.check("ann")
        assert denied.retry_after == 3_600
        assert [each.retry_after for each in denied.each] == [60, 3_600]
        server.clock.advance(3_599.999)
        assert not await limiter.check("ann")
        server.clock.advance(0.001)
        assert await limiter.check("ann")

    async def test_algorithms_may_be_mixed(self, tree: Tree, server: TestServer) -> None:
        to_the_next_minute(server)
        limiter = tree.make(
            RateLimiter, limits=[RateLimit(2, 60, "fixed_window"), RateLimit(3, 60, "sliding_window"), (9, 60)]
        )
        assert [bool(await limiter.check("ann")) for _ in range(3)] == [True, True, False]
        server.clock.advance(60)
        # All of the window before still counts for the sliding one, which has one left.
        assert [bool(await limiter.check("ann")) for _ in range(2)] == [True, False]

    async def test_peek_and_reset(self, tree: Tree) -> None:
        limiter = tree.make(RateLimiter, limits=[(1, 60), (5, 3_600)])
        assert await limiter.peek("ann")
        await limiter.check("ann")
        assert not await limiter.peek("ann")
        assert [each.remaining for each in (await limiter.peek("ann")).each] == [0, 4]
        assert await limiter.reset("ann")
        assert (await limiter.peek("ann")).remaining == 1

    async def test_concurrent_checks_charge_both_alike(self, tree: Tree) -> None:
        limiter = tree.make(RateLimiter, limits=[(7, 60), (9, 3_600)])
        verdicts = await asyncio.gather(*(limiter.check("ann") for _ in range(30)))
        assert sum(verdict.allowed for verdict in verdicts) == 7
        assert [each.remaining for each in (await limiter.peek("ann")).each] == [0, 2]

    async def test_limits_come_and_go(self, tree: Tree) -> None:
        await tree.make(RateLimiter, limits=[(5, 60), (10, 3_600)]).check("ann", 4)
        # What stays is known by its algorithm and period. Of the hour four tenths are used, whatever is allowed in it.
        changed = tree.make(RateLimiter, limits=[(20, 3_600), (5, 60), (50, 86_400)])
        assert [each.remaining for each in (await changed.peek("ann")).each] == [12, 1, 50]


class TestKeys:
    async def test_names_tell_limiters_apart(self, tree: Tree, client: AsyncClient) -> None:
        pages, mails = (tree.make(RateLimiter, limit=1, period=60, name=name) for name in ("pages", "mails"))
        assert await pages.check("ann")
        assert await mails.check("ann")
        assert not await tree.make(RateLimiter, limit=1, period=60, name="mails").check("ann")
        assert [key async for key in client.list_keys()] == ["ratelimit:mails:ann", "ratelimit:pages:ann"]

    @pytest.mark.parametrize("key", ["", "a:b", "/path?q=1", "ключ", "x" * 5_000, "\udcff"])
    async def test_any_string_is_a_key(self, tree: Tree, key: str) -> None:
        limiter = tree.make(RateLimiter, limit=1, period=60)
        assert await limiter.check(key)
        assert not await limiter.check(key)
        assert await limiter.check(key + "other")

    async def test_nothing_is_left_of_what_does_not_matter(self, tree: Tree, client: AsyncClient) -> None:
        limiter = tree.make(RateLimiter, limits=[(5, 60), (5, 600)])
        verdict = await limiter.check("ann")
        entry = await client.get_entry("ratelimit:default:ann")
        assert entry is not None
        assert entry.expires_at is not None
        later = await limiter.peek("ann")
        assert max(each.reset_after for each in later.each) == max(each.reset_after for each in verdict.each)

    async def test_what_is_no_limit_is_left_alone(self, tree: Tree, client: AsyncClient) -> None:
        await client.set("ratelimit:default:ann", "a note")
        for limiter in (
            tree.make(RateLimiter, limit=1, period=60),
            tree.make(RateLimiter, limits=[(1, 60), (2, 600)]),
        ):
            with pytest.raises(NotAThrottle):
                await limiter.check("ann")
        assert await client.get("ratelimit:default:ann") == "a note"


class TestWaiting:
    async def test_it_waits_for_its_turn(self, tree: Tree, server: TestServer) -> None:
        limiter = tree.make(RateLimiter, limit=1, period=0.01)
        await limiter.check("ann")
        waiting = asyncio.create_task(limiter.wait("ann", timeout=60))
        server.clock.advance(0.01)
        assert await waiting

    async def test_it_asks_again_when_somebody_was_faster(self, tree: Tree, server: TestServer) -> None:
        limiter = tree.make(RateLimiter, limit=1, period=0.001)
        waiting = [asyncio.create_task(limiter.wait("ann", timeout=60)) for _ in range(4)]
        while not all(task.done() for task in waiting):
            server.clock.advance(0.001)
            await asyncio.sleep(0)
        assert all([await task for task in waiting])

    async def test_it_gives_up_when_it_is_certain(self, tree: Tree) -> None:
        limiter = tree.make(RateLimiter, limit=1, period=3_600)
        await limiter.wait("ann")
        with pytest.raises(RateLimited, match="ann") as caught:
            await limiter.wait("ann", timeout=timedelta(minutes=1))
        assert caught.value.verdict.retry_after == 3_600
        copied = pickle.loads(pickle.dumps(caught.value))
        assert (copied.key, copied.verdict, str(copied)) == ("ann", caught.value.verdict, str(caught.value))


class TestDecorator:
    async def test_coroutine_functions(self, client: AsyncClient) -> None:
        limiter = RateLimiter(client, limit=1, period=3_600)

        @limiter.limited(key=lambda user, *, shout=False: user)
        async def greet(user: str, *, shout: bool = False) -> str:
            """Says hello."""
            return f"hello {user}".upper() if shout else f"hello {user}"

        assert (greet.__name__, greet.__doc__) == ("greet", "Says hello.")
        assert await greet("ann", shout=True) == "HELLO ANN"
        with pytest.raises(RateLimited):
            await greet("ann")
        assert await greet("bob") == "hello bob"

    async def test_plain_functions_are_awaited_too(self, client: AsyncClient) -> None:
        """Their types are not taken, and they are not run in vain."""

        @RateLimiter(client, limit=1, period=3_600).limited(key="double")  # type: ignore[arg-type]
        def double(number: int) -> int:
            return 2 * number

        assert await double(4) == 8
        with pytest.raises(RateLimited):
            await double(4)

    async def test_it_may_wait(self, client: AsyncClient, server: TestServer) -> None:
        limiter = RateLimiter(client, limit=2, period=0.01)

        @limiter.limited(key="mails", cost=2, timeout=60)
        async def send() -> str:
            return "sent"

        assert await send() == "sent"
        waiting = asyncio.create_task(send())
        server.clock.advance(0.01)
        assert await waiting == "sent"

    async def test_a_blocking_limiter_has_no_coroutine_functions(self, server: TestServer, namespace: str) -> None:
        async def double(number: int) -> int:
            return 2 * number

        with Client(server.address, namespace=namespace) as client:
            limiter = petra.sync.ratelimit.RateLimiter(client, limit=1, period=3_600)
            limited = limiter.limited(key="double")(double)
            with pytest.raises(TypeError, match="double is a coroutine function"):
                await limited(4)

    def test_plain_functions(self, server: TestServer, namespace: str) -> None:
        with Client(server.address, namespace=namespace) as client:
            limiter = petra.sync.ratelimit.RateLimiter(client, limit=1, period=3_600)

            @limiter.limited(key="double")
            def double(number: int) -> int:
                return 2 * number

            assert double(4) == 8
            with pytest.raises(RateLimited):
                double(4)


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({}, "limit"),
            ({"limit": 1}, "limit"),
            ({"limits": [(1, 60)], "limit": 1}, "limits"),
            ({"limits": [(1, 60)], "period": 60}, "limits"),
            ({"limit": 1, "period": 60, "name": "a:b"}, "name"),
        ],
    )
    def test_what_makes_no_limiter(self, tree: Tree, options: dict[str, object], field: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            tree.make(RateLimiter, **options)
        assert caught.value.field == field

    @pytest.mark.parametrize("options", [{"limit": 5, "period": 60}, {"limits": [(5, 60), (9, 600)]}])
    @pytest.mark.parametrize("cost", [0, -1, 2**32, 1.5, True])
    async def test_what_is_no_cost(self, tree: Tree, options: dict[str, Any], cost: int) -> None:
        limiter = tree.make(RateLimiter, **options)
        for ask in (limiter.check, limiter.peek, limiter.wait):
            with pytest.raises(InvalidArgument) as caught:
                await ask("ann", cost)
            assert caught.value.field == "cost"

    @pytest.mark.parametrize("limits", [[RateLimit(5, 60, burst=0)], [RateLimit(5, 60, burst=0), RateLimit(9, 600)]])
    async def test_what_is_no_burst(self, tree: Tree, limits: list[RateLimit]) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await tree.make(RateLimiter, limits=limits).check("ann")
        assert caught.value.field == "burst"

    @pytest.mark.parametrize(
        "limits",
        [
            [(1, 60), (2, 60)],
            [(1, 60)] * 17,
            [(0, 60), (1, 600)],
            [(1, 60), RateLimit(1, 600, "fixed_window", burst=2)],
            [(5, 60), (1, 600)],
        ],
        ids=["alike", "too many", "zero", "burst of a window", "cost"],
    )
    async def test_what_the_server_refuses(self, tree: Tree, limits: list[tuple[int, int]]) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await tree.make(RateLimiter, limits=limits).check("ann", 2)
        assert caught.value.reason == "INVALID_THROTTLE"

    async def test_the_other_tree_is_refused_by_name(self, server: TestServer, client: AsyncClient) -> None:
        with Client(server.address) as blocking:
            with pytest.raises(TypeError, match=r"petra\.sync\.ratelimit"):
                RateLimiter(blocking, limit=1, period=1)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"an AsyncClient use petra\.ratelimit"):
                petra.sync.ratelimit.RateLimiter(client, limit=1, period=1)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="not a str"):
                RateLimiter("localhost:7475", limit=1, period=1)  # type: ignore[arg-type]

    async def test_a_namespace_will_do(self, client: AsyncClient) -> None:
        tenant = client.namespace(f"{client.name}-tenant")
        assert await RateLimiter(tenant, limit=1, period=60).check("ann")
        assert [key async for key in tenant.list_keys()] == ["ratelimit:default:ann"]
