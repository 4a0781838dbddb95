"""Gives the tests that Litestar has for all stores Petra's store, and a clock that moves the server's as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol

import pytest

from petra.integrations.litestar import PetraStore
from petra.testing import TestServer

# Installed for this run alone.
time_machine: Any = import_module("time_machine")


class Shifting(Protocol):
    def shift(self, delta: float | timedelta) -> None: ...


class Traveller:
    """Moves the time of this process, and that of the server."""

    def __init__(self, travelled: Shifting, server: TestServer) -> None:
        self._travelled = travelled
        self._server = server

    def shift(self, seconds: float | timedelta) -> None:
        self._travelled.shift(seconds)
        self._server.clock.advance(seconds)


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    with TestServer() as server:
        yield server


@pytest.fixture
def frozen_datetime(server: TestServer) -> Iterator[Traveller]:
    with time_machine.travel(server.clock.now, tick=False) as travelled:
        yield Traveller(travelled, server)


@pytest.fixture
async def store(server: TestServer) -> AsyncIterator[PetraStore]:
    store = PetraStore(server.address)
    async with store:
        await store.delete_all()
        yield store


@pytest.fixture
def namespaced_store(store: PetraStore) -> PetraStore:
    return store


def _other(name: str) -> None:
    """A fixture of a store that is not Petra's: its tests are skipped."""

    @pytest.fixture(name=name)
    def skipped() -> None:
        pytest.skip(f"a test of {name.replace('_', ' ')} alone")

    globals()[name] = skipped


for _name in (
    *("redis_store", "redis_client", "redis_service", "valkey_store", "valkey_client", "valkey_service"),
    *("memory_store", "file_store", "file_store_create_directories", "file_store_create_directories_flag_false"),
):
    _other(_name)
