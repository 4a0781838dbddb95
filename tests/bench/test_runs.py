from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runs import Contest, Contestant, Outcome, Sample, Target, hold, percentile


def contest(order: list[str]) -> Contest:
    rates = {"slow": iter([1.0, 10.0, 20.0, 40.0]), "fast": iter([1.0, 30.0, 50.0, 60.0])}

    def measure(name: str) -> Sample:
        order.append(name)
        return Sample(next(rates[name]), {"p50_ms": 1.0})

    return Contest(
        name="speed",
        title="speed",
        unit="calls/s",
        contestants=[
            Contestant("slow", lambda: measure("slow")),
            Contestant("fast", lambda: measure("fast")),
        ],
        baseline="slow",
        subject="fast",
    )


def held(order: list[str]) -> Outcome:
    return hold(contest(order), 3, lambda line: None)


def test_contestants_take_turns_and_the_first_round_only_warms_up() -> None:
    order: list[str] = []
    outcome = held(order)
    assert order == ["slow", "fast"] * 4
    assert outcome.rates("slow").runs == [10, 20, 40]


def test_the_median_and_the_extremes_of_a_rate() -> None:
    rates = held([]).rates("fast")
    assert (rates.median, rates.least, rates.most) == (50, 30, 60)


def test_a_ratio_compares_what_ran_in_the_same_round() -> None:
    ratios = held([]).ratios("fast")
    assert ratios is not None
    assert ratios.runs == [3, 2.5, 1.5]
    assert ratios.median == 2.5


def test_the_baseline_and_the_subject_are_not_compared_with_themselves() -> None:
    outcome = held([])
    assert outcome.ratios("slow") is None
    assert outcome.advantages("fast") is None
    advantages = outcome.advantages("slow")
    assert advantages is not None
    assert advantages.median == 2.5


def test_what_is_seen_beside_the_rate_is_compared_too() -> None:
    outcome = held([])
    latencies = outcome.beside_ratios("fast", "p50_ms")
    assert latencies is not None
    assert latencies.runs == [1, 1, 1]
    assert outcome.beside_ratios("slow", "p50_ms") is None


def test_an_absolute_target_is_a_ratio_to_what_the_baseline_was_where_it_was_set() -> None:
    assert Target("petra", 0.85).ratio == 0.85
    assert Target("petra", 240_000, at_baseline=12_000).ratio == 20


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(min_value=0, max_value=1))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    assert percentile(sorted(values), share) in values
