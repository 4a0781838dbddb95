"""A Petra server in a process of its own, and single calls to it or to another gRPC server."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import grpc

from bench.process import BenchError, ChildProcess

SERVICE = "/petra.v1.StorageService/"

# A server that opens 10 million keys after a crash replays its log first.
_OPEN_TIMEOUT_S = 300.0


class PetraServer(ChildProcess):
    """`petra serve` on a data directory and a port of the system's choice; `address` once it serves."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "petra_server", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
        super().__init__("petra", [*command, *arguments])
        self.address = ""
        self.seconds_to_serve = 0.0

    def start(self) -> None:
        """Starts it and waits until it serves; `seconds_to_serve` is from before the process was made."""
        started = time.perf_counter()
        super().start()
        try:
            self.address = self.wait_for(_serving_address, timeout_s=_OPEN_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        self.seconds_to_serve = time.perf_counter() - started

    def resident_bytes(self) -> dict[str, int]:
        """The resident memory now, its part that is no page of a file, and the most it ever was."""
        names = {"VmRSS": "resident", "RssAnon": "anonymous", "VmHWM": "peak"}
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return {name: int(fields[field].split()[0]) * 1024 for field, name in names.items()}


def _serving_address(line: str) -> str | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if isinstance(record, dict) and record.get("event") == "serving":
        return str(record["address"])
    return None


def call(address: str, method: str, request: bytes, *, timeout_s: float = 10.0) -> bytes:
    """One unary call with the bytes of its request, answered by the bytes of its response. BenchError when it fails."""
    with grpc.insecure_channel(address) as channel:
        # Without serializers grpc takes the bytes of a message and gives bytes back.
        invoke: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        try:
            return invoke(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise BenchError(f"{method} at {address} failed: {error}") from error
