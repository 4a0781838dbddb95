"""`bench ratelimit`: checks of a rate limit a second, beside the library `limits` on Redis doing the same."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import report
from bench.client.with_petra import PetraStore
from bench.peers.redis import RedisServer
from bench.process import Unavailable, run
from bench.ratelimit.limiters import LIMITS, PETRA, Algorithm
from bench.ratelimit.load import Figures, Settings
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Outcome, Sample, Target, hold

NAME = "ratelimit"
_TASKS = 64
# The load process has to start, and may wait for a slow server.
_PATIENCE_S = 120.0
_TARGET = 3.0

_PREFIXES = itertools.count()


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    algorithm: Algorithm
    keys: int
    durable: bool = False


_PLANS = (
    _Plan("fixed-window", "fixed window, 64 tasks, 1,000 keys", "fixed_window", 1_000),
    _Plan("fixed-window-durable", "the same, on disk before the answer", "fixed_window", 1_000, durable=True),
    _Plan("fixed-window-one-key", "fixed window, 64 tasks, one key", "fixed_window", 1),
    _Plan("sliding-window", "sliding window, 64 tasks, 1,000 keys", "sliding_window", 1_000),
)

CONTESTS = tuple(plan.name for plan in _PLANS)


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure: `only` names contests, empty for all."""

    rounds: int
    seconds: float
    only: Sequence[str] = ()

    @property
    def warm_up_seconds(self) -> float:
        """How long each load process makes checks that do not count."""
        return self.seconds / 4


@dataclass(frozen=True, slots=True)
class _Place:
    """A server that runs."""

    library: str
    address: str
    pid: int
    version: str
    durability: str


def measure(options: Options, folders: Folders) -> list[Outcome]:
    """Holds the contests, prints their tables and writes the results. BenchError for a check that went wrong."""
    plans = [plan for plan in _PLANS if not options.only or plan.name in options.only]
    skipped: list[str] = []
    with contextlib.ExitStack() as running:
        places = {False: [_petra(running, folders)], True: []}
        places[True] = [*places[False]]
        try:
            for durable, sync in ((False, "everysec"), (True, "always")):
                places[durable].append(_redis(running, folders, sync))
        except Unavailable as missing:
            skipped.append(str(missing))
            say(f"SKIPPED: {missing}")
        outcomes = [hold(_contest(plan, places[plan.durable], options), options.rounds, say) for plan in plans]
    for outcome in outcomes:
        print(report.outcome_table(outcome), end="\n\n")
    for reason in skipped:
        print(f"SKIPPED: {reason}")
    figures = _figures(plans, outcomes, places, skipped)
    report.write_results(NAME, {**asdict(options), "tasks": _TASKS}, folders, figures)
    return outcomes


def _petra(running: contextlib.ExitStack, folders: Folders) -> _Place:
    store = running.enter_context(PetraStore(folders.scratch / "petra"))
    durability = "BUFFERED: acknowledged before the disk has it, lost are 50 ms at most; durable: FSYNC"
    return _Place(PETRA, store.address, store.pid, store.version(), durability)


def _redis(running: contextlib.ExitStack, folders: Folders, sync: str) -> _Place:
    for package in ("redis", "limits"):
        if importlib.util.find_spec(package) is None:
            raise Unavailable(
                f"{package} is not installed. It is in the dependency group `bench`: pip install {package}"
            )
    server = RedisServer(folders.scratch / f"redis-{sync}", sync=sync)
    running.enter_context(server)
    packages = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("limits", "redis"))
    return _Place(
        LIMITS, f"127.0.0.1:{server.port}", server.pid, f"{packages}, Redis {server.version()}", server.durability
    )


def _contest(plan: _Plan, places: Sequence[_Place], options: Options) -> Contest:
    return Contest(
        name=plan.name,
        title=plan.title,
        unit="checks/s",
        contestants=[Contestant(place.library, functools.partial(_sample, plan, place, options)) for place in places],
        baseline=LIMITS,
        targets=(Target(PETRA, _TARGET),),
        compared=("p50_ms",),
    )


def _sample(plan: _Plan, place: _Place, options: Options) -> Sample:
    settings = Settings(
        place.library,
        place.address,
        place.pid,
        plan.algorithm,
        plan.durable,
        f"{plan.name}-{next(_PREFIXES)}",
        _TASKS,
        plan.keys,
        options.seconds,
        options.warm_up_seconds,
    )
    command = [sys.executable, "-m", "bench.ratelimit.load", json.dumps(asdict(settings))]
    told = run(command, timeout_s=options.seconds + options.warm_up_seconds + _PATIENCE_S)
    figures = Figures(**json.loads(told))
    beside = {
        "p50_ms": figures.p50_ms,
        "p99_ms": figures.p99_ms,
        "cpu_us": figures.server_us,
        "client_us": figures.client_us,
    }
    return Sample(rate=figures.rate, beside=beside)


def _figures(
    plans: Sequence[_Plan],
    outcomes: Sequence[Outcome],
    places: Mapping[bool, Sequence[_Place]],
    skipped: Sequence[str],
) -> dict[str, Json]:
    contests: list[Json] = [
        {
            **report.outcome_json(outcome),
            "servers": {
                place.library: {"version": place.version, "durability": place.durability}
                for place in places[plan.durable]
            },
        }
        for plan, outcome in zip(plans, outcomes, strict=True)
    ]
    return {"skipped": list(skipped), "contests": contests}
