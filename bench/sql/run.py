"""Runs the contests of `bench sql`, and what is measured of Petra alone: bulk, a large database, a noisy object."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from bench import h2load, report
from bench.framing import GRPC_HEADERS, frame
from bench.h2load import Answers, H2Load
from bench.petra import PetraServer, call
from bench.process import Unavailable, run
from bench.report import Folders, Json, say
from bench.runs import Contest, Contestant, Sample, Target, hold, percentile
from bench.sql.contestants import IN_FLIGHT, OBJECTS, SERVICE, File, Petra, Workerd
from bench.sql.work import SCHEMA
from petra.v1 import sql_pb2, statements_pb2, storage_pb2

NAME = "sql"

_TITLES = {
    "upsert": "durable upserts of an 8-column row",
    "query": "indexed queries of 20 rows",
    "read": "reads by primary key",
}
_MIB = 1 << 20
_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure; `rows` is how many are loaded in bulk, `large_bytes` how large the large database is."""

    rounds: int
    seconds: float
    rows: int
    large_bytes: int
    alone: bool


def measure(options: Options, folders: Folders) -> None:
    """Runs all of it, prints the tables and writes the results."""
    h2load.require()
    figures: dict[str, Json] = {}
    with contextlib.ExitStack() as stack:
        outcomes = [hold(contest, options.rounds, say) for contest in _contests(stack, options, folders.scratch)]
    for outcome in outcomes:
        print(report.outcome_table(outcome), end="\n\n")
        figures[outcome.contest.name] = report.outcome_json(outcome)
    for name, part in (("bulk", _bulk), ("large", _large), ("noisy", _noisy), ("page_size", _page_sizes)):
        say(f"  {name}")
        found = part(options, folders.scratch)
        print(f"{name}: " + ", ".join(f"{key} {value:,.2f}" for key, value in found.items()), end="\n\n")
        figures[name] = found
    settings: dict[str, Json] = {**asdict(options), "in_flight": IN_FLIGHT, "objects": OBJECTS}
    say(f"results in {report.write_results(NAME, settings, folders, figures)}")


def _contests(stack: contextlib.ExitStack, options: Options, scratch: Path) -> list[Contest]:
    file = File(scratch)
    petra = stack.enter_context(Petra(scratch))
    peers: list[Workerd] = []
    if not options.alone:
        try:
            peers.append(stack.enter_context(Workerd(scratch)))
        except Unavailable as missing:
            say(f"  without workerd: {missing}")

    def contest(name: str) -> Contest:
        seconds = options.seconds
        contestants = [
            Contestant("file", lambda: file.measure(name, seconds)),
            Contestant("petra unary", lambda: petra.unary(name, seconds)),
            Contestant("petra piped", lambda: petra.piped(name, seconds, 1)),
            Contestant(f"petra piped, {OBJECTS} objects", lambda: petra.piped(name, seconds, OBJECTS)),
            *[Contestant(peer.name, lambda peer=peer: peer.measure(name, seconds)) for peer in peers],  # type: ignore[misc]
        ]
        return Contest(
            name,
            _TITLES[name],
            "statements/s",
            contestants,
            baseline="file",
            subject="petra piped",
            targets=[Target("petra unary", 1.0), Target("petra piped", 1.0)],
        )

    return [contest(name) for name in _TITLES]


def _bulk(options: Options, scratch: Path) -> dict[str, float]:
    """Rows into one object, a thousand a request, and what of them goes to the disk."""
    with PetraServer(scratch / "bulk") as server:
        _execute(server, "bulk", *SCHEMA)
        written = _written_bytes(server)
        started, answer = time.perf_counter(), sql_pb2.ExecuteResponse()
        for first in range(0, options.rows, 1_000):
            rows = range(first, min(first + 1_000, options.rows))
            cells = statements_pb2.Cells(
                kinds=[1, 3, 1, 2, 3, 1, 3, 1] * len(rows),  # type: ignore[list-item]
                integers=[value for row in rows for value in (row, row % 500, row, 7)],
                doubles=[0.5] * len(rows),
                texts=[text for row in rows for text in (f"name{row:010}", f"{row:040}", f"{row:020}")],
            )
            statement = statements_pb2.Statement(
                sql="INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", parameters=cells, times=len(rows)
            )
            request = sql_pb2.ExecuteRequest(object="bulk", statements=[statement]).SerializeToString()
            answer = sql_pb2.ExecuteResponse.FromString(
                call(server.address, SERVICE + "Execute", request, timeout_s=60)
            )
        taken = time.perf_counter() - started
        return {
            "rows_per_second": options.rows / taken,
            "database_bytes_per_row": answer.database_bytes / options.rows,
            "disk_bytes_per_row": (_written_bytes(server) - written) / options.rows,
            "upsert_disk_bytes": _upsert_disk_bytes(server, options),
        }


def _upsert_disk_bytes(server: PetraServer, options: Options) -> float:
    """What one durable upsert of a row somewhere in that table writes to the disk."""
    before, count = _written_bytes(server), max(50, min(2_000, options.rows // 100))
    for number in range(count):
        _execute(server, "bulk", f"UPDATE t SET c = c + 1, b = b + 1 WHERE id = {number * 7_919 % options.rows}")
    return (_written_bytes(server) - before) / count


def _large(options: Options, scratch: Path) -> dict[str, float]:
    """One large database: opened cold, read at random; and the memory of the server."""
    with PetraServer(scratch / "large") as server:
        _execute(server, "large", "CREATE TABLE t (id INTEGER PRIMARY KEY, pad BLOB)")
        rows = max(1, options.large_bytes // 1_010)
        for first in range(0, rows, 10_000):
            _execute(
                server,
                "large",
                "INSERT INTO t WITH RECURSIVE n(x) AS"
                f" (SELECT {first} UNION ALL SELECT x + 1 FROM n WHERE x < {min(first + 10_000, rows) - 1})"
                " SELECT x, randomblob(1000) FROM n",
            )
        loaded = server.resident_bytes()
    with PetraServer(scratch / "large") as server:
        before = server.resident_bytes()
        started = time.perf_counter()
        size = _execute(server, "large", "SELECT count(*) FROM sqlite_schema").database_bytes
        opened = time.perf_counter() - started
        latencies, number = [], 0
        started = last = time.perf_counter()
        while last - started < options.seconds:
            number += 1
            _execute(server, "large", f"SELECT length(pad) FROM t WHERE id = {number * 7_919 % rows}")
            now = time.perf_counter()
            latencies.append((now - last) * 1000)
            last = now
        latencies.sort()
        after = server.resident_bytes()
    return {
        "database_mib": size / _MIB,
        "cold_open_ms": opened * 1000,
        "random_reads_per_second_one_caller": number / (last - started),
        "random_read_p50_ms": percentile(latencies, 0.5),
        "random_read_p99_ms": percentile(latencies, 0.99),
        "resident_mib_after_load": loaded["resident"] / _MIB,
        "resident_mib_before_reads": before["resident"] / _MIB,
        "resident_mib_after_reads": after["resident"] / _MIB,
    }


def _noisy(options: Options, scratch: Path) -> dict[str, float]:
    """Gets of another object, alone and while endless statements run with a deadline of 200 ms each."""
    with PetraServer(scratch / "noisy") as server:
        call(server.address, "/petra.v1.StorageService/Set", _set_request())
        idle = [_gets(server, options, scratch) for _ in range(options.rounds)]
        stop, ends = threading.Event(), list[float]()
        thread = threading.Thread(target=_run_for_ever, args=(server, stop, ends))
        thread.start()
        try:
            busy = [_gets(server, options, scratch) for _ in range(options.rounds)]
        finally:
            stop.set()
            thread.join()
    ends.sort()
    return {
        "idle_p99_ms": _middle([sample.beside["p99_ms"] for sample in idle]),
        "busy_p99_ms": _middle([sample.beside["p99_ms"] for sample in busy]),
        "busy_over_idle": _middle([sample.beside["p99_ms"] for sample in busy])
        / _middle([sample.beside["p99_ms"] for sample in idle]),
        "endless_statements_ended": float(len(ends)),
        "longest_end_ms": ends[-1] if ends else 0.0,
    }


def _run_for_ever(server: PetraServer, stop: threading.Event, ends: list[float]) -> None:
    with grpc.insecure_channel(server.address) as channel:
        execute: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SERVICE + "Execute")
        request = sql_pb2.ExecuteRequest(
            object="noisy", statements=[statements_pb2.Statement(sql=_ENDLESS)]
        ).SerializeToString()
        while not stop.is_set():
            started = time.perf_counter()
            with contextlib.suppress(grpc.RpcError):
                execute(request, timeout=0.2)
            ends.append((time.perf_counter() - started) * 1000)


def _gets(server: PetraServer, options: Options, scratch: Path) -> Sample:
    payload = storage_pb2.GetRequest(object="quiet", key="k").SerializeToString()
    size = len(call(server.address, "/petra.v1.StorageService/Get", payload)) + 5
    body = scratch / "noisy.bin"
    body.write_bytes(frame(payload))
    shape = H2Load(
        url=f"http://{server.address}/petra.v1.StorageService/Get",
        clients=1,
        streams=4,
        answers=Answers(size, size),
        body=body,
        headers=GRPC_HEADERS,
    )
    return h2load.measure([shape], seconds=options.seconds, scratch=scratch, server=server)


def _set_request() -> bytes:
    return storage_pb2.SetRequest(object="quiet", key="k", value=b"x" * 100).SerializeToString()


def _page_sizes(options: Options, scratch: Path) -> dict[str, float]:
    """In one process, without gRPC: what page sizes cost. See bench.sql.page_sizes."""
    told: dict[str, float] = json.loads(
        run([sys.executable, "-m", "bench.sql.page_sizes", str(scratch), str(options.seconds)], timeout_s=600)
    )
    return told


def _execute(server: PetraServer, object_name: str, *texts: str) -> sql_pb2.ExecuteResponse:
    statements = [statements_pb2.Statement(sql=text) for text in texts]
    request = sql_pb2.ExecuteRequest(object=object_name, statements=statements).SerializeToString()
    return sql_pb2.ExecuteResponse.FromString(call(server.address, SERVICE + "Execute", request, timeout_s=120))


def _written_bytes(server: PetraServer) -> int:
    """What the server has handed to the disk since it began."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{server.pid}/io").read_text("ascii").splitlines())
    return int(fields["write_bytes"])


def _middle(values: Sequence[float]) -> float:
    return percentile(sorted(values), 0.5)
