"""The end of a server beside whoever holds on to it, and what the next one finds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from petra.v1 import storage_pb2 as pb
from petra.v1.storage_pb2_grpc import StorageServiceStub
from petra_server.actor import handlers, router
from petra_server.actor.clearing import SlicedClear
from petra_server.app import Server
from petra_server.clock import ManualClock
from petra_server.settings import Settings
from tests.support.wire import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from petra.v1.storage_pb2_grpc import StorageServiceAsyncStub

LONG_GRACE_S = 3_600


async def _start(data: Path) -> Server:
    settings = Settings(data=data, listen="127.0.0.1:0", actors=2, sweep_interval_ms=3_600_000)
    return await Server.start(settings, ManualClock())


async def _watch_health(channel: grpc.aio.Channel) -> object:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    return watch


async def _reflect(channel: grpc.aio.Channel) -> object:
    stub_of: Any = reflection_pb2_grpc.ServerReflectionStub
    stream = stub_of(channel).ServerReflectionInfo()
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await stream.read()
    return stream


async def _pipe(channel: grpc.aio.Channel) -> object:
    stub: StorageServiceAsyncStub = StorageServiceStub(channel)
    stream = stub.Pipeline()
    await stream.write(pb.PipelineRequest(ids=[1], methods=[pb.METHOD_GET], keys=["k"]))
    await stream.read()
    return stream


@pytest.mark.parametrize("opens", [(_watch_health,), (_reflect,), (_pipe,), (_watch_health, _reflect, _pipe)])
def test_nobody_who_only_listens_makes_use_of_the_grace(
    tmp_path: Path, opens: tuple[Callable[[grpc.aio.Channel], Any], ...]
) -> None:
    async def scenario() -> None:
        server = await _start(tmp_path / "data")
        async with grpc.aio.insecure_channel(server.address) as channel:
            held = [await one(channel) for one in opens]
            await asyncio.wait_for(server.stop(LONG_GRACE_S), PATIENCE_S)
            assert len(held) == len(opens)

    asyncio.run(scenario())


def test_grace_that_ends_before_a_long_clear_leaves_versions_and_counts_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits behind the clear is refused, for nobody may write once the versions are put down for good."""
    monkeypatch.setattr(handlers, "CLEAR_STEPS", 2)
    monkeypatch.setattr(router, "_DRAIN_WEIGHT", 1)
    data, entries, waiting = tmp_path / "data", 5, 20
    advance = SlicedClear.advance

    async def scenario() -> None:
        server = await _start(data)
        actor = server.addresses.find("", "o").owner
        assert actor is not None
        elsewhere = next(name for name in "abcdefgh" if server.addresses.find("", name).owner is not actor)
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub: StorageServiceAsyncStub = StorageServiceStub(channel)
            items = [pb.SetItem(key=f"k{number}") for number in range(entries)]
            written = await stub.SetMany(pb.SetManyRequest(object="o", items=items), timeout=PATIENCE_S)
            # The clear ends only when its server has nothing else to wait for.
            monkeypatch.setattr(
                SlicedClear, "advance", lambda self: server.router._closed is not None and advance(self)
            )
            stream = stub.Pipeline()
            message = pb.PipelineRequest(
                ids=range(waiting + 1),
                methods=[pb.METHOD_CLEAR, *[pb.METHOD_SET] * waiting],
                addresses=[pb.Address(object="o")],
                keys=["", *[f"z{number}" for number in range(waiting)]],
                values=[pb.ClearRequest(object="o").SerializeToString(), *[b"v"] * waiting],
            )
            await stream.write(message)
            async with asyncio.timeout(PATIENCE_S):
                while len(actor.mailbox) < waiting:
                    await stub.Get(pb.GetRequest(object=elsewhere, key="k"))
            assert actor.busy
            await asyncio.wait_for(server.stop(0), PATIENCE_S)
        server = await _start(data)
        try:
            async with grpc.aio.insecure_channel(server.address) as channel:
                stub = StorageServiceStub(channel)
                page = await stub.List(pb.ListRequest(object="o"), timeout=PATIENCE_S)
                assert list(page.entries) == []
                assert sum(one.keys for one in server.router.actors) == 0
                newer = await stub.Set(pb.SetRequest(object="o", key="new"), timeout=PATIENCE_S)
                assert newer.version > max(written.versions)
        finally:
            await server.stop(0)

    asyncio.run(scenario())
