from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from petra_server.storage.engine import Engine
from tests.server.storage.places import ENGINE_OPTIONS, FAMILIES

OpenEngine = Callable[[], Engine]


@pytest.fixture
def open_engine(tmp_path: Path) -> Iterator[OpenEngine]:
    """Opens an engine of two families on one directory, having closed the one before."""
    engines: list[Engine] = []

    def open_again() -> Engine:
        create = not (tmp_path / "db").exists()
        if engines:
            engines.pop().close()
        engines.append(Engine.open(tmp_path / "db", FAMILIES, ENGINE_OPTIONS, create=create))
        return engines[0]

    yield open_again
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(open_engine: OpenEngine) -> Engine:
    return open_engine()
