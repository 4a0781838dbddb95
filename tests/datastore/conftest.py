"""A datastore of either tree, in a namespace of each test's own, and stores of three users of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from petra import AsyncClient, Client
from petra.datastore import Datastore, Store
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from tests.client.conftest import pytest_pyfunc_call
from tests.datastore.threads import behind_threads

__all__ = ["pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """One for all tests; its clock only goes on."""
    with TestServer() as server:
        yield server


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of a test and of its clients."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def namespace() -> str:
    return uuid4().hex


@pytest.fixture(params=["asyncio", "threads"])
def open_datastore(
    request: pytest.FixtureRequest, runner: asyncio.Runner, server: TestServer, namespace: str
) -> Iterator[Callable[..., Datastore]]:
    """Makes datastores with the options given, of either tree."""
    client = AsyncClient(server.address, namespace=namespace)
    blocking = Client(server.address, namespace=namespace)

    def make(**options: Any) -> Datastore:  # noqa: ANN401 - those of a datastore
        if request.param == "threads":
            return behind_threads(BlockingDatastore(blocking, **options))
        return Datastore(client, **options)

    yield make
    runner.run(client.close())
    blocking.close()


@pytest.fixture
def datastore(open_datastore: Callable[..., Datastore]) -> Datastore:
    return open_datastore()


@pytest.fixture
def ann(datastore: Datastore) -> Store:
    return datastore.auth("ann")


@pytest.fixture
def bob(datastore: Datastore) -> Store:
    return datastore.auth("bob")


@pytest.fixture
def system(datastore: Datastore) -> Store:
    return datastore.system()


@pytest.fixture
def client(server: TestServer, namespace: str, runner: asyncio.Runner) -> Iterator[AsyncClient]:
    """What is stored, without the datastore."""
    client = AsyncClient(server.address, namespace=namespace)
    yield client
    runner.run(client.close())
