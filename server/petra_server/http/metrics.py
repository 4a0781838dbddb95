"""/metrics: the figures of the server in the form of Prometheus, read when somebody asks for them.

Nothing is kept here. Each part of the server counts for itself, in numbers that cost next to nothing to add to.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from petra_server import __version__
from petra_server.actor.router import Router
from petra_server.figures import LATENCY_BOUNDS, Histogram
from petra_server.intake.admission import Admission
from petra_server.storage.partition import Partition

# How often the loop is asked how late it is.
_LOOP_WATCH_SECONDS = 0.1


class LoopWatch:
    """How late the event loop runs what is due: what every request waits beside its own work."""

    def __init__(self) -> None:
        self.lag_seconds = Histogram(LATENCY_BOUNDS)

    async def run(self) -> None:
        """Watches until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOP_WATCH_SECONDS
            await asyncio.sleep(_LOOP_WATCH_SECONDS)
            self.lag_seconds.observe(max(0.0, loop.time() - due))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whose figures are shown."""

    router: Router
    partition: Partition
    admission: Admission
    loop_watch: LoopWatch


class _Figures(Collector):
    """What Petra counts."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "petra_build",
            "Of this server.",
            {
                "version": __version__,
                "python": platform.python_version(),
                "format": str(self._sources.partition.meta.format_version),
            },
        )
        yield from self._requests()
        yield from self._turns()
        yield from self._storage()
        yield from self._sql()

    def _requests(self) -> Iterator[Metric]:
        figures, admission = self._sources.admission.figures, self._sources.admission
        requests = CounterMetricFamily(
            "petra_requests",
            "Requests and operations of pipelines, by how they came and ended.",
            labels=("transport", "method", "status"),
        )
        for key, count in figures.counts.items():
            requests.add_metric(key, count)
        yield requests
        latencies = HistogramMetricFamily(
            "petra_request_duration_seconds",
            "From the arrival of a request to its answer; without pipelines.",
            labels=("transport", "method"),
        )
        for way_and_method, histogram in figures.seconds:
            latencies.add_metric(way_and_method, _buckets(histogram), histogram.total)
        yield latencies
        yield _histogram(
            "petra_pipeline_duration_seconds",
            "From taking a part of a pipeline message to the answer of its last operation.",
            figures.pipeline_seconds,
        )
        yield _histogram("petra_pipeline_message_operations", "Operations of a pipeline message.", figures.messages)
        namespaces = CounterMetricFamily(
            "petra_namespace_requests",
            "Requests and operations of pipelines for each of the first namespaces, and for all others together.",
            labels=("namespace",),
        )
        for namespace, count in figures.namespaces.counts.items():
            namespaces.add_metric((namespace,), count)
        yield namespaces
        yield _gauge("petra_in_flight_bytes", "Of requests and answers under way.", admission.server_bytes)
        yield _gauge("petra_draining", "1 once the server shuts down.", admission.closing is not None)

    def _turns(self) -> Iterator[Metric]:
        router, actors = self._sources.router, self._sources.router.actors
        depths = [len(actor.mailbox) for actor in actors]
        yield _gauge("petra_queue_depth", "Operations that wait in the mailboxes of actors.", sum(depths))
        yield _gauge("petra_queue_depth_max", "Operations that wait in the longest mailbox.", max(depths))
        yield _histogram("petra_queue_wait_seconds", "How long operations waited that had to.", router.wait_seconds)
        yield _histogram("petra_turn_operations", "Operations done in one turn.", router.turn_operations)
        yield _counter("petra_actor_operations", "Operations done.", sum(actor.operations for actor in actors))
        yield _histogram(
            "petra_loop_lag_seconds",
            "How late the event loop was, ten times a second.",
            self._sources.loop_watch.lag_seconds,
        )

    def _storage(self) -> Iterator[Metric]:
        partition, actors = self._sources.partition, self._sources.router.actors
        committer, disk = partition.committer, partition.disk
        yield _histogram("petra_flush_duration_seconds", "Of flushes of the log to the disk.", committer.flush_seconds)
        yield _histogram("petra_flush_answers", "Answers that waited for one flush.", committer.flush_answers)
        yield _counter("petra_written_bytes", "Keys and values written.", partition.written_bytes)
        yield _gauge("petra_memtable_bytes", "Written, and not in a table file yet.", partition.engine.memtable_bytes())
        yield _gauge("petra_disk_free_bytes", "Of the file system of the data directory.", disk.free_bytes)
        yield _gauge("petra_disk_reserve_bytes", "Below this writes are refused.", disk.reserve_bytes)
        yield _gauge("petra_writable", "0 while the disk is nearly full.", disk.writable)
        yield _gauge(
            "petra_keys", "Entries, expired ones included until they are swept.", sum(actor.keys for actor in actors)
        )
        yield _counter(
            "petra_expired_keys", "Entries removed after they had expired.", sum(actor.swept for actor in actors)
        )
        caches = [actor.cache for actor in actors]
        yield _counter("petra_cache_hits", "Entries read out of the cache.", sum(cache.hits for cache in caches))
        yield _counter("petra_cache_misses", "Entries read from RocksDB.", sum(cache.misses for cache in caches))
        yield _gauge("petra_cache_bytes", "Of the cache of entries.", sum(cache.bytes for cache in caches))
        yield _gauge(
            "petra_cache_entries", "In the cache, known absences included.", sum(cache.entries for cache in caches)
        )

    def _sql(self) -> Iterator[Metric]:
        open_databases, idle_bytes = self._sources.router.sql.databases.figures()
        actors = self._sources.router.actors
        yield _gauge("petra_sql_open_databases", "Databases that are open.", open_databases)
        yield _gauge("petra_sql_cache_bytes", "Of open databases that nobody uses right now.", idle_bytes)
        yield _counter(
            "petra_sql_statements", "Statements that actors were asked for.", sum(actor.statements for actor in actors)
        )


class Metrics:
    """Answers scrapes."""

    def __init__(self, sources: Sources) -> None:
        # One of its own: that of the process would be shared with every other server in it.
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(sources))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def page(self, request: Request) -> Response:
        """All figures, in the format that the client accepts."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), media_type=content_type)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    return [*zip(bounds, accumulate(histogram.counts), strict=True)]


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, meaning, _buckets(histogram), histogram.total)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)
