"""Redis as a peer: its own load generator, redis-benchmark, in C like h2load."""

from __future__ import annotations

import csv
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import peers
from bench.peers import Measure, Work, free_port
from bench.process import BenchError, ChildProcess, Unavailable, run
from bench.runs import Sample

_TRIAL_REQUESTS = 2000


class RedisServer(ChildProcess):
    """A Redis server on an empty directory, with an append-only file that is synced before a write is acknowledged."""

    durability = "appendonly yes, appendfsync always: acknowledged after fdatasync of the append-only file"

    def __init__(self, data: Path, *, sync: str = "always") -> None:
        """`sync` is its appendfsync; with "everysec" it acknowledges at once, and a crash may lose a second."""
        if sync != "always":
            self.durability = f"appendonly yes, appendfsync {sync}: acknowledged before the disk has it"
        self._data = data
        self.port = free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(data)]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", sync]
        super().__init__("redis", command)

    def start(self) -> None:
        """Starts it and waits until it serves. Unavailable when it is not installed."""
        _require("redis-server")
        self._data.mkdir()
        super().start()
        try:
            self.wait_for(lambda line: "Ready to accept connections" in line or None, timeout_s=30)
        except BaseException:
            self.stop()
            raise

    def version(self) -> str:
        """The server's release."""
        words = run(["redis-server", "--version"], timeout_s=10).split()
        return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise Unavailable(f"{program} is not installed. Debian and Ubuntu: apt-get install redis")


class RedisPeer:
    """A Redis server under the load of redis-benchmark."""

    name = "redis"
    durability = RedisServer.durability

    def __init__(self, work: Work, data: Path) -> None:
        self._work = work
        self._process = RedisServer(data)

    def __enter__(self) -> RedisPeer:
        _require("redis-benchmark")
        self._process.start()
        try:
            self._expect(b"OK", "SET", self._work.key, self._work.value(self._work.key).decode())
            for batch_set in range(self._work.batch_sets):
                self._expect(b"OK", *self._mset(batch_set))
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()

    def version(self) -> str:
        return self._process.version()

    def measures(self) -> Mapping[str, Measure]:
        work = self._work
        get = ["GET", work.key]
        put = ["SET", work.key, work.value(work.key).decode()]
        single, batches, streams = work.in_flight, work.batches_in_flight, work.batch_sets
        return {
            peers.GET: lambda: self._load(get, clients=single),
            peers.SET: lambda: self._load(put, clients=single),
            peers.GET_MANY: lambda: self._load(["MGET", *work.batch_keys(0)], clients=batches, keys=work.batch),
            peers.SET_MANY: lambda: self._load(self._mset(0), clients=batches, keys=work.batch),
            peers.PIPELINE_GET: lambda: self._load(get, clients=streams, pipelined=work.batch),
            peers.PIPELINE_SET: lambda: self._load(put, clients=streams, pipelined=work.batch),
        }

    def check(self) -> None:
        for key in [self._work.key, *self._work.batch_keys(0)]:
            self._expect(self._work.value(key), "GET", key)
        if "aof_last_write_status:ok" not in self._command("INFO", "persistence").decode():
            raise BenchError("redis could not write its append-only file")

    def _mset(self, batch_set: int) -> list[str]:
        pairs = [(key, self._work.value(key).decode()) for key in self._work.batch_keys(batch_set)]
        return ["MSET", *(word for pair in pairs for word in pair)]

    def _load(self, command: Sequence[str], *, clients: int, pipelined: int = 1, keys: int = 1) -> Sample:
        """redis-benchmark stops at the first error answer, so a run that ends well had none."""
        trial = self._benchmark(command, clients, pipelined, _TRIAL_REQUESTS)
        requests = max(clients * pipelined, int(float(trial["rps"]) * self._work.seconds))
        before = self._process.cpu_seconds()
        row = self._benchmark(command, clients, pipelined, requests)
        cpu_us = (self._process.cpu_seconds() - before) / (requests * keys) * 1e6
        latencies = {"p50_ms": float(row["p50_latency_ms"]), "p99_ms": float(row["p99_latency_ms"])}
        return Sample(rate=float(row["rps"]) * keys, beside={**latencies, "cpu_us": cpu_us})

    def _benchmark(self, command: Sequence[str], clients: int, pipelined: int, requests: int) -> dict[str, str]:
        options = ["-h", "127.0.0.1", "-p", str(self._process.port), "--csv", "-n", str(requests)]
        options += ["-c", str(clients), "-P", str(pipelined)]
        output = run(["redis-benchmark", *options, *command], timeout_s=300)
        rows = list(csv.DictReader(line for line in output.splitlines() if line.startswith('"')))
        if len(rows) != 1:
            raise BenchError(f"redis-benchmark said something unexpected:\n{output}")
        return rows[0]

    def _expect(self, answer: bytes, *command: str) -> None:
        told = self._command(*command)
        if told != answer:
            raise BenchError(f"redis answered {command[0]} {command[1]} with {told[:100]!r}")

    def _command(self, *command: str) -> bytes:
        """One command in RESP2, answered by a simple or a bulk string."""
        words = [word.encode() for word in command]
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        with socket.create_connection(("127.0.0.1", self._process.port), timeout=10) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                head = answer.readline().rstrip(b"\r\n")
                return answer.read(int(head[1:])) if head.startswith(b"$") and head != b"$-1" else head[1:]
