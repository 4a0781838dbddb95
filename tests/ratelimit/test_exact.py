"""No more than the limit, whoever asks and whenever: across processes, and over hours of virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra import AsyncClient
from petra.ratelimit import RateLimit, RateLimiter
from petra.testing import TestServer
from petra.values import Algorithm

ALGORITHMS: list[Algorithm] = ["gcra", "fixed_window", "sliding_window"]
CONTENDER = Path(__file__).with_name("contender.py")
HOUR_MS = 3_600_000


@pytest.mark.parametrize("shape", ["one", "several"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_200_tasks_of_4_processes_share_one_limit(server: TestServer, algorithm: Algorithm, shape: str) -> None:
    """The clock stands still, so not even GCRA, which gives back 1 each 600 ms, allows more than 100."""
    # Their namespaces are alike, so what another run of this test has used is over first.
    server.clock.advance(7_200)
    command = [sys.executable, str(CONTENDER), server.address, algorithm, "50", shape]
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        for contender in contenders:
            assert contender.stdout is not None
            assert contender.stdout.readline() == "ready\n"
        for contender in contenders:
            assert contender.stdin is not None
            contender.stdin.write("go\n")
            contender.stdin.flush()
        allowed = [int(contender.communicate()[0]) for contender in contenders]
    assert sum(allowed) == 100, allowed


# Bursts of checks with pauses between them, each burst from several tasks at once, over and over for an hour of virtual
# time. Each round lasts from half a period to some, so that windows are met in every phase.
LIMIT, PERIOD_MS = 10, 60_000
pauses_ms = st.one_of(
    st.integers(0, 2_000),
    st.integers(0, 3 * PERIOD_MS),
    st.sampled_from([1, PERIOD_MS // LIMIT - 1, PERIOD_MS // LIMIT, PERIOD_MS - 1, PERIOD_MS]),
)
bursts = st.tuples(pauses_ms, st.lists(st.integers(1, 4), min_size=1, max_size=8))
rounds = st.lists(bursts, min_size=1, max_size=6)
breaks_ms = st.integers(PERIOD_MS // 2, 2 * PERIOD_MS)


class History:
    """What was allowed, and when."""

    def __init__(self) -> None:
        self.charges: list[tuple[int, int]] = []

    def charged(self, begin_ms: int, end_ms: int) -> int:
        """How much from `begin_ms` to before `end_ms`."""
        return sum(cost for at_ms, cost in self.charges if begin_ms <= at_ms < end_ms)

    def most_within(self, length_ms: int) -> int:
        """The most in any window of that length, wherever it begins: the worst begin with a charge."""
        return max((self.charged(at_ms, at_ms + length_ms) for at_ms, _ in self.charges), default=0)

    def aligned(self) -> Iterator[tuple[int, int]]:
        """The windows of the clock in which there was anything, with how much."""
        for window in sorted({at_ms // PERIOD_MS for at_ms, _ in self.charges}):
            yield window, self.charged(window * PERIOD_MS, (window + 1) * PERIOD_MS)


def check_gcra(history: History) -> None:
    """In any time, the burst and what comes back in it; a bucket of 10 that leaks 10 a minute."""
    for length_ms in (1, 6_000, PERIOD_MS, 5 * PERIOD_MS, HOUR_MS):
        # Between the first and the last charge of such a window lie length_ms - 1 at most.
        assert history.most_within(length_ms) <= LIMIT + Fraction((length_ms - 1) * LIMIT, PERIOD_MS)


def check_fixed(history: History) -> None:
    """In each window of the clock, the limit; so in any time of that length, at most twice of it."""
    assert all(charged <= LIMIT for _, charged in history.aligned())
    assert history.most_within(PERIOD_MS) <= 2 * LIMIT


def check_sliding(history: History) -> None:
    """At each charge, what this window has and the part of the one before that is not a period ago yet."""
    for at_ms, _ in history.charges:
        window = at_ms // PERIOD_MS
        before = history.charged((window - 1) * PERIOD_MS, window * PERIOD_MS)
        present = history.charged(window * PERIOD_MS, at_ms + 1)
        left = Fraction((window + 1) * PERIOD_MS - at_ms, PERIOD_MS)
        assert present + before * left <= LIMIT


CHECKS = {"gcra": check_gcra, "fixed_window": check_fixed, "sliding_window": check_sliding}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(round_of_bursts=rounds, break_ms=breaks_ms)
def test_no_window_of_an_hour_has_more_than_is_permitted(
    server: TestServer, algorithm: Algorithm, round_of_bursts: list[tuple[int, list[int]]], break_ms: int
) -> None:
    history = History()

    async def run() -> None:
        async with AsyncClient(server.address, namespace=uuid4().hex) as client:
            limiter = RateLimiter(
                client, limits=[RateLimit(LIMIT, PERIOD_MS / 1_000, algorithm), RateLimit(300, 7_200, algorithm)]
            )
            began_ms = server.clock.now_ms()
            while server.clock.now_ms() - began_ms < HOUR_MS:
                for pause_ms, costs in round_of_bursts:
                    if pause_ms:
                        server.clock.advance(pause_ms / 1_000)
                    verdicts = await asyncio.gather(*(limiter.check("key", cost) for cost in costs))
                    charged = sum(cost for cost, verdict in zip(costs, verdicts, strict=True) if verdict)
                    if charged:
                        history.charges.append((server.clock.now_ms(), charged))
                server.clock.advance(break_ms / 1_000)

    asyncio.run(run())
    CHECKS[algorithm](history)
