"""Several rate limits under one key, against each of them alone in exact fractions: all are charged, or none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petra_server.actor.operations import Algorithm, Throttle, ThrottleAll, ThrottleAllReply, ThrottleReply
from petra_server.actor.replays import fingerprint, pack_reply, unpack_reply
from petra_server.actor.throttle import NewState, throttle, throttle_all
from petra_server.errors import Reason, Refusal
from tests.server.actor.test_throttle import (
    START_MS,
    Ask,
    at_cost,
    capacity,
    gcra_state,
    histories,
    reference_of,
    requests,
    window_state,
)

several = st.lists(
    requests(), min_size=1, max_size=4, unique_by=lambda request: (request.algorithm, request.period_ms)
).map(tuple)


class Keeper:
    """Keeps state as an entry with an expiry does."""

    def __init__(self) -> None:
        self.state: NewState | None = None

    def ask(self, request: ThrottleAll, now_ms: int) -> ThrottleAllReply:
        state = self.state
        value = None if state is None or state.expires_at_ms <= now_ms else state.value
        reply, new = throttle_all(value, request, now_ms)
        if new is not None:
            assert new.expires_at_ms > now_ms
            self.state = new
        return reply


def together(limits: tuple[Throttle, ...], ask: Ask) -> ThrottleAll:
    """All of them at a cost that each of them can take."""
    cost = min(ask.cost, *(capacity(limit) for limit in limits)) if len(limits) > 1 else at_cost(limits[0], ask).cost
    return ThrottleAll(b"k", tuple(limit._replace(cost=cost, peek=ask.peek) for limit in limits), ask.peek)


@settings(deadline=None, max_examples=200)
@given(several, histories)
def test_each_answers_as_alone_and_all_are_charged_or_none(limits: tuple[Throttle, ...], history: list[Ask]) -> None:
    keeper, references, now_ms = Keeper(), [reference_of(limit) for limit in limits], START_MS
    for ask in history:
        now_ms += ask.wait_ms
        request = together(limits, ask)
        cost = request.limits[0].cost
        allow = [reference.available(now_ms) >= cost for reference in references]
        if all(allow) and not ask.peek:
            for reference in references:
                reference.charge(now_ms, cost)
        reply = keeper.ask(request, now_ms)
        assert [each.allowed for each in reply.each] == allow
        assert [each.limit for each in reply.each] == [capacity(limit) for limit in limits]
        assert [each.remaining for each in reply.each] == [
            math.floor(reference.available(now_ms)) for reference in references
        ]


@settings(deadline=None, max_examples=100)
@given(several, histories)
def test_it_is_allowed_again_when_the_last_of_them_allows_it(limits: tuple[Throttle, ...], history: list[Ask]) -> None:
    keeper, now_ms = Keeper(), START_MS
    for ask in history:
        now_ms += ask.wait_ms
        request = together(limits, ask)
        reply = keeper.ask(request, now_ms)
        if not all(each.allowed for each in reply.each):
            looking = together(limits, Ask(0, request.limits[0].cost, peek=True))
            after = max(each.retry_after_ms for each in reply.each)
            waits = range(after + 1)
            allowed = [all(each.allowed for each in keeper.ask(looking, now_ms + wait).each) for wait in waits]
            assert allowed == [False] * after + [True]


def test_the_entry_lives_as_long_as_the_last_of_them_matters() -> None:
    minute, hour = (Throttle(b"k", Algorithm.GCRA, 10, period, 10, 1) for period in (60_000, 3_600_000))
    _, state = throttle_all(None, ThrottleAll(b"k", (minute, hour)), START_MS)
    assert state is not None
    assert state.expires_at_ms == START_MS + 360_000


def test_one_limit_and_several_begin_anew_from_each_other() -> None:
    alone = Throttle(b"k", Algorithm.GCRA, 1, 1_000, 1, 1)
    _, single = throttle(None, alone, START_MS)
    assert single is not None
    reply, both = throttle_all(single.value, ThrottleAll(b"k", (alone,)), START_MS)
    assert reply.each[0].allowed
    assert both is not None
    assert throttle(both.value, alone, START_MS)[0].allowed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"text",
        b"\x00RL\xff" + b"\x00" * 8,
        b"\x00RL\xff" + b"\x00" * 12,
        b"\x00RL\xff" + b"\x00" * 7 + b"\x05" + gcra_state(1, 0, 0),
        b"\x00RL\xff" + b"\x00" * 7 + b"\x05" + gcra_state(2**63, 0, 1),
        b"\x00RL\xff" + b"\x00" * 7 + b"\x05" + gcra_state(1, 0, 1)[:-1],
        b"\x00RL\xff" + b"\x00" * 7 + b"\x05" + window_state(0, 0, 0, 0),
        b"\x00RL\xff" + b"\x00" * 7 + b"\x05" + gcra_state(1, 0, 1) + b"\x00",
    ],
)
def test_what_was_not_made_here_is_refused(value: bytes) -> None:
    limit = Throttle(b"k", Algorithm.GCRA, 1, 5, 1, 1)
    for ask in (
        lambda: throttle_all(value, ThrottleAll(b"k", (limit,)), START_MS),
        lambda: throttle(value, limit, START_MS),
    ):
        with pytest.raises(Refusal) as caught:
            ask()
        assert caught.value.reason is Reason.NOT_A_THROTTLE


def test_an_answer_survives_being_kept_for_replays() -> None:
    reply = ThrottleAllReply((ThrottleReply(True, 3, 2, 0, 60_000), ThrottleReply(True, 9, 8, 0, 1)))
    assert unpack_reply(pack_reply(reply)) == reply


def test_requests_that_differ_in_a_limit_are_told_apart() -> None:
    first, second = (Throttle(b"k", Algorithm.GCRA, limit, 1_000, limit, 1) for limit in (1, 2))
    asked = [ThrottleAll(b"k", (first, second)), ThrottleAll(b"k", (first,)), ThrottleAll(b"k", (second, first))]
    assert len({fingerprint(request, sync=False) for request in asked}) == 3
