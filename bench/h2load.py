"""Load from h2load, a load generator in C, whose answers are checked by counting their bytes.

h2load sends one payload over and over and looks at the HTTP status only, which is 200 for a failed gRPC call as well.
A failed call carries no message though: so a run is taken as good only when the bytes of its answers are as many as
that many good answers have.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.process import BenchError, ChildProcess, Unavailable, run
from bench.runs import Sample, percentile

HOW_TO_GET = "Debian and Ubuntu: apt-get install nghttp2-client"

# A run's length comes from the rate of a run of this many requests.
_TRIAL_REQUESTS = 256

_FINISHED = re.compile(r"finished in ([0-9.]+)(us|ms|s), ([0-9.]+) req/s")
_REQUESTS = re.compile(r"requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded")
_TRAFFIC = re.compile(r"traffic: .*\((\d+)\) data")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a good answer's body is: at least so many bytes, at most so many."""

    least_bytes: int
    most_bytes: int


@dataclass(frozen=True, slots=True)
class H2Load:
    """A shape of load: `clients` connections with `streams` requests in flight on each.

    `body` is sent with POST; without it, GET. `http1` speaks HTTP/1.1, where a connection has one request in flight.
    """

    url: str
    clients: int
    streams: int
    answers: Answers
    body: Path | None = None
    headers: Mapping[str, str] | None = None
    http1: bool = False

    @property
    def in_flight(self) -> int:
        return self.clients * (1 if self.http1 else self.streams)

    def command(self, requests: int, log: Path) -> list[str]:
        """The command line of a run."""
        command = ["h2load", "-t", "1", "-n", str(requests), "-c", str(self.clients), "-m", str(self.streams)]
        command += ["--log-file", str(log)]
        if self.http1:
            command.append("--h1")
        if self.body is not None:
            command += ["-d", str(self.body)]
        for name, value in (self.headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        return [*command, self.url]


def require() -> None:
    """Unavailable when h2load is not installed."""
    if shutil.which("h2load") is None:
        raise Unavailable(f"h2load is not installed. {HOW_TO_GET}")


def version() -> str:
    """As h2load tells it."""
    return run(["h2load", "--version"], timeout_s=10).strip()


def measure(
    shapes: Sequence[H2Load],
    *,
    seconds: float,
    scratch: Path,
    per_request: int = 1,
    server: ChildProcess | None = None,
) -> Sample:
    """Runs all shapes at once for about `seconds`, each with its share of the requests, and checks every answer.

    `per_request` is how many of the contest's units (keys, operations) a request is. With the `server` the sample says
    how much processor time it took for each unit.
    """
    trial = _run_together(shapes, [_TRIAL_REQUESTS] * len(shapes), scratch)
    each = max(shapes[0].in_flight * 4, int(trial.requests / trial.seconds * seconds / len(shapes)))
    before = 0.0 if server is None else server.cpu_seconds()
    counted = _run_together(shapes, [each] * len(shapes), scratch)
    units = counted.requests * per_request
    latencies = sorted(counted.latencies_ms)
    beside = {"p50_ms": percentile(latencies, 0.50), "p99_ms": percentile(latencies, 0.99)}
    if server is not None:
        beside["cpu_us"] = (server.cpu_seconds() - before) / units * 1e6
    return Sample(rate=units / counted.seconds, beside=beside)


@dataclass(frozen=True, slots=True)
class _Load:
    requests: int
    seconds: float
    latencies_ms: Sequence[float]


def _run_together(shapes: Sequence[H2Load], requests: Sequence[int], scratch: Path) -> _Load:
    logs = [scratch / f"h2load-{number}.log" for number in range(len(shapes))]
    for log in logs:
        log.unlink(missing_ok=True)
    processes = [
        subprocess.Popen(
            shape.command(count, log), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        for shape, count, log in zip(shapes, requests, logs, strict=True)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    spans = [
        checked_seconds(shape, count, output) for shape, count, output in zip(shapes, requests, outputs, strict=True)
    ]
    return _Load(sum(requests), max(spans), [latency for log in logs for latency in _latencies_ms(log)])


def checked_seconds(shape: H2Load, requests: int, output: str) -> float:
    """How long a run took, of which `output` tells; BenchError unless every answer was good."""
    finished, counted, traffic = _FINISHED.search(output), _REQUESTS.search(output), _TRAFFIC.search(output)
    if finished is None or counted is None or traffic is None:
        raise BenchError(f"h2load said something unexpected:\n{output}")
    succeeded, data = int(counted[2]), int(traffic[1])
    if succeeded != requests:
        raise BenchError(f"{requests - succeeded} of {requests} requests to {shape.url} failed:\n{output}")
    if not requests * shape.answers.least_bytes <= data <= requests * shape.answers.most_bytes:
        raise BenchError(
            f"{requests} answers of {shape.url} have {data} bytes; good ones have "
            f"{shape.answers.least_bytes} to {shape.answers.most_bytes} each:\n{output}"
        )
    return float(finished[1]) * _SECONDS[finished[2]]


def _latencies_ms(log: Path) -> list[float]:
    # A line: start in microseconds, HTTP status, duration in microseconds.
    with log.open(encoding="ascii") as lines:
        return [int(line.split("\t")[2]) / 1000 for line in lines]
