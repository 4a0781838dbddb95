"""Rounds of measurements: what is compared runs in turn, and a ratio is taken within a round.

A machine's speed drifts, and on shared hardware by more than what a benchmark is after. So the contestants of a contest
take turns (A B C A B C ...), a ratio compares two samples of the same round, and the median over the rounds is the
figure to quote. Everything here but `hold` is a pure function of samples.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the rate in the contest's unit, and what was seen beside it, such as p99_ms."""

    rate: float
    beside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is measured, under the name that tables show. `measure` gives one sample of a round."""

    name: str
    measure: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Target:
    """What a contestant should reach: a ratio to the baseline, or an absolute rate.

    An absolute rate was set on a machine where the baseline reached `at_baseline`; on another machine it is
    judged as the ratio `at_least / at_baseline` to the baseline of the same round, too.
    """

    contestant: str
    at_least: float
    at_baseline: float | None = None

    @property
    def ratio(self) -> float:
        return self.at_least if self.at_baseline is None else self.at_least / self.at_baseline


@dataclass(frozen=True, slots=True)
class Contest:
    """Contestants that do the same work. Every one is compared with the baseline, and the subject with every one.

    `compared` names what was seen beside the rate and is compared with the baseline's, too.
    """

    name: str
    title: str
    unit: str
    contestants: Sequence[Contestant]
    baseline: str | None = None
    subject: str | None = None
    targets: Sequence[Target] = ()
    compared: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """The runs of one figure."""

    runs: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def least(self) -> float:
        return min(self.runs)

    @property
    def most(self) -> float:
        return max(self.runs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A contest that was held: the samples of each contestant, by round."""

    contest: Contest
    samples: Mapping[str, Sequence[Sample]]

    def rates(self, contestant: str) -> Spread:
        return Spread([sample.rate for sample in self.samples[contestant]])

    def ratios(self, contestant: str) -> Spread | None:
        """Round by round against the baseline; None without a baseline, and for the baseline itself."""
        return self._ratios(contestant, self.contest.baseline)

    def advantages(self, contestant: str) -> Spread | None:
        """Round by round, how many times the contestant's rate the subject reached; None for the subject itself."""
        return self._ratios(self.contest.subject, contestant)

    def beside_ratios(self, contestant: str, name: str) -> Spread | None:
        """Round by round, what was seen beside the rate against the same of the baseline."""
        baseline = self.contest.baseline
        if baseline is None or contestant == baseline or baseline not in self.samples:
            return None
        pairs = zip(self.samples[contestant], self.samples[baseline], strict=True)
        return Spread([one.beside[name] / other.beside[name] for one, other in pairs])

    def _ratios(self, above: str | None, below: str | None) -> Spread | None:
        if above is None or below is None or above == below:
            return None
        if above not in self.samples or below not in self.samples:
            return None
        pairs = zip(self.samples[above], self.samples[below], strict=True)
        return Spread([one.rate / other.rate for one, other in pairs])

    def beside(self, contestant: str) -> dict[str, Spread]:
        """What was seen beside the rates, by name."""
        samples = self.samples[contestant]
        return {name: Spread([sample.beside[name] for sample in samples]) for name in samples[0].beside}


def hold(contest: Contest, rounds: int, say: Callable[[str], None]) -> Outcome:
    """Measures every contestant once a round. One more round goes first and is not counted: it warms caches."""
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contest.contestants}
    for round_number in range(-1, rounds):
        for contestant in contest.contestants:
            sample = contestant.measure()
            label = "warm-up" if round_number < 0 else f"round {round_number + 1}/{rounds}"
            say(f"  {contest.name}: {label}: {contestant.name}: {sample.rate:,.0f} {contest.unit}")
            if round_number >= 0:
                samples[contestant.name].append(sample)
    return Outcome(contest, samples)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of an ordered, non-empty sequence lies: the nearest rank."""
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[min(len(ordered), int(rank)) - 1]
