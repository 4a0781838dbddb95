"""Tests of adapters, each on a server of all of them, in a namespace of its own. What is not installed is skipped."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from petra.testing import TestServer

# The suites of others, which `make integrations` runs.
collect_ignore = ["upstream"]

EXAMPLES = Path(__file__).parents[2] / "examples"

# What the modules of tests need beside Petra.
NEEDS = {
    "test_django.py": ("django",),
    "test_dogpile.py": ("dogpile.cache",),
    "test_fastapi.py": ("fastapi", "slowapi", "starsessions", "httpx"),
    "test_flask.py": ("flask_limiter",),
    "test_key_value.py": ("key_value",),
    "test_langgraph.py": ("langgraph.graph", "langgraph.checkpoint.conformance"),
    "test_langgraph_killed.py": ("langgraph.graph",),
    "test_langgraph_store.py": ("langgraph.store",),
    "test_limits.py": ("limits",),
    "test_limits_windows.py": ("limits",),
    "test_litestar.py": ("litestar", "httpx"),
    "test_starsessions.py": ("starsessions",),
}


class Absent(pytest.Module):
    """A module of tests whose library is not installed."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        missing = ", ".join(name for name in NEEDS[self.path.name] if not is_installed(name))
        pytest.skip(f"{missing} not installed: pip install --group integrations")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    needs = NEEDS.get(module_path.name, ())
    return None if all(map(is_installed, needs)) else Absent.from_parent(parent, path=module_path)


def is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """One for all tests; its clock only goes on."""
    with TestServer() as server:
        yield server


@pytest.fixture
def location(server: TestServer) -> str:
    """A namespace that only this test uses, as the adapters take it."""
    return f"petra://{server.address}/?namespace={uuid4().hex}"


@pytest.fixture
def example() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a program of the examples by its path."""
    names: list[str] = []

    def load(path: str) -> ModuleType:
        name = f"example_{uuid4().hex}"
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        del sys.modules[name]
