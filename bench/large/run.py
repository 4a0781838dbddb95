"""Loads a small and a large store, and measures both in turn: reads, opening, opening after SIGKILL, and memory."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import report
from bench.large import load, reads
from bench.large.keys import VALUE_BYTES, key, value
from bench.petra import SERVICE, PetraServer, call
from bench.process import BenchError, ChildProcess, run
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Outcome, Sample, Spread, hold
from petra.v1 import storage_pb2

NAME = "large"

_SMALL_KEYS = 10_000
_MIB = 1 << 20

# What a server keeps in memory on purpose, by the names of its settings.
_BUDGETS = ("cache_bytes", "block_cache_bytes", "write_buffer_bytes")

# Written just before a kill: so much has to be replayed from the log.
_BURST_KEYS = 400_000

_LATENCIES = ("p50_ms", "p99_ms")

_LOAD_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """How large the store is, and how long a run of reads."""

    rounds: int
    keys: int
    seconds: float


@dataclass(slots=True)
class _Store:
    """A data directory with its keys: numbers from 0 up to `keys`, and after them what bursts added."""

    name: str
    data: Path
    keys: int
    written: int = 0
    open_seconds: list[float] = field(default_factory=list)
    kill_seconds: list[float] = field(default_factory=list)
    memory: dict[str, Mapping[str, int]] = field(default_factory=dict)


def measure(options: Options, folders: Folders) -> None:
    """Runs all of it, prints the tables and writes the results."""
    stores = [
        _Store(f"{_SMALL_KEYS:,} keys", folders.scratch / "small", _SMALL_KEYS),
        _Store(f"{options.keys:,} keys", folders.scratch / "large", options.keys),
    ]
    load_rates = [_load(store) for store in stores]
    outcomes = _measure_reads(stores, options)
    for round_number in range(options.rounds):
        for store in stores:
            _reopen(store, round_number)
    for round_number in range(options.rounds):
        for store in stores:
            _kill(store, round_number)
    for outcome in outcomes:
        print(report.outcome_table(outcome))
        print(_latency_sentence(outcome, stores), end="\n\n")
    budgets = _budgets()
    print(_table(stores, load_rates, budgets), end="\n\n")
    settings: dict[str, Json] = {**asdict(options), "value_bytes": VALUE_BYTES, "burst_keys": _burst(stores[1])}
    figures: dict[str, Json] = {
        "budgets": budgets,
        "stores": [_json(store, rate) for store, rate in zip(stores, load_rates, strict=True)],
        "contests": [{**report.outcome_json(outcome), **_latency_json(outcome, stores[1])} for outcome in outcomes],
    }
    report.write_results(NAME, settings, folders, figures)


def _load(store: _Store) -> float:
    """Fills the store; the keys loaded a second."""
    with PetraServer(store.data) as server:
        store.memory["empty"] = server.resident_bytes()
        began = time.perf_counter()
        with _loader(server.address, 0, store.keys, durable=False) as loader:
            loader.wait_for(_Progress(store), timeout_s=_LOAD_TIMEOUT_S)
        rate = store.keys / (time.perf_counter() - began)
        store.memory["loaded"] = server.resident_bytes()
        store.written = store.keys
    return rate


@dataclass(slots=True)
class _Progress:
    """Says how far a load is, ten times on the way; true at the end."""

    store: _Store
    said: int = 0

    def __call__(self, line: str) -> bool | None:
        if line == "done":
            return True
        acknowledged = _acknowledged(line)
        if acknowledged * 10 // self.store.keys > self.said:
            self.said = acknowledged * 10 // self.store.keys
            say(f"  {self.store.name}: {acknowledged:,} loaded")
        return None


def _measure_reads(stores: Sequence[_Store], options: Options) -> list[Outcome]:
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(_Serving(store)) for store in stores]
        outcomes = [
            hold(_reads(f"get-{in_flight}", in_flight, servers, options.seconds), options.rounds, say)
            for in_flight in (1, 32)
        ]
        for serving in servers:
            serving.store.memory["after reads"] = serving.server.resident_bytes()
    return outcomes


class _Serving:
    """A store that is being served."""

    def __init__(self, store: _Store) -> None:
        self.store = store
        self.server = PetraServer(store.data)

    def __enter__(self) -> _Serving:
        self.server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.stop()

    def read(self, in_flight: int, seconds: float) -> Sample:
        """One run of uniformly random reads."""
        settings = reads.Settings(self.server.address, 0, self.store.keys, seconds, in_flight)
        command = [sys.executable, "-m", "bench.large.reads", json.dumps(asdict(settings))]
        told = json.loads(run(command, timeout_s=seconds + 120))
        return Sample(told["rate"], {"p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"]})


def _reads(name: str, in_flight: int, servers: Sequence[_Serving], seconds: float) -> Contest:
    return Contest(
        name=name,
        title=f"uniform random Get, {in_flight} in flight",
        unit="calls/s",
        contestants=[
            Contestant(serving.store.name, functools.partial(serving.read, in_flight, seconds)) for serving in servers
        ],
        baseline=servers[0].store.name,
    )


def _latency_sentence(outcome: Outcome, stores: Sequence[_Store]) -> str:
    small, large = stores
    p50, p99 = (outcome.beside_ratios(large.name, name) for name in _LATENCIES)
    assert p50 is not None
    assert p99 is not None
    return f"{large.name} against {small.name}: p50 is {p50.median:.2f} times, p99 is {p99.median:.2f} times as long"


def _latency_json(outcome: Outcome, store: _Store) -> dict[str, Json]:
    spreads = {name: outcome.beside_ratios(store.name, name) for name in _LATENCIES}
    return {f"{name}_of_baseline": report.spread_json(spread) for name, spread in spreads.items() if spread is not None}


def _reopen(store: _Store, round_number: int) -> None:
    """Opens and closes the store once."""
    with PetraServer(store.data) as server:
        store.open_seconds.append(server.seconds_to_serve)
        _expect(server.address, [0, store.keys - 1])
        store.memory["opened"] = server.resident_bytes()
    say(f"  {store.name}: opened in {server.seconds_to_serve:.2f} s (round {round_number + 1})")


def _kill(store: _Store, round_number: int) -> None:
    """Kills the server while it takes writes, opens again, and looks for what was acknowledged."""
    first, wanted = store.written, store.written + _burst(store)
    with PetraServer(store.data) as server, _loader(server.address, first, wanted * 2, durable=True) as loader:
        acknowledged = loader.wait_for(lambda line: _reached(line, wanted), timeout_s=_LOAD_TIMEOUT_S)
        server.kill()
        loader.kill()
    with PetraServer(store.data) as server:
        _expect(server.address, [0])
        store.kill_seconds.append(server.seconds_to_serve)
        _expect(server.address, range(first, acknowledged, max(1, (acknowledged - first) // 1000)))
    # The next burst overwrites what this one wrote without being told.
    store.written = acknowledged
    say(f"  {store.name}: serves {server.seconds_to_serve:.2f} s after SIGKILL (round {round_number + 1})")


def _burst(store: _Store) -> int:
    return min(_BURST_KEYS, store.keys)


def _reached(line: str, wanted: int) -> int | None:
    acknowledged = _acknowledged(line)
    return acknowledged if acknowledged >= wanted else None


def _acknowledged(line: str) -> int:
    word, _, number = line.partition(" ")
    if word != "acknowledged":
        raise BenchError(f"a loader said: {line}")
    return int(number)


def _loader(address: str, first: int, end: int, *, durable: bool) -> ChildProcess:
    settings = load.Settings(address, first, end, durable)
    return ChildProcess("loader", [sys.executable, "-m", "bench.large.load", json.dumps(asdict(settings))])


def _expect(address: str, numbers: Sequence[int]) -> None:
    """Reads these keys; BenchError when one does not hold its value."""
    request = storage_pb2.GetManyRequest(keys=[key(number) for number in numbers][:1024])
    response = storage_pb2.GetManyResponse.FromString(call(address, SERVICE + "GetMany", request.SerializeToString()))
    held = {entry.key: entry.value for entry in response.entries}
    for number in list(numbers)[:1024]:
        if held.get(key(number)) != value(number):
            raise BenchError(f"key {number} was acknowledged, and it is not there")


def _budgets() -> dict[str, int]:
    """The server's memory budgets in bytes, as `petra config` tells them."""
    told = json.loads(run([sys.executable, "-m", "petra_server", "config", "--output", "json"], timeout_s=30))
    return {name: int(told[name]["value"]) for name in _BUDGETS}


def _disk_bytes(data: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file())


def _table(stores: Sequence[_Store], load_rates: Sequence[float], budgets: Mapping[str, int]) -> str:
    def mib(figure: int) -> str:
        return f"{figure / _MIB:,.0f}"

    rows = [
        ["loaded, keys/s", *(f"{rate:,.0f}" for rate in load_rates)],
        ["on disk, MiB", *(mib(_disk_bytes(store.data)) for store in stores)],
        ["start to serving, s", *(f"{Spread(store.open_seconds).median:.2f}" for store in stores)],
        ["SIGKILL under writes to serving, s", *(f"{Spread(store.kill_seconds).median:.2f}" for store in stores)],
    ]
    for moment in stores[0].memory:
        rows.append([f"resident, MiB: {moment}", *(mib(store.memory[moment]["resident"]) for store in stores)])
        rows.append([f"  of it anonymous: {moment}", *(mib(store.memory[moment]["anonymous"]) for store in stores)])
    rows.append(["budgets, MiB: " + ", ".join(budgets), *(mib(sum(budgets.values())) for _ in stores)])
    return report.table(["store", *(store.name for store in stores)], rows)


def _json(store: _Store, load_rate: float) -> Json:
    return {
        "name": store.name,
        "loaded_per_second": round(load_rate),
        "disk_bytes": _disk_bytes(store.data),
        "open_seconds": report.spread_json(Spread(store.open_seconds)),
        "serve_after_kill_seconds": report.spread_json(Spread(store.kill_seconds)),
        "memory_bytes": {moment: dict(figures) for moment, figures in store.memory.items()},
    }
