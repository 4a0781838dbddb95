"""TestServer and TestClock without pytest's help."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from petra import AsyncClient, Client
from petra.errors import InvalidArgument
from petra.testing import TestClock, TestServer
from petra_server.errors import StartupError
from petra_server.settings import InvalidSettings

MOMENT = datetime(2030, 5, 1, 12, tzinfo=UTC)


def server_threads() -> set[threading.Thread]:
    """Those of all servers in this process; the fixture of other tests has one."""
    return {thread for thread in threading.enumerate() if thread.name == "petra-test-server"}


def test_it_serves_while_the_block_lasts() -> None:
    before = server_threads()
    with TestServer() as server:
        address = server.address
        with Client(address) as client:
            assert client.increment("visits") == 1
        assert len(server_threads() - before) == 1
    assert server_threads() == before
    host, _, port = address.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_it_is_started_once_and_stopped_at_most_once() -> None:
    server = TestServer()
    server.stop()
    server.start()
    with pytest.raises(RuntimeError, match="running already"):
        server.start()
    server.stop()
    server.stop()


@pytest.mark.parametrize("use", [lambda server: server.address, TestServer.restart, TestServer.sweep, TestServer.info])
def test_a_stopped_server_says_so(use: object) -> None:
    assert callable(use)
    with pytest.raises(RuntimeError, match="not running"):
        use(TestServer())


def test_its_own_folder_goes_with_it() -> None:
    server = TestServer()
    for _ in range(2):
        with server, Client(server.address) as client:
            assert client.increment("visits") == 1


def test_given_data_stays(tmp_path: Path) -> None:
    for visits in (1, 2):
        with TestServer(data=tmp_path / "data") as server, Client(server.address) as client:
            assert client.increment("visits") == visits


def test_two_at_a_time() -> None:
    with TestServer() as one, TestServer() as two, Client(one.address) as first, Client(two.address) as second:
        first.set("key", 1, ttl=10)
        second.set("key", 2, ttl=10)
        one.clock.advance(10)
        assert (first.get("key"), second.get("key")) == (None, 2)


def test_within_an_event_loop() -> None:
    async def main() -> None:
        with TestServer() as server:
            async with AsyncClient(server.address) as client:
                assert await client.increment("visits") == 1
                server.restart()
                assert await client.increment("visits") == 2
                assert server.info().writable

    asyncio.run(main())


def test_a_sweep_frees_what_has_expired() -> None:
    with TestServer(actors=1) as server, Client(server.address) as client:
        client.set_many({f"key-{number}": number for number in range(10)}, ttl=1)
        client.set("stays", True)
        server.clock.advance(1)
        assert client.actors()[0].keys == 11
        server.sweep()
        assert client.actors()[0].keys == 1


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"max_value_byte": 1}, TypeError), ({"actors": -1}, InvalidSettings), ({"listen": "127.0.0.1"}, ValueError)],
)
def test_a_setting_that_cannot_be_leaves_nothing_behind(settings: dict[str, Any], error: type[Exception]) -> None:
    before = server_threads()
    server = TestServer(**settings)
    with pytest.raises(error, match=next(iter(settings))):
        server.start()
    assert server_threads() == before


def test_a_directory_that_is_in_use_leaves_nothing_behind(tmp_path: Path) -> None:
    with TestServer(data=tmp_path / "data"):
        before = server_threads()
        with pytest.raises(StartupError):
            TestServer(data=tmp_path / "data").start()
        assert server_threads() == before


def test_the_clock_begins_where_it_is_told() -> None:
    assert TestClock(MOMENT).now == MOMENT
    assert TestClock(MOMENT.astimezone(timezone(timedelta(hours=5)))).now == MOMENT
    with TestServer(now=MOMENT) as server:
        assert server.info().now == MOMENT


def test_the_clock_stands_still_until_it_is_moved() -> None:
    clock = TestClock()
    before = clock.now
    assert before == clock.now
    clock.advance(1.5)
    clock.advance(timedelta(days=1))
    assert clock.now - before == timedelta(days=1, seconds=1.5)
    assert clock.now.tzinfo is UTC


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf"), timedelta(0), True, "1"])
def test_the_clock_does_not_go_back_or_nowhere(step: object) -> None:
    clock = TestClock(MOMENT)
    with pytest.raises(InvalidArgument):
        clock.advance(step)  # type: ignore[arg-type]
    assert clock.now == MOMENT


def test_the_clock_wants_a_time_zone() -> None:
    with pytest.raises(InvalidArgument, match="time zone"):
        TestClock(datetime(2030, 1, 1))  # noqa: DTZ001
