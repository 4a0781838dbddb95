"""SIGTERM: what is under way is finished, what is new is refused, and the process ends with 0."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import PATIENCE_S, Connection, refused
from tests.support.refusals import Refusal, refusal_of
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def _keys_after_restart(data: Path) -> set[str]:
    with ServerProcess(data) as server, Connection(server.address) as connection:
        return {entry.key for entry in connection.entries()}


def _sets(first: int, count: int) -> pb.PipelineRequest:
    ids = range(first, first + count)
    return pb.PipelineRequest(ids=ids, methods=[pb.METHOD_SET] * count, keys=[f"k{id_}" for id_ in ids])


def _read(stream: Iterator[pb.PipelineResponse], answered: set[int]) -> Refusal | None:
    """Reads a stream to its end, and returns why it ended early."""
    try:
        for answer in stream:
            answered.update(answer.ids)
    except grpc.RpcError as error:
        return refusal_of(error)
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with ServerProcess(tmp_path / "data") as server:
        server.send_signal(number)
        assert server.wait() == 0


def test_acknowledged_writes_are_kept_and_the_rest_is_unavailable(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        started = threading.Barrier(5)

        def write(writer: int) -> tuple[set[str], Refusal]:
            """Writes until refused: what was acknowledged, and the refusal."""
            acknowledged: set[str] = set()
            with Connection(server.address) as connection:
                while True:
                    key = f"{writer}-{len(acknowledged)}"
                    outcome = connection.ask(pb.SetRequest(key=key, value=b"v"))
                    if isinstance(outcome, Refusal):
                        return acknowledged, outcome
                    acknowledged.add(key)
                    if len(acknowledged) == 20:
                        started.wait(PATIENCE_S)

        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, writer) for writer in range(4)]
            started.wait(PATIENCE_S)
            assert server.terminate() == 0
            written = [writer.result(PATIENCE_S) for writer in writers]
    assert {refusal.code for _, refusal in written} == {UNAVAILABLE}
    acknowledged = set().union(*(keys for keys, _ in written))
    kept = _keys_after_restart(tmp_path / "data")
    # At most the one write of each writer that was under way may be there without having been acknowledged.
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= 4


def test_open_stream_is_ended_with_a_reason(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, Connection(server.address) as connection:
        over = threading.Event()

        def messages() -> Iterator[pb.PipelineRequest]:
            yield _sets(0, 100)
            over.wait(PATIENCE_S)

        stream = connection.storage.Pipeline(messages())
        answered: set[int] = set()
        while len(answered) < 100:
            answered.update(next(stream).ids)
        server.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        over.set()
        refusal = refused(refusal_of(caught.value))
        assert (refusal.code, refusal.reason) == (UNAVAILABLE, "DRAINING")
        assert server.wait() == 0
    assert _keys_after_restart(tmp_path / "data") == {f"k{id_}" for id_ in range(100)}


def test_whatever_a_stream_did_is_answered(tmp_path: Path) -> None:
    """Operations are done if and only if they are answered, wherever the signal falls between them."""
    with ServerProcess(tmp_path / "data") as server, Connection(server.address) as connection:
        stream = connection.storage.Pipeline(iter([_sets(first, 50) for first in range(0, 20_000, 50)]))
        answered = set(next(stream).ids)
        server.send_signal(signal.SIGTERM)
        ending = _read(stream, answered)
        assert ending is None or (ending.code, ending.reason) == (UNAVAILABLE, "DRAINING")
        assert server.wait() == 0
    assert _keys_after_restart(tmp_path / "data") == {f"k{id_}" for id_ in answered}


class _Draining:
    """A server that has been told to end, and waits for a stream whose client does not read."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._deaf = Connection(server.address)
        value = bytes(1024 * 1024)
        for number in range(32):
            assert isinstance(self._deaf.ask(pb.SetRequest(key=f"k{number}", value=value)), pb.SetResponse)
        message = pb.PipelineRequest(
            ids=range(32), methods=[pb.METHOD_GET] * 32, keys=[f"k{number}" for number in range(32)]
        )
        self._stream = self._deaf.storage.Pipeline(iter([message]))
        self._answered = set(next(self._stream).ids)
        server.send_signal(signal.SIGTERM)

    def __enter__(self) -> _Draining:
        return self

    def __exit__(self, *_: object) -> None:
        self._deaf.channel.close()

    def read_on(self) -> set[int]:
        """Reads to the end of the stream, which has to say that the server ends. What was answered in all."""
        ending = _read(self._stream, self._answered)
        assert ending is not None
        assert ending.reason == "DRAINING"
        return self._answered


def _refused_soon(address: str) -> Refusal:
    """What a new call gets once the server has taken notice of the signal."""
    with Connection(address) as connection:
        while True:
            outcome = connection.ask(pb.GetRequest(key="k"))
            if isinstance(outcome, Refusal):
                return outcome


def test_new_calls_are_unavailable_while_old_ones_finish(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, _Draining(server) as draining:
        assert _refused_soon(server.address).code is UNAVAILABLE
        assert draining.read_on() == set(range(32))
        assert server.wait() == 0


def test_grace_bounds_the_wait_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", "--grace-seconds", "0.5") as server, _Draining(server):
        assert server.wait() == 0


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    arguments = ("--grace-seconds", "3600")
    with ServerProcess(tmp_path / "data", *arguments) as server, _Draining(server):
        assert _refused_soon(server.address).code is UNAVAILABLE
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM
    assert _keys_after_restart(tmp_path / "data") == {f"k{number}" for number in range(32)}
