"""Fixtures for the data layers: a server whose clock the tests move, and each layer in both trees.

A blocking twin is used behind methods that are awaited, so that one set of tests does for both. A conftest.py imports
what it needs of these.
"""

# ruff: noqa: ANN401 - the options of layers, and whatever blocking methods return

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast
from uuid import uuid4

import pytest

from petra import AsyncClient, Client
from petra.testing import TestServer

L = TypeVar("L")


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


@pytest.fixture
def namespace() -> str:
    """One that only this test uses."""
    return uuid4().hex


@pytest.fixture
def client(runner: asyncio.Runner, server: TestServer, namespace: str) -> Iterator[AsyncClient]:
    """A client in the test's namespace, to look at what is stored."""
    client = AsyncClient(server.address, namespace=namespace)
    yield client
    runner.run(client.close())


class Tree:
    """One tree of the client, and the layers in it."""

    def __init__(self, client: AsyncClient | Client) -> None:
        self.client = client

    @property
    def blocking(self) -> bool:
        return isinstance(self.client, Client)

    def make(self, kind: Callable[..., L], *args: Any, **options: Any) -> L:
        """An instance of a layer's class, or of its twin, with the tree's client."""
        if not self.blocking:
            return kind(self.client, *args, **options)
        assert inspect.isclass(kind)
        module = kind.__module__.replace("petra.", "petra.sync.", 1)
        twin = getattr(importlib.import_module(module), kind.__name__)
        given = {name: value.behind if isinstance(value, Awaited) else value for name, value in options.items()}
        return cast("L", Awaited(twin(self.client, *args, **given)))


class Awaited:
    """A blocking object whose methods are awaited; each call runs in a thread of its own."""

    def __init__(self, behind: object) -> None:
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.behind, name)
        if not callable(attribute):
            return attribute
        return lambda *args, **options: asyncio.to_thread(attribute, *args, **options)


@pytest.fixture(params=["asyncio", "threads"])
def tree(request: pytest.FixtureRequest, runner: asyncio.Runner, server: TestServer, namespace: str) -> Iterator[Tree]:
    """Each tree in turn, in the test's namespace."""
    if request.param == "threads":
        with Client(server.address, namespace=namespace) as blocking:
            yield Tree(blocking)
    else:
        client = AsyncClient(server.address, namespace=namespace)
        yield Tree(client)
        runner.run(client.close())
