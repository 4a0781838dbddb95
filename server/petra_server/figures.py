"""What the server counts about itself: plain numbers that are cheap to add to, read when somebody asks for them.

Nothing here knows who reads them; petra_server.http.metrics gives them the form of Prometheus. Counts only grow.
Loop thread only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from time import perf_counter

# Of namespaces that are told apart, and of their names; a label for each of any number would be a burden for whoever
# collects them.
TOLD_APART = 50
_TOLD_CHARACTERS = 128
OTHER = "other"
# How a request ended: done, or its client went before; else the reason of its refusal.
OK = "OK"
CANCELLED = "CANCELLED"
# How it came.
GRPC = "grpc"
PIPELINE = "pipeline"
HTTP = "http"

# From a read out of the cache to a statement that takes its whole time.
LATENCY_BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FLUSH_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
SIZE_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """Counts of values up to each bound, and of those beyond the last one."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        # One more than there are bounds.
        self.counts = [0] * (len(bounds) + 1)
        # The sum of all values.
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """Of all values."""
        return sum(self.counts)


class Namespaces:
    """Requests of each of the first namespaces that have a name of a usual length, and of all others together."""

    __slots__ = ("_most", "counts")

    def __init__(self, most: int = TOLD_APART) -> None:
        self._most = most
        self.counts: dict[str, int] = {OTHER: 0}

    def add(self, namespace: str, requests: int = 1) -> None:
        counts = self.counts
        if namespace in counts:
            counts[namespace] += requests
        elif len(counts) <= self._most and len(namespace) <= _TOLD_CHARACTERS:
            counts[namespace] = requests
        else:
            counts[OTHER] += requests


class RequestFigures:
    """What was asked and how it ended, by the way it came: grpc, pipeline or http."""

    __slots__ = ("_counts", "_seconds", "messages", "namespaces", "pipeline_seconds")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self.namespaces = Namespaces()
        # Operations of each pipeline message, and how long the last one of each part of a message took.
        self.messages = Histogram(SIZE_BOUNDS)
        self.pipeline_seconds = Histogram(LATENCY_BOUNDS)

    def count(self, way: str, method: str, status: str, requests: int = 1) -> None:
        """`status` is OK or the reason of a refusal."""
        key = way, method, status
        self._counts[key] = self._counts.get(key, 0) + requests

    def ended(self, way: str, method: str, status: str, began: float) -> None:
        """Counts a request that began at `began`, by time.perf_counter."""
        self.count(way, method, status)
        histogram = self._seconds.get((way, method))
        if histogram is None:
            histogram = self._seconds[way, method] = Histogram(LATENCY_BOUNDS)
        histogram.observe(perf_counter() - began)

    @property
    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """By way, method and status."""
        return self._counts

    @property
    def seconds(self) -> Iterable[tuple[tuple[str, str], Histogram]]:
        """Latencies by way and method."""
        return self._seconds.items()
