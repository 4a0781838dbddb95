"""Puts Petra's store into the tests of starsessions, in the place of the one in memory."""

from __future__ import annotations

import asyncio
import os
from uuid import uuid4

import pytest
import starsessions
import starsessions.stores
from starsessions.stores.base import SessionStore

from petra.integrations.starsessions import PetraStore


class EachLoop(SessionStore):
    """Petra's stores of one place: tests share theirs with an application in another event loop."""

    def __init__(self) -> None:
        self._location = f"petra://{os.environ['UPSTREAM_ADDRESS']}/?namespace={uuid4().hex}"
        self._stores: dict[asyncio.AbstractEventLoop, PetraStore] = {}

    async def read(self, session_id: str, lifetime: int) -> bytes:
        return await self._here().read(session_id, lifetime)

    async def write(self, session_id: str, data: bytes, lifetime: int, ttl: int) -> str:
        return await self._here().write(session_id, data, lifetime, ttl)

    async def remove(self, session_id: str) -> None:
        await self._here().remove(session_id)

    def _here(self) -> PetraStore:
        return self._stores.setdefault(asyncio.get_running_loop(), PetraStore(self._location))


# Before any test is imported.
starsessions.InMemoryStore = EachLoop  # type: ignore[assignment, misc]
starsessions.stores.InMemoryStore = EachLoop  # type: ignore[assignment, misc]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in ("redis", "cookie"):
            if item.path.name == f"test_{name}.py":
                item.add_marker(pytest.mark.skip(reason=f"a test of the {name} store alone"))
