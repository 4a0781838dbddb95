"""Runs the workloads: a fresh server for each run, client processes that load and work, and the check at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report
from bench.petra import PetraServer
from bench.process import BenchError, ChildProcess
from bench.report import Folders, Json, say
from bench.runs import Spread, percentile
from bench.ycsb.check import Stored, violations
from bench.ycsb.client import Report, Settings, open_store, read_report, told
from bench.ycsb.store import Store
from bench.ycsb.workloads import FIELD_BYTES, FIELDS, WORKLOADS, Kind, Layout, Workload, place, unpack

NAME = "ycsb"
TRANSPORTS = ("pipeline", "unary")
SCANS = ("object", "flat")

_PHASE_TIMEOUT_S = 900.0
_READERS = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. `scan` says whether the records that E scans are in one object or are flat keys."""

    workloads: Sequence[str]
    transport: str
    rounds: int
    records: int
    operations: int
    clients: int
    in_flight: int
    scan: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one workload, checked."""

    operations_per_second: float
    loads_per_second: float
    latencies_ms: Mapping[str, Sequence[float]]
    conflicts: int
    acknowledged: int
    failures: Sequence[str]


def measure(options: Options, folders: Folders) -> dict[str, list[Run]]:
    """Runs the workloads, prints their table and writes the results. BenchError when a store is not as it must be."""
    runs: dict[str, list[Run]] = {name: [] for name in options.workloads}
    for round_number in range(options.rounds):
        for name in options.workloads:
            runs[name].append(_run(WORKLOADS[name], options, folders.scratch / f"{name}-{round_number}", round_number))
            last = runs[name][-1]
            say(
                f"  {name}: round {round_number + 1}/{options.rounds}: {last.operations_per_second:,.0f} ops/s, "
                f"{last.acknowledged:,} acknowledged writes checked, {len(last.failures)} operations failed"
            )
    print(_table(runs), end="\n\n")
    settings: dict[str, Json] = {**asdict(options), "fields": FIELDS, "field_bytes": FIELD_BYTES}
    report.write_results(NAME, settings, folders, {"workloads": {name: _json(name, runs[name]) for name in runs}})
    return runs


def _run(workload: Workload, options: Options, scratch: Path, seed: int) -> Run:
    layout = workload.layout
    if Kind.SCAN in workload.mix and options.scan == "flat":
        layout = Layout.FLAT
    scratch.mkdir()
    with PetraServer(scratch / "data") as server:
        reports = _run_clients(server.address, workload, layout, options, scratch, seed)
        written, unknown = told(reports)
        numbers = {one.number for one in written} | {one.number for one in unknown}
        stored = asyncio.run(_read_all(server.address, layout, numbers))
        counted = Kind.READ_MODIFY_WRITE in workload.mix
        wrong = [sentence for one in reports for sentence in one.wrong]
        wrong += violations(written, unknown, stored, counted=counted)
        if wrong:
            raise BenchError(f"workload {workload.name}: {len(wrong)} things are wrong: " + "; ".join(wrong[:10]))
    latencies = {
        str(kind): sorted(latency for one in reports for latency in one.latencies_ms[kind]) for kind in workload.mix
    }
    return Run(
        operations_per_second=sum(map(len, latencies.values())) / _span([one.working for one in reports]),
        loads_per_second=options.records / _span([one.loading for one in reports]),
        latencies_ms=latencies,
        conflicts=sum(one.conflicts for one in reports),
        acknowledged=len(written),
        failures=[failure for one in reports for failure in one.failures],
    )


def _span(spans: Sequence[tuple[float, float]]) -> float:
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def _run_clients(
    address: str, workload: Workload, layout: Layout, options: Options, scratch: Path, seed: int
) -> list[Report]:
    """Runs the client processes from their start to their end."""
    parts = [
        Settings(
            address=address,
            transport=options.transport,
            workload=workload.name,
            layout=layout,
            records=options.records,
            operations=options.operations // options.clients,
            index=index,
            clients=options.clients,
            in_flight=options.in_flight,
            seed=seed * 1000 + index,
            report=str(scratch / f"client-{index}.json"),
        )
        for index in range(options.clients)
    ]
    with contextlib.ExitStack() as running:
        clients = [running.enter_context(_client(settings)) for settings in parts]
        for _phase in ("load", "work"):
            for client in clients:
                client.wait_for(lambda line: line == "ready" or None, timeout_s=_PHASE_TIMEOUT_S)
            for client in clients:
                client.send("go")
        for client in clients:
            client.wait_for(lambda line: line == "done" or None, timeout_s=_PHASE_TIMEOUT_S)
    return [read_report(Path(settings.report)) for settings in parts]


def _client(settings: Settings) -> ChildProcess:
    command = [sys.executable, "-m", "bench.ycsb.client", json.dumps(asdict(settings))]
    return ChildProcess(f"client {settings.index}", command)


async def _read_all(address: str, layout: Layout, numbers: set[int]) -> dict[int, Stored]:
    """Reads every record that a client may have written, and lists the keys where they lie in one order."""
    store = open_store("pipeline", address)
    try:
        waiting = iter(sorted(numbers))
        stored: dict[int, Stored] = {}

        async def read() -> None:
            for number in waiting:
                entry = await store.get(*place(layout, number))
                if entry is not None:
                    record = unpack(entry.value)
                    stored[number] = Stored(entry.version, record.write, record.counter)

        await asyncio.gather(*(read() for _ in range(_READERS)))
        if layout is not Layout.OBJECT_EACH:
            await _compare_listing(store, layout, set(stored))
        return stored
    finally:
        await store.close()


async def _compare_listing(store: Store, layout: Layout, numbers: set[int]) -> None:
    object_name, _ = place(layout, 0)
    listed: set[int] = set()
    start = ""
    while page := await store.scan(object_name, start, 1000):
        listed |= {unpack(entry.value).number for entry in page}
        # The least key that is greater than the last one.
        start = page[-1].key + "\0"
    if listed != numbers:
        raise BenchError(
            f"a listing shows {len(listed - numbers)} records too many and {len(numbers - listed)} too few"
        )


def _table(runs: Mapping[str, Sequence[Run]]) -> str:
    header = ["workload", "ops/s", "min", "max", "operation", "p50 ms", "p99 ms", "conflicts", "failed"]
    rows = []
    for name, of_workload in runs.items():
        rates = Spread([run.operations_per_second for run in of_workload])
        head = [f"{name} {WORKLOADS[name].about}", f"{rates.median:,.0f}", f"{rates.least:,.0f}", f"{rates.most:,.0f}"]
        for kind in WORKLOADS[name].mix:
            p50, p99 = _percentiles(of_workload, kind)
            conflicts = sum(run.conflicts for run in of_workload) if kind is Kind.READ_MODIFY_WRITE else 0
            failed = sum(failure.startswith(f"{kind}:") for run in of_workload for failure in run.failures)
            rows.append([*head, str(kind), f"{p50.median:.2f}", f"{p99.median:.2f}", f"{conflicts:,}", f"{failed:,}"])
            head = ["", "", "", ""]
    return report.table(header, rows)


def _percentiles(runs: Sequence[Run], kind: Kind) -> tuple[Spread, Spread]:
    done = [run.latencies_ms[kind] for run in runs if run.latencies_ms[kind]] or [[0.0]]
    return Spread([percentile(one, 0.50) for one in done]), Spread([percentile(one, 0.99) for one in done])


def _json(name: str, runs: Sequence[Run]) -> Json:
    operations: dict[str, Json] = {}
    for kind in WORKLOADS[name].mix:
        p50, p99 = _percentiles(runs, kind)
        operations[kind] = {"p50_ms": report.spread_json(p50), "p99_ms": report.spread_json(p99)}
    return {
        "about": WORKLOADS[name].about,
        "operations_per_second": report.spread_json(Spread([run.operations_per_second for run in runs])),
        "loads_per_second": report.spread_json(Spread([run.loads_per_second for run in runs])),
        "operations": operations,
        "conflicts": [run.conflicts for run in runs],
        "acknowledged_writes_checked": [run.acknowledged for run in runs],
        "failures": [len(run.failures) for run in runs],
        "check": "passed",
    }
