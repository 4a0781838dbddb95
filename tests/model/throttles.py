"""Rate limits as the .proto defines them, in exact fractions and without a thought for speed.

An algorithm is two functions: how much is available at a moment, and the state after a charge. Everything that Throttle
answers follows from these, the waiting times by searching for the first millisecond at which there is enough.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from petra.v1 import storage_pb2 as pb


@dataclass(frozen=True, slots=True)
class Limit:
    """What a request says about its limit, with the defaults filled in."""

    algorithm: pb.Algorithm
    amount: int
    period_ms: int
    capacity: int
    cost: int

    @classmethod
    def of(cls, request: pb.ThrottleRequest | pb.ThrottleItem) -> Limit:
        algorithm = request.algorithm or pb.ALGORITHM_GCRA
        burst = request.burst if algorithm == pb.ALGORITHM_GCRA else 0
        return cls(algorithm, request.limit, request.period_ms, burst or request.limit, request.cost or 1)


@dataclass(frozen=True, slots=True)
class GcraState:
    """The theoretical arrival time: when everything will be there again."""

    arrival_ms: Fraction

    def available(self, limit: Limit, at_ms: int) -> Fraction:
        return limit.capacity - max(self.arrival_ms - at_ms, Fraction(0)) * limit.amount / limit.period_ms

    def charged(self, limit: Limit, at_ms: int) -> GcraState:
        return GcraState(max(self.arrival_ms, Fraction(at_ms)) + Fraction(limit.cost * limit.period_ms, limit.amount))


@dataclass(frozen=True, slots=True)
class FixedState:
    """The last window charged, by its number since the epoch, and how much."""

    window: int
    count: int

    def available(self, limit: Limit, at_ms: int) -> Fraction:
        return Fraction(limit.amount - self._count_at(limit, at_ms))

    def charged(self, limit: Limit, at_ms: int) -> FixedState:
        return FixedState(at_ms // limit.period_ms, self._count_at(limit, at_ms) + limit.cost)

    def _count_at(self, limit: Limit, at_ms: int) -> int:
        return self.count if at_ms // limit.period_ms == self.window else 0


@dataclass(frozen=True, slots=True)
class SlidingState:
    """The last window charged, its count, and the count of the window before it."""

    window: int
    count: int
    count_before: int

    def available(self, limit: Limit, at_ms: int) -> Fraction:
        count, count_before = self._counts_at(limit, at_ms)
        still_within = Fraction(limit.period_ms - at_ms % limit.period_ms, limit.period_ms)
        return limit.amount - count - count_before * still_within

    def charged(self, limit: Limit, at_ms: int) -> SlidingState:
        count, count_before = self._counts_at(limit, at_ms)
        return SlidingState(at_ms // limit.period_ms, count + limit.cost, count_before)

    def _counts_at(self, limit: Limit, at_ms: int) -> tuple[int, int]:
        windows_ago = at_ms // limit.period_ms - self.window
        return {0: (self.count, self.count_before), 1: (0, self.count)}.get(windows_ago, (0, 0))


@dataclass(frozen=True, slots=True)
class SeveralStates:
    """Several limits under one key, each by its algorithm and period."""

    states: Mapping[tuple[pb.Algorithm, int], GcraState | FixedState | SlidingState]


State = GcraState | FixedState | SlidingState | SeveralStates

_FRESH: dict[int, GcraState | FixedState | SlidingState] = {
    pb.ALGORITHM_GCRA: GcraState(Fraction(0)),
    pb.ALGORITHM_FIXED_WINDOW: FixedState(-1, 0),
    pb.ALGORITHM_SLIDING_WINDOW: SlidingState(-2, 0, 0),
}


def decide(
    state: State | None, request: pb.ThrottleRequest | pb.ThrottleItem, at_ms: int
) -> tuple[State | None, pb.ThrottleResponse]:
    """The state after the call, None when it changed nothing, and the answer."""
    if isinstance(request, pb.ThrottleRequest) and request.limits:
        return _decide_all(state, request, at_ms)
    limit = Limit.of(request)
    fresh = _FRESH[limit.algorithm]
    if type(state) is not type(fresh):
        state = fresh
    assert isinstance(state, GcraState | FixedState | SlidingState)
    allowed = state.available(limit, at_ms) >= limit.cost
    retry_after_ms = 0 if allowed else _first_ms_with(limit.cost, state, limit, at_ms)
    charged = state.charged(limit, at_ms) if allowed and not request.peek else None
    state = charged or state
    answer = pb.ThrottleResponse(
        allowed=allowed,
        limit=limit.capacity,
        remaining=max(0, math.floor(state.available(limit, at_ms))),
        retry_after_ms=retry_after_ms,
        reset_after_ms=_first_ms_with(limit.capacity, state, limit, at_ms),
    )
    return charged, answer


def _decide_all(
    state: State | None, request: pb.ThrottleRequest, at_ms: int
) -> tuple[State | None, pb.ThrottleResponse]:
    """Each limit is asked alone; only when all of them allow it, each is charged alone."""
    before = state.states if isinstance(state, SeveralStates) else {}
    alone = [
        pb.ThrottleRequest(
            algorithm=limit.algorithm or pb.ALGORITHM_GCRA,
            limit=limit.limit,
            period_ms=limit.period_ms,
            burst=limit.burst,
            cost=request.cost,
            peek=True,
        )
        for limit in request.limits
    ]
    names = [(each.algorithm, each.period_ms) for each in alone]
    answers = [decide(before.get(name), each, at_ms)[1] for name, each in zip(names, alone, strict=True)]
    charged: dict[tuple[pb.Algorithm, int], GcraState | FixedState | SlidingState] = {}
    if not request.peek and all(answer.allowed for answer in answers):
        answers = []
        for name, each in zip(names, alone, strict=True):
            each.peek = False
            after, answer = decide(before.get(name), each, at_ms)
            assert isinstance(after, GcraState | FixedState | SlidingState)
            charged[name] = after
            answers.append(answer)
    tightest = min(answers, key=lambda answer: (answer.remaining, -answer.reset_after_ms))
    whole = pb.ThrottleResponse(
        allowed=all(answer.allowed for answer in answers),
        limit=tightest.limit,
        remaining=tightest.remaining,
        retry_after_ms=max(answer.retry_after_ms for answer in answers),
        reset_after_ms=tightest.reset_after_ms,
        each=answers,
    )
    return SeveralStates(charged) if charged else None, whole


def _first_ms_with(amount: int, state: GcraState | FixedState | SlidingState, limit: Limit, at_ms: int) -> int:
    """After how many milliseconds so much is available. It never gets less while nobody charges."""
    furthest = 2 * limit.period_ms + math.ceil(Fraction(limit.capacity * limit.period_ms, limit.amount))
    if isinstance(state, GcraState):
        furthest = max(furthest, math.ceil(state.arrival_ms) - at_ms)
    return bisect_left(range(furthest + 1), True, key=lambda wait: state.available(limit, at_ms + wait) >= amount)
