"""`bench server`: how fast a Petra server is, against a bare gRPC echo and beside other servers doing the same work."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bench import h2load, peers, report
from bench.peers import Peer, Work
from bench.peers.echo import EchoPeer
from bench.peers.etcd import EtcdPeer
from bench.peers.petra import PetraPeer, unary_payloads
from bench.peers.redis import RedisPeer
from bench.peers.workerd import WorkerdPeer
from bench.process import Unavailable
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Outcome, Target, hold

NAME = "server"

# Where the absolute targets were set, the bare echo took 12,000 calls a second.
_ECHO_AT_TARGETS = 12_000.0


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    unit: str
    target: Target | None = None
    with_echo: bool = True


_PLANS = (
    _Plan(peers.GET, "Get, 64 in flight", "calls/s", Target("petra", 0.85)),
    _Plan(peers.SET, "durable Set, 64 in flight", "calls/s", Target("petra", 0.7)),
    _Plan(peers.GET_MANY, "GetMany of 100, flat keys", "keys/s", Target("petra", 250_000, _ECHO_AT_TARGETS)),
    _Plan(peers.SET_MANY, "durable SetMany of 100, flat keys", "keys/s", Target("petra", 120_000, _ECHO_AT_TARGETS)),
    _Plan(peers.GET_MANY_OBJECT, "GetMany of 100, one object", "keys/s", Target("petra", 250_000, _ECHO_AT_TARGETS)),
    _Plan(
        peers.SET_MANY_OBJECT,
        "durable SetMany of 100, one object",
        "keys/s",
        Target("petra", 120_000, _ECHO_AT_TARGETS),
    ),
    _Plan(peers.PIPELINE_GET, "pipelined gets, 100 a message", "ops/s", with_echo=False),
    _Plan(peers.PIPELINE_SET, "pipelined durable sets, 100 a message", "ops/s", with_echo=False),
)

CONTESTS = tuple(plan.name for plan in _PLANS)


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure: `only` names contests, empty for all; `alone` leaves the other servers out."""

    rounds: int
    seconds: float
    only: Sequence[str] = ()
    alone: bool = False


def measure(options: Options, folders: Folders) -> list[Outcome]:
    """Holds the contests, prints their tables and writes the results. Unavailable without the load generator."""
    h2load.require()
    work = Work(scratch=folders.scratch, seconds=options.seconds)
    with contextlib.ExitStack() as running:
        present: list[Peer] = []
        skipped: list[str] = []
        for make in _makers(work, options.alone):
            try:
                present.append(running.enter_context(make()))
            except Unavailable as missing:
                skipped.append(str(missing))
                say(f"SKIPPED: {missing}")
        outcomes = [hold(_contest(plan, present), options.rounds, say) for plan in _chosen(options.only)]
        for peer in present:
            peer.check()
        for outcome in outcomes:
            print(report.outcome_table(outcome), end="\n\n")
        for reason in skipped:
            print(f"SKIPPED: {reason}")
        report.write_results(NAME, _settings(options, work), folders, _figures(outcomes, present, skipped))
    return outcomes


def _makers(work: Work, alone: bool) -> list[Callable[[], Peer]]:
    scratch = work.scratch
    ours: list[Callable[[], Peer]] = [
        lambda: PetraPeer(work, scratch / "petra"),
        lambda: EchoPeer(work, unary_payloads(work)),
    ]
    if alone:
        return ours
    return [
        *ours,
        lambda: EtcdPeer(work, scratch / "etcd"),
        lambda: RedisPeer(work, scratch / "redis"),
        lambda: WorkerdPeer(work, scratch / "workerd"),
    ]


def _chosen(only: Sequence[str]) -> list[_Plan]:
    return [plan for plan in _PLANS if not only or plan.name in only]


def _contest(plan: _Plan, present: Sequence[Peer]) -> Contest:
    # A method of a peer is looked up once, so that every round measures the same thing.
    contestants = [
        Contestant(peer.name, functools.partial(peer.measures()[plan.name]))
        for peer in present
        if plan.name in peer.measures()
    ]
    return Contest(
        name=plan.name,
        title=plan.title,
        unit=plan.unit,
        contestants=contestants,
        baseline=EchoPeer.name if plan.with_echo else None,
        subject=PetraPeer.name,
        targets=() if plan.target is None else (plan.target,),
    )


def _settings(options: Options, work: Work) -> dict[str, Json]:
    shape: dict[str, Json] = {name: figure for name, figure in asdict(work).items() if name != "scratch"}
    return {"rounds": options.rounds, "echo_at_targets": _ECHO_AT_TARGETS, **shape}


def _figures(outcomes: Sequence[Outcome], present: Sequence[Peer], skipped: Sequence[str]) -> dict[str, Json]:
    servers: dict[str, Json] = {
        peer.name: {"version": peer.version(), "durability": peer.durability} for peer in present
    }
    return {
        "load_generator": h2load.version(),
        "servers": servers,
        "skipped": list(skipped),
        "contests": [report.outcome_json(outcome) for outcome in outcomes],
    }
