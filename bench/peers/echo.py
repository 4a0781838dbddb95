"""A bare grpc.aio server as a peer: the ceiling of unary calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from bench import echo, h2load, peers
from bench.framing import FRAME_BYTES, GRPC_HEADERS, frame
from bench.h2load import Answers, H2Load
from bench.peers import Measure, Work
from bench.petra import call
from bench.process import BenchError, ChildProcess
from bench.runs import Sample


class EchoPeer:
    """Sends the very bytes that Petra is sent, and gets them back."""

    name = "grpc.aio echo"
    durability = "stores nothing"

    def __init__(self, work: Work, payloads: Mapping[str, bytes]) -> None:
        self._work = work
        self._payloads = payloads
        self._process = ChildProcess("echo", [sys.executable, "-m", "bench.echo"])
        self._address = ""

    def __enter__(self) -> EchoPeer:
        self._process.start()
        try:
            self._address = self._process.wait_for(_address, timeout_s=30)
            for payload in self._payloads.values():
                if call(self._address, echo.METHOD, payload) != payload:
                    raise BenchError("the echo server answered with something else")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()

    def version(self) -> str:
        """That of grpcio, which stands with the packages."""
        return "grpcio"

    def measures(self) -> Mapping[str, Measure]:
        """Calls per second; beside batches too, as the measure of what the machine can do."""
        return {
            peers.GET: lambda: self._echo(peers.GET),
            peers.SET: lambda: self._echo(peers.SET),
            peers.GET_MANY: lambda: self._echo(peers.GET),
            peers.SET_MANY: lambda: self._echo(peers.GET),
            peers.GET_MANY_OBJECT: lambda: self._echo(peers.GET),
            peers.SET_MANY_OBJECT: lambda: self._echo(peers.GET),
        }

    def check(self) -> None:
        """Nothing is kept."""

    def _echo(self, contest: str) -> Sample:
        payload = self._payloads[contest]
        size = FRAME_BYTES + len(payload)
        shape = H2Load(
            url=f"http://{self._address}{echo.METHOD}",
            clients=self._work.connections,
            streams=self._work.in_flight // self._work.connections,
            answers=Answers(size, size),
            body=self._work.payload(f"echo-{contest}", frame(payload)),
            headers=GRPC_HEADERS,
        )
        return h2load.measure([shape], seconds=self._work.seconds, scratch=self._work.scratch, server=self._process)


def _address(line: str) -> str | None:
    return line.removeprefix("serving ") if line.startswith("serving ") else None
