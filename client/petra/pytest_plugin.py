"""The pytest plugin of petra.testing: pytest loads it by itself wherever Petra is installed.

So it imports nothing but pytest; a fixture that is asked for imports the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from petra import AsyncClient, Client
    from petra.testing import TestServer

# Of a test's name in that of its namespace, in UTF-8: 255 are allowed.
_NAME_BYTES = 200


@pytest.fixture(scope="session")
def petra_settings() -> Mapping[str, Any]:
    """Settings of the server of `petra_server`, by name. Override it in a conftest.py to give some."""
    return {}


@pytest.fixture(scope="session")
def petra_server(petra_settings: Mapping[str, Any]) -> Iterator[TestServer]:
    """A Petra server in this process, for all tests: `address`, `clock.advance(seconds)`, `sweep()`, `restart()`."""
    from petra.testing import TestServer

    with TestServer(**petra_settings) as server:
        yield server


@pytest.fixture
def petra_namespace(request: pytest.FixtureRequest) -> str:
    """The name of a namespace that only this test uses, as `petra_client` and `petra_async_client` do."""
    name = request.node.name.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")
    return f"{name}-{uuid4().hex}"


@pytest.fixture
def petra_client(petra_server: TestServer, petra_namespace: str) -> Iterator[Client]:
    """A petra.Client of `petra_server`, in a namespace of this test's own."""
    from petra import Client

    with Client(petra_server.address, namespace=petra_namespace) as client:
        yield client


@pytest.fixture
def petra_async_client(petra_server: TestServer, petra_namespace: str) -> AsyncClient:
    """A petra.AsyncClient of `petra_server`, in the same namespace as `petra_client`.

    It belongs to the event loop on which the test uses it, and is closed with that.
    """
    from petra import AsyncClient

    return AsyncClient(petra_server.address, namespace=petra_namespace)
