"""One of the processes that share a limit: many tasks that each check it once. Prints how many were allowed."""

from __future__ import annotations

import asyncio
import sys
from typing import cast, get_args

from petra import AsyncClient
from petra.ratelimit import RateLimit, RateLimiter
from petra.values import Algorithm


async def contend(address: str, algorithm: Algorithm, tasks: int, *, several: bool) -> int:
    rule = RateLimit(100, 60, algorithm)
    async with AsyncClient(address, namespace=f"contest-{algorithm}-{several}") as client:
        await client.connect()
        limiter = RateLimiter(client, limits=[rule, RateLimit(500, 3_600, algorithm)] if several else [rule])
        # All processes begin together: when they are told.
        print("ready", flush=True)
        sys.stdin.readline()
        verdicts = await asyncio.gather(*(limiter.check("everybody") for _ in range(tasks)))
    return sum(verdict.allowed for verdict in verdicts)


if __name__ == "__main__":
    algorithm = sys.argv[2]
    assert algorithm in get_args(Algorithm)
    several = sys.argv[4] == "several"
    print(asyncio.run(contend(sys.argv[1], cast("Algorithm", algorithm), int(sys.argv[3]), several=several)))
