from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from petra.testing import TestServer
from tests.cli.runner import Cli


@pytest.fixture(scope="session")
def shared_server() -> Iterator[TestServer]:
    """One for the tests that keep to a namespace of their own. Its clock stands still."""
    with TestServer() as server:
        yield server


@pytest.fixture
def cli(shared_server: TestServer) -> Cli:
    """The command, in a namespace of its own."""
    return Cli(shared_server.address, uuid4().hex)


@pytest.fixture
def fresh_server() -> Iterator[TestServer]:
    """A server that holds nothing."""
    with TestServer() as server:
        yield server
