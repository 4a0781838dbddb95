"""`bench client`: what a Python program gets from Petra's client, beside redis-py on Redis doing the same work."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report
from bench.client import library
from bench.client.library import Load, Store
from bench.client.load import Figures, Settings
from bench.client.with_petra import PetraStore
from bench.process import BenchError, Unavailable, run
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Outcome, Sample, Target, hold

NAME = "client"

PETRA = "petra"
REDIS = "redis-py"

_GROUP = 100
_OBJECT = "bench"
# The load process has to start, and may wait for a slow server.
_PATIENCE_S = 120.0
# redis-py refuses a call that needs another connection than its pool may have, 100 unless told otherwise.
_REDIS_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    loads: Mapping[str, Load]
    unit: str = "calls/s"
    target: Target | None = None


def _singles(call: str, callers: int, *, threads: bool = False, target: float | None = None) -> _Plan:
    who = "thread" if threads else "task"
    what = "get" if call == library.GET else "durable set"
    loads = {PETRA: Load(PETRA, call, callers, threads)}
    if callers <= _REDIS_CONNECTIONS:
        loads[REDIS] = Load(REDIS, call, callers, threads)
    else:
        # With its defaults it would refuse most of the calls: so with a connection for each, or a pool to wait for.
        loads[REDIS] = Load(REDIS, call, callers, threads, connections=callers)
        loads[f"{REDIS}, waiting for {_REDIS_CONNECTIONS} connections"] = Load(
            REDIS, call, callers, threads, connections=_REDIS_CONNECTIONS, wait=True
        )
    return _Plan(
        name=f"{'sync-' if threads else ''}{call}-{callers}",
        title=f"{what}, {callers} {who}{'s' if callers > 1 else ''}",
        loads=loads,
        target=None if target is None else Target(PETRA, target),
    )


def _groups(name: str, title: str, many: str, pipeline: str) -> _Plan:
    loads = {
        f"{PETRA} {many}": Load(PETRA, many, 1, group=_GROUP),
        f"{PETRA} {many}, one object": Load(PETRA, many, 1, group=_GROUP, object=_OBJECT),
        f"{PETRA} pipeline": Load(PETRA, pipeline, 1, group=_GROUP),
        REDIS: Load(REDIS, pipeline, 1, group=_GROUP),
        f"{REDIS} {'mget' if many == library.GET_MANY else 'mset'}": Load(REDIS, many, 1, group=_GROUP),
    }
    return _Plan(name, f"{title}, 1 task, {_GROUP} a call", loads, unit="keys/s")


_PLANS = (
    _singles(library.GET, 1),
    _singles(library.SET, 1),
    _singles(library.GET, 64, target=7.0),
    _singles(library.SET, 64, target=4.0),
    _singles(library.GET, 512),
    _singles(library.SET, 512),
    _singles(library.GET, 1, threads=True),
    _singles(library.SET, 1, threads=True),
    _singles(library.GET, 16, threads=True),
    _singles(library.SET, 16, threads=True),
    _groups("group-get", "get", library.GET_MANY, library.PIPELINE_GET),
    _groups("group-set", "durable set", library.SET_MANY, library.PIPELINE_SET),
)

CONTESTS = tuple(plan.name for plan in _PLANS)


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure: `only` names contests, empty for all; `alone` leaves redis-py out."""

    rounds: int
    seconds: float
    only: Sequence[str] = ()
    alone: bool = False
    value_bytes: int = 256

    @property
    def warm_up_seconds(self) -> float:
        """How long each load process makes calls that do not count."""
        return self.seconds / 4


def measure(options: Options, folders: Folders) -> list[Outcome]:
    """Holds the contests, prints their tables and writes the results. BenchError for an answer that is wrong."""
    with contextlib.ExitStack() as running:
        present: dict[str, Store] = {PETRA: running.enter_context(PetraStore(folders.scratch / "petra"))}
        skipped: list[str] = []
        if not options.alone:
            try:
                present[REDIS] = running.enter_context(_redis_store(folders.scratch / "redis"))
            except Unavailable as missing:
                skipped.append(str(missing))
                say(f"SKIPPED: {missing}")
        plans = [plan for plan in _PLANS if not options.only or plan.name in options.only]
        outcomes = [hold(_contest(plan, present, options), options.rounds, say) for plan in plans]
        for store in present.values():
            store.check()
        for outcome in outcomes:
            print(report.outcome_table(outcome), end="\n\n")
        for reason in skipped:
            print(f"SKIPPED: {reason}")
        report.write_results(NAME, _settings(options), folders, _figures(plans, outcomes, present, skipped))
    return outcomes


def _redis_store(data: Path) -> Store:
    # Asked for by name first: the module of this library cannot be loaded without it.
    if importlib.util.find_spec("redis") is None:
        raise Unavailable("redis-py is not installed. It is in the dependency group `bench`: pip install redis")
    from bench.client.with_redis import RedisStore

    return RedisStore(data)


def _contest(plan: _Plan, present: Mapping[str, Store], options: Options) -> Contest:
    contestants = [
        Contestant(name, functools.partial(_sample, load, present[load.library], options))
        for name, load in plan.loads.items()
        if load.library in present
    ]
    return Contest(
        name=plan.name,
        title=plan.title,
        unit=plan.unit,
        contestants=contestants,
        baseline=REDIS,
        targets=() if plan.target is None else (plan.target,),
        compared=("p50_ms",),
    )


def _sample(load: Load, store: Store, options: Options) -> Sample:
    """Writes what the load finds, runs the load process, and reads back what must be there then."""
    scripts = load.scripts(options.value_bytes)
    store.write(load.object, _all(script.contents() for script in scripts))
    settings = Settings(load, store.address, store.pid, options.value_bytes, options.seconds, options.warm_up_seconds)
    command = [sys.executable, "-m", "bench.client.load", json.dumps(asdict(settings))]
    told = run(command, timeout_s=options.seconds + options.warm_up_seconds + _PATIENCE_S)
    figures = Figures(**json.loads(told))
    writes = [0] * load.callers if load.call in library.READS else figures.calls
    expected = _all(script.contents(count) for script, count in zip(scripts, writes, strict=True))
    found = store.read(load.object, list(expected))
    wrong = [key for key, value in expected.items() if found.get(key) != value]
    if wrong:
        raise BenchError(f"{len(wrong)} of {len(expected)} keys do not hold what was written last: {wrong[:3]}")
    beside = {
        "p50_ms": figures.p50_ms,
        "p99_ms": figures.p99_ms,
        "cpu_us": figures.server_us,
        "client_us": figures.client_us,
    }
    return Sample(rate=figures.rate, beside=beside)


def _all(parts: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    """One dictionary of all; no two callers share a key."""
    return {key: value for part in parts for key, value in part.items()}


def _settings(options: Options) -> dict[str, Json]:
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warm_up_seconds": options.warm_up_seconds,
        "value_bytes": options.value_bytes,
        "redis_pool_default": _REDIS_CONNECTIONS,
    }


def _figures(
    plans: Sequence[_Plan], outcomes: Sequence[Outcome], present: Mapping[str, Store], skipped: Sequence[str]
) -> dict[str, Json]:
    contests: list[Json] = [
        {**report.outcome_json(outcome), "loads": {name: asdict(load) for name, load in plan.loads.items()}}
        for plan, outcome in zip(plans, outcomes, strict=True)
    ]
    libraries: dict[str, Json] = {
        name: {"version": store.version(), "durability": store.durability} for name, store in present.items()
    }
    return {"libraries": libraries, "skipped": list(skipped), "contests": contests}
