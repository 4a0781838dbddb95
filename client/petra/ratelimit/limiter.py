"""Rate limits of one kind of thing, by key.

The state of a key is one entry, `ratelimit:<name>:<key>`, which expires when it does not matter any more. A check is
one turn of the actor that owns it, so it is exact whoever else checks, and several limits are charged together or not
at all. Any number of limiters, in any number of processes, with the same name and limits are one limiter. A check whose
answer was lost with the connection is made again, and may then have been charged twice: never too little.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

from petra._layers import own_handle
from petra._waiting import called, pause
from petra.objects import AsyncNamespace
from petra.ratelimit.rules import RateLimited, key_of, limits_of, prefix_of
from petra.values import Algorithm, Durability, RateLimit, Seconds, Throttled, to_timeout

P = ParamSpec("P")
R = TypeVar("R")


class RateLimiter:
    """A limit of `limit` a `period` for each key, or several `limits` at once."""

    def __init__(
        self,
        client: AsyncNamespace,
        *,
        limit: int | None = None,
        period: Seconds | None = None,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        limits: Iterable[RateLimit | tuple[int, Seconds]] = (),
        name: str = "default",
        durability: Durability | None = None,
    ) -> None:
        """Nothing is asked yet. `client` is an AsyncClient or a namespace of one.

        `period` is in seconds, or a timedelta. `burst` is how much GCRA allows at once (None: `limit`). Of `limits`,
        each is a RateLimit or a pair of limit and period. `name` tells limiters apart whose keys are alike; it has no
        colon in it. Charges are "buffered" unless another durability is given. Raises InvalidArgument, and TypeError
        for a client of the other tree.
        """
        self._entries = own_handle(client, AsyncNamespace, "ratelimit")
        self._prefix = prefix_of(name)
        self._durability = durability
        self.name = name
        self.limits = limits_of(limit, period, algorithm, burst, limits)

    async def check(self, key: str, cost: int = 1) -> Throttled:
        """Charges `cost` if every limit allows it, and nothing otherwise.

        Of several limits, `limit`, `remaining` and `reset_after` are those of the one with least left, `retry_after` is
        when all of them allow it, and `each` has the verdict of each. Raises InvalidArgument for a cost that can never
        be allowed.
        """
        return await self._ask(key, cost, peek=False)

    async def peek(self, key: str, cost: int = 1) -> Throttled:
        """What `check` would say, and charges nothing."""
        return await self._ask(key, cost, peek=True)

    async def reset(self, key: str) -> bool:
        """Forgets all charges of a key, and returns whether there were any."""
        return await self._entries.delete(key_of(self._prefix, key))

    async def wait(self, key: str, cost: int = 1, timeout: Seconds = 60.0) -> Throttled:
        """As `check`, but waits until it is allowed.

        Raises RateLimited as soon as it is certain that this takes longer than `timeout`; nothing was charged then.
        """
        deadline = time.monotonic() + to_timeout(timeout)
        while True:
            verdict = await self.check(key, cost)
            if verdict:
                return verdict
            if time.monotonic() + verdict.retry_after > deadline:
                raise RateLimited(key, verdict)
            await pause(verdict.retry_after)

    def limited(
        self, *, key: str | Callable[..., str], cost: int = 1, timeout: Seconds | None = None
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Coroutine[Any, Any, R]]]:
        """A decorator for functions that count against this limit.

        `key` is the key, or a function that makes it of the arguments of the call. A call that is not allowed raises
        RateLimited; with a `timeout` it waits so long for its turn.
        """

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
            @functools.wraps(function)
            async def within_limits(*args: P.args, **kwargs: P.kwargs) -> R:
                name = key if isinstance(key, str) else key(*args, **kwargs)
                if timeout is not None:
                    await self.wait(name, cost, timeout)
                elif not (verdict := await self.check(name, cost)):
                    raise RateLimited(name, verdict)
                return await called(function, *args, **kwargs)

            return within_limits

        return decorate

    async def _ask(self, key: str, cost: int, *, peek: bool) -> Throttled:
        name = key_of(self._prefix, key)
        if len(self.limits) > 1:
            return await self._entries.throttle_all(
                name, self.limits, cost=cost, peek=peek, once=False, durability=self._durability
            )
        (rule,) = self.limits
        return await self._entries.throttle(
            name,
            rule.limit,
            rule.period,
            algorithm=rule.algorithm,
            burst=rule.burst,
            cost=cost,
            peek=peek,
            once=False,
            durability=self._durability,
        )
