"""Requests that wait: time that is up, clients that go, bytes that are too many, and a server that shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from petra_server.actor import handlers
from petra_server.actor.operations import Delete, Operation, Reply
from petra_server.actor.turn import Turn
from petra_server.errors import StorageFailed
from petra_server.storage.engine import Engine
from tests.server.http.api import PATIENCE_S, refusal_of
from tests.support.inprocess import RunningServer, running_server

KIB, GIB = 1024, 1024**3
HELD = {"object": "held"}


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[RunningServer, httpx.AsyncClient]]:  # noqa: ANN401
    async with running_server(**{"http": "127.0.0.1:0", "http_timeout_ms": 60_000, **settings}) as server:
        base = f"http://{server.server.http_address}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as http:
            yield server, http


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.005)


def test_a_request_whose_time_is_up_is_answered_and_withdrawn() -> None:
    async def scenario() -> None:
        async with serving() as (server, http):
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            answer = await http.post("/storage/k", params=HELD, json={"value": 1}, headers={"Petra-Timeout-Ms": "100"})
            assert refusal_of(answer)[:2] == (504, "TIMED_OUT")
            assert len(actor.mailbox) == 1
            server.release_actor(actor)
            assert (await http.get("/storage/k", params=HELD)).status_code == 404

    asyncio.run(scenario())


def test_the_setting_bounds_requests_that_do_not_say_how_long_they_wait() -> None:
    async def scenario() -> None:
        async with serving(http_timeout_ms=100) as (server, http):
            server.hold_actor(server.actor_of("", "held", "k"))
            answer = await http.get("/storage/k", params=HELD)
            assert refusal_of(answer)[:2] == (504, "TIMED_OUT")
            assert "0.1 seconds" in answer.json()["error"]["message"]
            server.release_actor(server.actor_of("", "held", "k"))

    asyncio.run(scenario())


def test_a_request_whose_client_has_gone_is_withdrawn() -> None:
    async def scenario() -> None:
        async with serving() as (server, http):
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            figures = server.server._admission.figures
            async with httpx.AsyncClient(base_url=http.base_url, trust_env=False) as leaving:
                asked = asyncio.create_task(leaving.post("/storage/k", params=HELD, json={"value": 1}))
                await until(lambda: len(actor.mailbox) == 1)
                asked.cancel()
            await until(lambda: ("http", "Set", "CANCELLED") in figures.counts)
            server.release_actor(actor)
            assert (await http.get("/storage/k", params=HELD)).status_code == 404

    asyncio.run(scenario())


def test_a_body_is_refused_while_it_is_sent() -> None:
    """A body that never ends is refused when it is too large, and not read any further."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"value":"'
        while sent < 64:
            sent += 1
            yield b"x" * 4 * KIB
            await asyncio.sleep(0)

    async def scenario() -> None:
        limits = {"max_value_bytes": KIB, "max_message_bytes": 16 * KIB, "max_page_bytes": 16 * KIB}
        async with serving(**limits) as (server, http):
            headers = {"content-type": "application/json"}
            answer = await http.post("/storage/k", content=endless(), headers=headers)
            assert refusal_of(answer)[:2] == (413, "BODY_TOO_LARGE")
            assert "16384 bytes" in answer.json()["error"]["message"]
            # One that says so before is refused by what it says.
            large = await http.post("/storage/k", content=b" " * 17 * KIB, headers=headers)
            assert refusal_of(large)[:2] == (413, "BODY_TOO_LARGE")
            assert server.server._admission.server_bytes == 0
            assert (await http.post("/storage/k", json={"value": 1})).status_code == 200

    asyncio.run(scenario())


def test_bytes_in_flight_are_bounded_and_given_back() -> None:
    limits = {
        "max_value_bytes": 48 * KIB,
        "max_message_bytes": 64 * KIB,
        "max_page_bytes": 64 * KIB,
        "max_connection_bytes": 64 * KIB,
        "max_server_bytes": 64 * KIB,
    }

    async def scenario() -> None:
        async with serving(**limits) as (server, http):
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            body = {"value": "x" * 40 * KIB}
            first = asyncio.create_task(http.post("/storage/k", params=HELD, json=body))
            await until(lambda: len(actor.mailbox) == 1)
            refused = await http.post("/storage/k", params={"object": "free"}, json=body)
            assert refusal_of(refused)[:2] == (503, "OVERLOADED")
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["retryAfterMs"] > 0
            # What is small is served meanwhile.
            assert (await http.post("/storage/k", params={"object": "free"}, json={"value": 1})).status_code == 200
            server.release_actor(actor)
            assert (await first).status_code == 200
            assert (await http.get("/storage/k", params=HELD)).json()["data"] == body["value"]
            await until(lambda: server.server._admission.server_bytes == 0)

    asyncio.run(scenario())


def test_a_full_mailbox_and_a_full_disk_are_told_with_when_to_come_again() -> None:
    async def scenario() -> None:
        async with serving(max_mailbox_items=1) as (server, http):
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            first = asyncio.create_task(http.get("/storage/k", params=HELD))
            await until(lambda: len(actor.mailbox) == 1)
            refused = await http.get("/storage/k", params=HELD)
            assert refusal_of(refused)[:2] == (503, "OVERLOADED")
            server.release_actor(actor)
            assert (await first).status_code == 404
        async with serving(disk_reserve_bytes=16_000 * GIB) as (_, http):
            refused = await http.post("/storage/k", json={"value": 1})
            assert refusal_of(refused)[:2] == (507, "DISK_FULL")
            assert int(refused.headers["retry-after"]) >= 1
            assert refusal_of(await http.post("/sql/o", json={"sql": "CREATE TABLE t (k)"}))[:2] == (507, "DISK_FULL")
            assert (await http.get("/storage/list")).status_code == 200
            # It can be read, so it stays in service; who writes looks closer.
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["data"]["writable"]) == (200, False)

    asyncio.run(scenario())


def test_a_fault_is_told_under_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(turn: Turn, operation: Operation) -> Reply:
        raise RuntimeError("a secret")

    monkeypatch.setitem(handlers.HANDLERS, Delete, fault)

    async def scenario() -> None:
        async with serving() as (_, http):
            answer = await http.delete("/storage/k")
            assert refusal_of(answer)[:2] == (500, "INTERNAL_ERROR")
            error = answer.json()["error"]
            assert error["details"]["error_id"] in error["message"]
            assert "secret" not in answer.text

    asyncio.run(scenario())


def test_after_a_failed_write_it_is_neither_ready_nor_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Engine) -> None:
        raise StorageFailed("The disk has failed.")

    async def scenario() -> None:
        async with running_server(http="127.0.0.1:0") as server:
            base = f"http://{server.server.http_address}"
            async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
                assert (await http.get("/readyz")).status_code == (await http.get("/healthz")).status_code == 200
                with monkeypatch.context() as patch:
                    patch.setattr(Engine, "flush_wal", fail)
                    answer = await http.post("/storage/k", json={"value": 1})
                    assert refusal_of(answer)[:2] == (503, "STORAGE_FAILED")
                for path in ("/readyz", "/healthz"):
                    assert refusal_of(await http.get(path))[:2] == (503, "STORAGE_FAILED")
                assert refusal_of(await http.get("/storage/list"))[:2] == (503, "STORAGE_FAILED")
            with pytest.raises(StorageFailed):
                await server.stop()

    asyncio.run(scenario())


def test_what_is_under_way_is_finished_and_the_rest_is_refused_when_it_shuts_down() -> None:
    async def scenario() -> None:
        async with running_server(http="127.0.0.1:0") as server:
            base = f"http://{server.server.http_address}"
            actor = server.actor_of("", "held", "k")
            server.hold_actor(actor)
            async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as http:
                under_way = asyncio.create_task(http.post("/storage/k", params=HELD, json={"value": 1}))
                await until(lambda: len(actor.mailbox) == 1)
                data, router = server.settings.data, server.server.router
                stopping = asyncio.create_task(server.stop())
                await until(lambda: server_is_draining(http))
                assert refusal_of(await http.get("/storage/k"))[:2] == (503, "DRAINING")
                assert (await http.get("/healthz")).status_code == 200
                assert (await http.get("/metrics")).status_code == 200
                assert not under_way.done()
                router.release(actor)
                assert (await under_way).status_code == 200
                await stopping
            async with running_server(data=data, http="127.0.0.1:0") as again:
                url = f"http://{again.server.http_address}/storage/k"
                async with httpx.AsyncClient(trust_env=False) as http:
                    assert (await http.get(url, params=HELD)).json()["data"] == 1

    asyncio.run(scenario())


async def server_is_draining(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 503
