"""A server with HTTP for all tests of a session, and a client in a namespace that only one test uses."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.server.http.api import Api
from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("server") / "data"
    with ServerProcess(data, "--http", "127.0.0.1:0", "--actors", "8", "--http-timeout-ms", "60000") as server:
        yield server


@pytest.fixture(scope="session")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{server.start_line['http']}", trust_env=False) as client:
        yield client


@pytest.fixture
def api(server: ServerProcess, http: httpx.Client) -> Api:
    return Api(http, server.address, uuid4().hex)
