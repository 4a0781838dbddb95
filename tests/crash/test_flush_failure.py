"""The disk fails a flush or a write. Nothing that is not on disk is acknowledged or shown, and the process ends."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from grpc_health.v1 import health_pb2

from petra.v1 import storage_pb2 as pb
from tests.crash.faults import failing_calls
from tests.crash.line import Line
from tests.crash.writers import Counter, KeyWriter, ObjectWriter, PipelineWriter, Writer
from tests.server.rpc.calls import Connection
from tests.support.refusals import Refusal, refusal_of
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.support.pipelines import Outcome, Request

pytestmark = pytest.mark.crash

# sysexits.h: an error occurred while doing I/O on some file.
_EX_IOERR: Final = 74
_FAILURES: Final = (
    (grpc.StatusCode.UNAVAILABLE, "STORAGE_FAILED"),
    (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
)
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Fault:
    """System calls that fail; `on_log`: only those on the newest write-ahead log."""

    calls: tuple[str, ...]
    on_log: bool
    # Held up, so that everything that could be answered too early would be.
    delay: str = ""

    def on(self, server: ServerProcess, data: Path, *, from_call: int = 1) -> AbstractContextManager[None]:
        logs = sorted((data / "partition-0000").glob("*.log"))
        fault = f"error=EIO:when={from_call}+{self.delay}"
        return failing_calls(server.pid, self.calls, fault, path=logs[-1] if self.on_log else None)


_FLUSH: Final = Fault(("fdatasync", "fsync"), on_log=False, delay=":delay_enter=200000")
_WRITE: Final = Fault(("write", "pwrite64", "writev"), on_log=True)
_FAULTS: Final = pytest.mark.parametrize("fault", [_FLUSH, _WRITE], ids=["flush", "write"])


@_FAULTS
def test_nothing_is_acknowledged_or_shown(tmp_path: Path, fault: Fault) -> None:
    data = tmp_path / "data"
    with ServerProcess(data) as server, Connection(server.address) as connection:
        assert _answer(connection, pb.SetRequest(key="kept", value=b"old")) is not None
        watch = _watch_health(connection)
        states = [next(watch)]
        with fault.on(server, data):
            written_and_read: list[Request] = [pb.SetRequest(key="kept", value=b"new"), pb.GetRequest(key="kept")]
            assert _answers(connection, written_and_read) == [None, None]
            assert _answer(connection, pb.SetRequest(key="other", value=b"new")) is None
            assert _answer(connection, pb.IncrementRequest(object="room", key="count", delta=1)) is None
            states += watch
            assert server.wait() == _EX_IOERR, server.stderr_text()
        assert states in ([_SERVING, _NOT_SERVING], [_SERVING])
        assert "storage failed" in server.stderr_text()
    with ServerProcess(data) as server, Connection(server.address) as connection:
        kept = connection.ask(pb.GetRequest(key="kept"))
        assert isinstance(kept, pb.GetResponse)
        # Nobody was told that the new value is there, or that it is not.
        assert kept.entry.value in (b"old", b"new")
        assert _answer(connection, pb.SetRequest(key="kept", value=b"newer")) is not None


@_FAULTS
def test_under_load_all_that_was_acknowledged_is_kept(tmp_path: Path, fault: Fault, crash_seed: str) -> None:
    data = tmp_path / "data"
    kinds: list[type[Writer]] = [KeyWriter, PipelineWriter, Counter, ObjectWriter]
    writers = [
        kind(f"{kind.__name__}{number}", random.Random(f"{crash_seed}/{number}"))
        for number, kind in enumerate(kinds * 2)
    ]
    from_call = random.Random(crash_seed).randrange(1, 40)
    with ServerProcess(data) as server, Fault(fault.calls, fault.on_log).on(server, data, from_call=from_call):
        asyncio.run(_write_until_it_fails(server.address, writers))
        assert server.wait() == _EX_IOERR, server.stderr_text()
    with ServerProcess(data) as server:
        asyncio.run(_recover(server.address, writers))


def test_a_failed_flush_at_the_end_is_no_good_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data, "--buffered-flush-ms", "60000") as server, Connection(server.address) as connection:
        buffered = pb.SetRequest(key="kept", value=b"new", durability=pb.DURABILITY_BUFFERED)
        assert _answer(connection, buffered) is not None
        with Fault(_FLUSH.calls, on_log=False).on(server, data):
            assert server.terminate() == _EX_IOERR, server.stderr_text()


async def _write_until_it_fails(address: str, writers: Sequence[Writer]) -> None:
    async def write_on(writer: Writer) -> None:
        async with Line(address) as line:
            while await writer.write(line):
                pass

    async with asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(write_on(writer))


async def _recover(address: str, writers: Sequence[Writer]) -> None:
    async with Line(address) as line:
        for writer in writers:
            await writer.recover(line)


def _answer(connection: Connection, request: Request) -> Outcome | None:
    """An answer, or None for the one refusal that is allowed."""
    return _allowed(connection.ask(request))


def _answers(connection: Connection, requests: Sequence[Request]) -> list[Outcome | None]:
    """The same for requests of one pipeline message."""
    try:
        return [_allowed(outcome) for outcome in connection.ask_together(requests)]
    except grpc.RpcError as error:
        return [_allowed(refusal_of(error)) for _ in requests]


def _allowed(outcome: Outcome) -> Outcome | None:
    if not isinstance(outcome, Refusal):
        return outcome
    if not outcome.reason:
        # The connection broke, because the server had ended or was about to.
        assert outcome.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), outcome
    else:
        assert (outcome.code, outcome.reason) in _FAILURES, outcome
    return None


def _watch_health(connection: Connection) -> Iterator[int]:
    """What the server says about itself until it is gone."""
    watch = connection.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    with suppress(grpc.RpcError):
        for state in watch(health_pb2.HealthCheckRequest()):
            yield state.status
