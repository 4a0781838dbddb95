from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.rpc.calls import Connection
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with default settings for all tests of a module."""
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def connection(server: ServerProcess) -> Iterator[Connection]:
    with Connection(server.address) as connection:
        yield connection
