"""A Durable Object in workerd as a peer: one object that keeps all keys, called over HTTP/1.1 by h2load."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import h2load, peers
from bench.h2load import Answers, H2Load
from bench.peers import Measure, Work
from bench.process import REPOSITORY, BenchError, ChildProcess, Unavailable, run
from bench.runs import Sample

_FOLDER = REPOSITORY / "bench" / "workerd"


def binary() -> Path:
    # The npm package's own entry is a script that starts this file.
    found = sorted(_FOLDER.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not found:
        raise Unavailable("workerd is not installed. With Node: npm ci --ignore-scripts --prefix bench/workerd")
    return found[0]


class WorkerdPeer:
    """workerd with bench/workerd/config.capnp on an empty directory."""

    name = "workerd"
    durability = "localDisk: answered when the output gate opens, after fsync of the object's SQLite log"

    def __init__(self, work: Work, data: Path) -> None:
        self._work = work
        self._data = data
        self._process: ChildProcess | None = None
        self._port = 0

    def __enter__(self) -> WorkerdPeer:
        command = [str(binary()), "serve", str(_FOLDER / "config.capnp")]
        command += ["--directory-path", f"storage={self._data}", "--socket-addr", "http=127.0.0.1:0"]
        self._data.mkdir()
        self._process = ChildProcess("workerd", [*command, "--control-fd=1"])
        self._process.start()
        try:
            self._port = self._process.wait_for(port, timeout_s=60)
            self._call("/set", key=self._work.key, body=self._work.value(self._work.key))
            for batch_set in range(self._work.batch_sets):
                self._call("/set-many", body=self._entries(batch_set))
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.stop()

    def version(self) -> str:
        return run([str(binary()), "--version"], timeout_s=10).split()[-1]

    def measures(self) -> Mapping[str, Measure]:
        work = self._work
        value = work.value(work.key)
        return {
            peers.GET: lambda: self._load([self._shape("/get", work.in_flight, key=work.key)]),
            peers.SET: lambda: self._load([self._shape("/set", work.in_flight, key=work.key, body=value)]),
            peers.GET_MANY_OBJECT: lambda: self._batches("/get-many", self._keys),
            peers.SET_MANY_OBJECT: lambda: self._batches("/set-many", self._entries),
        }

    def check(self) -> None:
        if self._call("/get", key=self._work.key) != self._work.value(self._work.key):
            raise BenchError("workerd does not hold what was written")
        for batch_set in range(self._work.batch_sets):
            held = json.loads(self._call("/get-many", body=self._keys(batch_set)))
            if held != json.loads(self._entries(batch_set)):
                raise BenchError("workerd does not hold what was written")

    def _keys(self, batch_set: int) -> bytes:
        return json.dumps(self._work.batch_keys(batch_set)).encode()

    def _entries(self, batch_set: int) -> bytes:
        keys = self._work.batch_keys(batch_set)
        return json.dumps({key: self._work.value(key).decode() for key in keys}).encode()

    def _batches(self, path: str, message: Callable[[int], bytes]) -> Sample:
        work = self._work
        clients = work.batches_in_flight // work.batch_sets
        shapes = [self._shape(path, clients, body=message(batch_set)) for batch_set in range(work.batch_sets)]
        return self._load(shapes, keys=work.batch)

    def _load(self, shapes: list[H2Load], keys: int = 1) -> Sample:
        work = self._work
        return h2load.measure(
            shapes, seconds=work.seconds, scratch=work.scratch, per_request=keys, server=self._process
        )

    def _shape(self, path: str, clients: int, *, key: str = "", body: bytes | None = None) -> H2Load:
        size = len(self._call(path, key=key, body=body))
        name = f"workerd{path.replace('/', '-')}-{hash(body) & 0xFFFFFFFF:08x}"
        return H2Load(
            url=self._url(path, key),
            clients=clients,
            streams=1,
            answers=Answers(size, size),
            body=None if body is None else self._work.payload(name, body),
            http1=True,
        )

    def _url(self, path: str, key: str) -> str:
        query = "?" + urllib.parse.urlencode({"key": key}) if key else ""
        return f"http://127.0.0.1:{self._port}{path}{query}"

    def _call(self, path: str, *, key: str = "", body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self._url(path, key), data=body, timeout=30) as answer:
            content = answer.read()
        assert isinstance(content, bytes)
        return content


def port(line: str) -> int | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return int(event["port"]) if isinstance(event, dict) and event.get("event") == "listen" else None
