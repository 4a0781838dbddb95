"""The reference's rate limits against histories worked out by hand, before they judge the server's."""

from __future__ import annotations

import pytest

from petra.v1 import storage_pb2 as pb
from tests.model.throttles import State, decide


def _history(request: pb.ThrottleRequest, times_ms: list[int]) -> list[pb.ThrottleResponse]:
    state: State | None = None
    answers = []
    for at_ms in times_ms:
        charged, answer = decide(state, request, at_ms)
        state = charged or state
        answers.append(answer)
    return answers


def _request(algorithm: pb.Algorithm, *, burst: int = 0, cost: int = 0, peek: bool = False) -> pb.ThrottleRequest:
    return pb.ThrottleRequest(algorithm=algorithm, limit=3, period_ms=1_000, burst=burst, cost=cost, peek=peek)


@pytest.mark.parametrize(
    ("algorithm", "times_ms", "allowed"),
    [
        (pb.ALGORITHM_GCRA, [0, 0, 0, 0, 333, 334, 334], [True, True, True, False, False, True, False]),
        (pb.ALGORITHM_FIXED_WINDOW, [999, 999, 999, 999, 1_000], [True, True, True, False, True]),
        # At 1,333 two thirds of the three charges of the window before still count.
        (pb.ALGORITHM_SLIDING_WINDOW, [0, 0, 0, 1_333, 1_334, 1_334], [True, True, True, False, True, False]),
    ],
)
def test_who_may_go_on(algorithm: pb.Algorithm, times_ms: list[int], allowed: list[bool]) -> None:
    assert [answer.allowed for answer in _history(_request(algorithm), times_ms)] == allowed


def test_gcra_counts_the_pace() -> None:
    first, second = _history(_request(pb.ALGORITHM_GCRA), [0, 100])
    assert (first.remaining, first.reset_after_ms) == (2, 334)
    assert (second.remaining, second.reset_after_ms) == (1, 567)


def test_gcra_burst_is_how_much_at_once() -> None:
    answers = _history(_request(pb.ALGORITHM_GCRA, burst=1), [0, 0])
    assert [(answer.limit, answer.allowed, answer.retry_after_ms) for answer in answers] == [
        (1, True, 0),
        (1, False, 334),
    ]


def test_waiting_times_of_windows() -> None:
    fixed = _history(_request(pb.ALGORITHM_FIXED_WINDOW, cost=2), [400, 400])[1]
    assert (fixed.remaining, fixed.retry_after_ms, fixed.reset_after_ms) == (1, 600, 600)
    # Two charges of the window before weigh 1 or less in the middle of the next one.
    sliding = _history(_request(pb.ALGORITHM_SLIDING_WINDOW, cost=2), [400, 400])[1]
    assert (sliding.remaining, sliding.retry_after_ms, sliding.reset_after_ms) == (1, 1_100, 1_600)


def test_peek_charges_nothing() -> None:
    charged, answer = decide(None, _request(pb.ALGORITHM_GCRA, peek=True), 0)
    assert charged is None
    assert (answer.allowed, answer.remaining, answer.reset_after_ms) == (True, 3, 0)
