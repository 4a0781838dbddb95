"""Who runs the statements of `bench sql`, each measured from a process of its own."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

from bench import h2load
from bench.framing import FRAME_BYTES, GRPC_HEADERS, frame
from bench.h2load import Answers, H2Load
from bench.peers import workerd
from bench.petra import PetraServer, call
from bench.process import REPOSITORY, ChildProcess, run
from bench.runs import Sample
from bench.sql.work import SCHEMA, STATEMENTS, fill
from petra.v1 import sql_pb2, statements_pb2

IN_FLIGHT = 64
OBJECTS = 64
SERVICE = "/petra.v1.SqlService/"
# Numbers and durations of an answer take more or fewer bytes from one to the next.
_SPREAD = 0.25


class File:
    """A plain SQLite file, in the process that uses it."""

    name = "file"
    durability = "journal_mode=WAL, synchronous=FULL: fsync of its log for each statement"

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch / "file"
        self._folder.mkdir()

    def measure(self, name: str, seconds: float) -> Sample:
        return _told("bench.sql.file_load", str(self._folder), name, str(seconds), seconds=seconds)


class Petra:
    """A Petra server with default settings, and objects whose databases hold the table."""

    durability = "FSYNC: acknowledged after fdatasync of the write-ahead log, shared by the writes in flight"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.server = PetraServer(scratch / "petra")

    def __enter__(self) -> Petra:
        self.server.start()
        for number in range(OBJECTS):
            self.execute(f"bench-{number}", *SCHEMA, fill())
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.stop()

    def execute(self, object_name: str, *texts: str, timeout_s: float = 120.0) -> sql_pb2.ExecuteResponse:
        answer = call(
            self.server.address, SERVICE + "Execute", execute_request(object_name, *texts), timeout_s=timeout_s
        )
        return sql_pb2.ExecuteResponse.FromString(answer)

    def unary(self, name: str, seconds: float) -> Sample:
        """Calls from h2load to one object."""
        payload = execute_request("bench-0", STATEMENTS[name])
        sizes = [
            len(call(self.server.address, SERVICE + "Execute", payload, timeout_s=10.0)) + FRAME_BYTES
            for _ in range(20)
        ]
        body = self._scratch / f"{name}.bin"
        body.write_bytes(frame(payload))
        shape = H2Load(
            url=f"http://{self.server.address}{SERVICE}Execute",
            clients=4,
            streams=IN_FLIGHT // 4,
            answers=Answers(int(min(sizes) * (1 - _SPREAD)), int(max(sizes) * (1 + _SPREAD))),
            body=body,
            headers=GRPC_HEADERS,
        )
        return h2load.measure([shape], seconds=seconds, scratch=self._scratch, server=self.server)

    def piped(self, name: str, seconds: float, objects: int) -> Sample:
        """Tasks of one Python program, whose calls are packed into a Pipeline."""
        before = self.server.cpu_seconds()
        sample = _told(
            "bench.sql.pipeline_load", self.server.address, str(objects), name, str(seconds), seconds=seconds
        )
        cpu_us = (self.server.cpu_seconds() - before) / (sample.rate * seconds) * 1e6
        return Sample(sample.rate, {**sample.beside, "cpu_us": cpu_us})


class Workerd:
    """`sql.exec` of one Durable Object in workerd, over HTTP/1.1."""

    name = "workerd"
    durability = "localDisk: answered when the output gate opens, after fsync of the object's SQLite log"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process: ChildProcess | None = None
        self._port = 0

    def __enter__(self) -> Workerd:
        data = self._scratch / "workerd"
        data.mkdir()
        config = REPOSITORY / "bench" / "workerd" / "sql.capnp"
        command = [str(workerd.binary()), "serve", str(config), "--directory-path", f"storage={data}"]
        self._process = ChildProcess("workerd", [*command, "--socket-addr", "http=127.0.0.1:0", "--control-fd=1"])
        self._process.start()
        try:
            self._port = self._process.wait_for(workerd.port, timeout_s=60)
            for text in (*SCHEMA, fill()):
                self._call(text)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.stop()

    def measure(self, name: str, seconds: float) -> Sample:
        sizes = [len(self._call(STATEMENTS[name])) for _ in range(20)]
        body = self._scratch / f"workerd-{name}.sql"
        body.write_text(STATEMENTS[name], encoding="utf-8")
        shape = H2Load(
            url=f"http://127.0.0.1:{self._port}/",
            clients=IN_FLIGHT,
            streams=1,
            answers=Answers(int(min(sizes) * (1 - _SPREAD)), int(max(sizes) * (1 + _SPREAD))),
            body=body,
            http1=True,
        )
        return h2load.measure([shape], seconds=seconds, scratch=self._scratch, server=self._process)

    def _call(self, text: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", data=text.encode(), timeout=60) as answer:
            content = answer.read()
        assert isinstance(content, bytes)
        return content


def execute_request(object_name: str, *texts: str) -> bytes:
    statements = [statements_pb2.Statement(sql=text) for text in texts]
    return sql_pb2.ExecuteRequest(object=object_name, statements=statements).SerializeToString()


def _told(module: str, *arguments: str, seconds: float) -> Sample:
    told = json.loads(run([sys.executable, "-m", module, *arguments], timeout_s=seconds + 120))
    return Sample(rate=told["rate"], beside={"p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"]})
