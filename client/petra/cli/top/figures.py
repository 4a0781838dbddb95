"""The figures of `petra top`: from what a server says at two moments to what happened in between. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petra import ActorInfo, ServerInfo


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server said at a moment of our clock, in seconds, and what the probes since the one before took."""

    at: float
    info: ServerInfo
    actors: Sequence[ActorInfo]
    probe_seconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class ActorFigures:
    """One actor. `cache_hits_percent` is None when nothing was read."""

    index: int
    operations_per_second: float
    turns_per_second: float
    queue_depth: int
    keys: int
    cache_hits_percent: float | None
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A frame. Rates are of the time since the frame before."""

    version: str
    writable: bool
    uptime_seconds: float
    disk_free_bytes: int
    disk_reserve_bytes: int
    operations_per_second: float
    turns_per_second: float
    swept_per_second: float
    queue_depth: int
    keys: int
    keys_estimated: bool
    cache_hits_percent: float | None
    cache_bytes: int
    cache_entries: int
    ping_p50_ms: float | None
    ping_p99_ms: float | None
    actors: tuple[ActorFigures, ...]


def figures(before: Sample, now: Sample) -> Figures:
    """What happened between two samples, the busiest actors first.

    A server that was started anew in between has counted from zero.
    """
    seconds = max(now.at - before.at, 1e-6)
    restarted = before.info.started_at != now.info.started_at
    earlier = {} if restarted else {actor.index: actor for actor in before.actors}

    def counted(name: str) -> int:
        return sum(_since(earlier.get(actor.index), actor, name) for actor in now.actors)

    def total(name: str) -> int:
        return sum(getattr(actor, name) for actor in now.actors)

    actors = [_actor(earlier.get(actor.index), actor, seconds) for actor in now.actors]
    actors.sort(key=lambda each: (-each.operations_per_second, -each.queue_depth, each.index))
    return Figures(
        version=now.info.version,
        writable=now.info.writable,
        uptime_seconds=(now.info.now - now.info.started_at).total_seconds(),
        disk_free_bytes=now.info.disk_free_bytes,
        disk_reserve_bytes=now.info.disk_reserve_bytes,
        operations_per_second=counted("operations") / seconds,
        turns_per_second=counted("turns") / seconds,
        swept_per_second=counted("swept") / seconds,
        queue_depth=total("queue_depth"),
        keys=total("keys"),
        keys_estimated=any(actor.keys_estimated for actor in now.actors),
        cache_hits_percent=_percent(counted("cache_hits"), counted("cache_misses")),
        cache_bytes=total("cache_bytes"),
        cache_entries=total("cache_entries"),
        ping_p50_ms=percentile_ms(now.probe_seconds, 0.5),
        ping_p99_ms=percentile_ms(now.probe_seconds, 0.99),
        actors=tuple(actors),
    )


def percentile_ms(seconds: Sequence[float], part: float) -> float | None:
    """What so large a part of them does not exceed; None when there are none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return ordered[max(0, -int(-len(ordered) * part // 1) - 1)] * 1_000


def _actor(before: ActorInfo | None, now: ActorInfo, seconds: float) -> ActorFigures:
    return ActorFigures(
        index=now.index,
        operations_per_second=_since(before, now, "operations") / seconds,
        turns_per_second=_since(before, now, "turns") / seconds,
        queue_depth=now.queue_depth,
        keys=now.keys,
        cache_hits_percent=_percent(_since(before, now, "cache_hits"), _since(before, now, "cache_misses")),
        cache_bytes=now.cache_bytes,
    )


def _since(before: ActorInfo | None, now: ActorInfo, name: str) -> int:
    count: int = getattr(now, name)
    return count if before is None else max(0, count - getattr(before, name))


def _percent(hits: int, misses: int) -> float | None:
    return 100 * hits / (hits + misses) if hits + misses else None
