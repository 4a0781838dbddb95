"""etcd as a peer: one member, its gRPC key-value service called by h2load."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import h2load, peers
from bench.framing import FRAME_BYTES, GRPC_HEADERS, bytes_field, frame
from bench.h2load import Answers, H2Load
from bench.peers import Measure, Work, free_port
from bench.petra import call
from bench.process import BenchError, ChildProcess, Unavailable, run
from bench.runs import Sample

_SERVICE = "/etcdserverpb.KV/"

# The answers carry the store's revision, a number that grows with every write.
_REVISION_BYTES = 10


def _range(key: str) -> bytes:
    # RangeRequest: key = 1. Linearizable unless `serializable` is set.
    return bytes_field(1, key.encode())


def _put(key: str, value: bytes) -> bytes:
    # PutRequest: key = 1, value = 2.
    return bytes_field(1, key.encode()) + bytes_field(2, value)


def _transaction(kind: int, requests: list[bytes]) -> bytes:
    # TxnRequest: success = 2, of RequestOp: request_range = 1, request_put = 2. No compare: it always succeeds.
    return b"".join(bytes_field(2, bytes_field(kind, request)) for request in requests)


class EtcdPeer:
    """A single etcd member on an empty directory, with default settings."""

    name = "etcd"
    durability = "default: acknowledged after fdatasync of the raft log (--unsafe-no-fsync is not given)"

    def __init__(self, work: Work, data: Path) -> None:
        self._work = work
        self._address = f"127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        client = f"http://{self._address}"
        command = ["etcd", "--name", "bench", "--data-dir", str(data), "--initial-cluster", f"bench={peer}"]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        self._process = ChildProcess("etcd", command)

    def __enter__(self) -> EtcdPeer:
        if shutil.which("etcd") is None:
            raise Unavailable("etcd is not installed. Debian and Ubuntu: apt-get install etcd-server")
        self._process.start()
        try:
            self._process.wait_for(_serves, timeout_s=60)
            call(self._address, _SERVICE + "Put", _put(self._work.key, self._work.value(self._work.key)))
            for batch_set in range(self._work.batch_sets):
                call(self._address, _SERVICE + "Txn", self._batch_put(batch_set))
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()

    def version(self) -> str:
        return run(["etcd", "--version"], timeout_s=10).splitlines()[0].removeprefix("etcd Version: ")

    def measures(self) -> Mapping[str, Measure]:
        key = self._work.key
        return {
            peers.GET: lambda: self._single("Range", _range(key)),
            peers.SET: lambda: self._single("Put", _put(key, self._work.value(key))),
            peers.GET_MANY: lambda: self._batches("get", self._batch_range),
            peers.SET_MANY: lambda: self._batches("set", self._batch_put),
        }

    def check(self) -> None:
        for batch_set in range(self._work.batch_sets):
            answer = call(self._address, _SERVICE + "Txn", self._batch_range(batch_set))
            if not all(self._work.value(key) in answer for key in self._work.batch_keys(batch_set)):
                raise BenchError("etcd does not hold what was written")
        if self._work.value(self._work.key) not in call(self._address, _SERVICE + "Range", _range(self._work.key)):
            raise BenchError("etcd does not hold what was written")

    def _batch_range(self, batch_set: int) -> bytes:
        return _transaction(1, [_range(key) for key in self._work.batch_keys(batch_set)])

    def _batch_put(self, batch_set: int) -> bytes:
        return _transaction(2, [_put(key, self._work.value(key)) for key in self._work.batch_keys(batch_set)])

    def _single(self, method: str, payload: bytes) -> Sample:
        work = self._work
        shape = self._shape(method, method, payload, work.connections, work.in_flight // work.connections)
        return h2load.measure([shape], seconds=work.seconds, scratch=work.scratch, server=self._process)

    def _batches(self, name: str, message: Callable[[int], bytes]) -> Sample:
        work = self._work
        streams = work.batches_in_flight // work.batch_sets
        shapes = [
            self._shape("Txn", f"{name}-{batch_set}", message(batch_set), 1, streams)
            for batch_set in range(work.batch_sets)
        ]
        return h2load.measure(
            shapes, seconds=work.seconds, scratch=work.scratch, per_request=work.batch, server=self._process
        )

    def _shape(self, method: str, name: str, payload: bytes, clients: int, streams: int) -> H2Load:
        size = FRAME_BYTES + len(call(self._address, _SERVICE + method, payload))
        slack = _REVISION_BYTES * (self._work.batch + 1)
        return H2Load(
            url=f"http://{self._address}{_SERVICE}{method}",
            clients=clients,
            streams=streams,
            answers=Answers(size, size + slack),
            body=self._work.payload(f"etcd-{name}", frame(payload)),
            headers=GRPC_HEADERS,
        )


def _serves(line: str) -> bool | None:
    return True if "serving insecure client requests" in line else None
