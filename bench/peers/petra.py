"""Petra as a peer: unary calls from h2load, and the Pipeline stream from a Python client process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import h2load, peers
from bench.framing import FRAME_BYTES, GRPC_HEADERS, frame
from bench.h2load import Answers, H2Load
from bench.peers import Measure, Work
from bench.petra import SERVICE, PetraServer, call
from bench.process import BenchError, run
from bench.runs import Sample
from petra.v1 import storage_pb2

_OBJECT = "bench"

# A version that has grown by what a contest writes may take more bytes than at first, and never more than these.
_VERSION_BYTES = 10


def unary_payloads(work: Work) -> dict[str, bytes]:
    """The messages of the single-key contests."""
    key, value = work.key, work.value(work.key)
    durability = storage_pb2.DURABILITY_FSYNC
    return {
        peers.GET: storage_pb2.GetRequest(key=key).SerializeToString(),
        peers.SET: storage_pb2.SetRequest(key=key, value=value, durability=durability).SerializeToString(),
    }


class PetraPeer:
    """A Petra server with default settings on an empty data directory."""

    name = "petra"
    durability = "FSYNC: acknowledged after fdatasync of the write-ahead log, shared by the writes in flight"

    def __init__(self, work: Work, data: Path) -> None:
        self._work = work
        self._server = PetraServer(data)

    def __enter__(self) -> PetraPeer:
        self._server.start()
        try:
            self._call("Set", unary_payloads(self._work)[peers.SET])
            for name in ("", _OBJECT):
                for batch_set in range(self._work.batch_sets):
                    self._call("SetMany", self._set_many(batch_set, name))
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop()

    def version(self) -> str:
        """That of the package, which stands with the packages."""
        return "this checkout"

    def measures(self) -> Mapping[str, Measure]:
        return {
            peers.GET: lambda: self._unary("Get", peers.GET),
            peers.SET: lambda: self._unary("Set", peers.SET),
            peers.GET_MANY: lambda: self._batches("GetMany", ""),
            peers.SET_MANY: lambda: self._batches("SetMany", ""),
            peers.GET_MANY_OBJECT: lambda: self._batches("GetMany", _OBJECT),
            peers.SET_MANY_OBJECT: lambda: self._batches("SetMany", _OBJECT),
            peers.PIPELINE_GET: lambda: self._pipeline("get"),
            peers.PIPELINE_SET: lambda: self._pipeline("set"),
        }

    def check(self) -> None:
        """Reads back every key of every contest but the pipeline's, whose client checks its answers itself."""
        self._expect([self._work.key], "")
        for name in ("", _OBJECT):
            for batch_set in range(self._work.batch_sets):
                self._expect(self._work.batch_keys(batch_set), name)

    def _expect(self, keys: list[str], object_name: str) -> None:
        request = storage_pb2.GetManyRequest(object=object_name, keys=keys)
        answer = storage_pb2.GetManyResponse.FromString(self._call("GetMany", request.SerializeToString()))
        if [(entry.key, entry.value) for entry in answer.entries] != [(key, self._work.value(key)) for key in keys]:
            raise BenchError(f"petra does not hold what was written under {keys[0]} and the keys after it")

    def _unary(self, method: str, contest: str) -> Sample:
        payload = unary_payloads(self._work)[contest]
        work = self._work
        shape = self._shape(method, contest, payload, work.connections, work.in_flight // work.connections)
        return h2load.measure([shape], seconds=work.seconds, scratch=work.scratch, server=self._server)

    def _batches(self, method: str, object_name: str) -> Sample:
        work = self._work
        message = self._get_many if method == "GetMany" else self._set_many
        shapes = [
            self._shape(
                method,
                f"{method}-{object_name}-{batch_set}",
                message(batch_set, object_name),
                1,
                work.batches_in_flight // work.batch_sets,
            )
            for batch_set in range(work.batch_sets)
        ]
        return h2load.measure(
            shapes, seconds=work.seconds, scratch=work.scratch, per_request=work.batch, server=self._server
        )

    def _pipeline(self, mode: str) -> Sample:
        work = self._work
        settings = {
            "address": self._server.address,
            "mode": mode,
            "streams": work.batch_sets,
            "batch": work.batch,
            "value_bytes": work.value_bytes,
            "seconds": work.seconds,
        }
        command = [sys.executable, "-m", "bench.pipeline_load", json.dumps(settings)]
        told = json.loads(run(command, timeout_s=work.seconds + 60))
        return Sample(rate=told["rate"], beside={"p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"]})

    def _shape(self, method: str, name: str, payload: bytes, clients: int, streams: int) -> H2Load:
        # One real call first: it must succeed, and its answer says how long a good one is.
        size = FRAME_BYTES + len(self._call(method, payload))
        writes = method in ("Set", "SetMany")
        per_answer = self._work.batch if method == "SetMany" else 1
        return H2Load(
            url=f"http://{self._server.address}{SERVICE}{method}",
            clients=clients,
            streams=streams,
            answers=Answers(size, size + _VERSION_BYTES * per_answer if writes else size),
            body=self._work.payload(f"petra-{name}", frame(payload)),
            headers=GRPC_HEADERS,
        )

    def _get_many(self, batch_set: int, object_name: str) -> bytes:
        keys = self._work.batch_keys(batch_set)
        return storage_pb2.GetManyRequest(object=object_name, keys=keys).SerializeToString()

    def _set_many(self, batch_set: int, object_name: str) -> bytes:
        keys = self._work.batch_keys(batch_set)
        items = [storage_pb2.SetItem(key=key, value=self._work.value(key)) for key in keys]
        return storage_pb2.SetManyRequest(
            object=object_name, items=items, durability=storage_pb2.DURABILITY_FSYNC
        ).SerializeToString()

    def _call(self, method: str, request: bytes) -> bytes:
        return call(self._server.address, SERVICE + method, request)
