"""Tests that are coroutines, and what they ask for: a server whose clock they move, and both trees of the client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from petra import AsyncClient, Client
from petra.testing import TestServer
from tests.client.trees import behind_threads


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine, on the loop of its fixtures where it has any."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    runner = pyfuncitem.funcargs.get("runner")
    run = runner.run if isinstance(runner, asyncio.Runner) else asyncio.run
    run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """One for all tests: each has a namespace of its own, and the clock only goes on."""
    with TestServer() as server:
        yield server


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of a test and of its clients."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["asyncio", "threads"])
def open_client(
    request: pytest.FixtureRequest, runner: asyncio.Runner, server: TestServer
) -> Iterator[Callable[..., AsyncClient]]:
    """Makes clients with the options given, of either tree, in a namespace that only this test uses."""
    opened: list[AsyncClient] = []
    namespace = uuid4().hex

    def make(**options: Any) -> AsyncClient:  # noqa: ANN401 - those of the clients
        options = {"address": server.address, "namespace": namespace, **options}
        blocking = request.param == "threads"
        client = behind_threads(Client(**options)) if blocking else AsyncClient(**options)
        opened.append(client)
        return client

    yield make
    for client in opened:
        runner.run(client.close())


@pytest.fixture
def client(open_client: Callable[..., AsyncClient]) -> AsyncClient:
    """A client of either tree."""
    return open_client()
