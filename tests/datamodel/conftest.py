"""A datastore in a namespace of each test's own, and stores of two users and of the system."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from petra import AsyncClient, Client
from petra.datastore import Datastore, Store
from petra.sync.datastore import Datastore as BlockingDatastore
from petra.testing import TestServer
from tests.client.conftest import pytest_pyfunc_call

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


@pytest.fixture
def client(server: TestServer, namespace: str, runner: asyncio.Runner) -> Iterator[AsyncClient]:
    client = AsyncClient(server.address, namespace=namespace)
    yield client
    runner.run(client.close())


@pytest.fixture
def datastore(client: AsyncClient) -> Datastore:
    return Datastore(client)


@pytest.fixture
def blocking_datastore(server: TestServer, namespace: str) -> Iterator[BlockingDatastore]:
    with Client(server.address, namespace=namespace) as client:
        yield BlockingDatastore(client)


@pytest.fixture
def ann(datastore: Datastore) -> Store:
    return datastore.auth("ann")


@pytest.fixture
def bob(datastore: Datastore) -> Store:
    return datastore.auth("bob")


@pytest.fixture
def system(datastore: Datastore) -> Store:
    return datastore.system()
