"""The server, both trees of the client, packages of migrations, and stores of either tree."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from petra import AsyncClient, Client
from petra.objects import AsyncObject
from petra.stores import ClusterStore, DatabaseStore, InstanceStore, Migrations, UserStore
from petra.sync.stores import DatabaseStore as BlockingDatabaseStore
from petra.sync.stores import Migrations as BlockingMigrations
from tests.support.layers import Awaited, Tree, client, namespace, pytest_pyfunc_call, runner, server, tree

__all__ = ["client", "namespace", "pytest_pyfunc_call", "runner", "server", "tree"]

# Writes a package with these files, and returns its name.
MakePackage = Callable[[Mapping[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePackage:
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(files: Mapping[str, str]) -> str:
        folder = tmp_path / f"package_{uuid4().hex}"
        folder.mkdir()
        for name, text in {"__init__.py": "", **files}.items():
            (folder / name).write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return folder.name

    return make


class Stores:
    """A DatabaseStore of either tree, whose methods are awaited."""

    def __init__(self, store: DatabaseStore | BlockingDatabaseStore) -> None:
        def awaited(part: object) -> Any:  # noqa: ANN401 - what it stands for is said below
            return part if isinstance(store, DatabaseStore) else Awaited(part)

        self.users: UserStore = awaited(store.users)
        self.clusters: ClusterStore = awaited(store.clusters)
        self.instances: InstanceStore = awaited(store.instances)
        self.initialize: Callable[[], Awaitable[list[str]]] = awaited(store).initialize


@pytest.fixture
def database(tree: Tree) -> AsyncObject:
    """The handle of an object that is empty, of either tree."""
    return cast("AsyncObject", tree.client.object("app"))


@pytest.fixture
def look(client: AsyncClient) -> AsyncObject:
    """The same object, to look at what is stored."""
    return client.object("app")


@pytest.fixture
def stores(tree: Tree, runner: asyncio.Runner) -> Stores:
    """Stores whose tables are made."""
    if isinstance(tree.client, Client):
        return Stores(BlockingDatabaseStore.open(tree.client.object("app")))
    return Stores(runner.run(DatabaseStore.open(tree.client.object("app"))))


@pytest.fixture
def migrations(tree: Tree) -> Callable[..., Migrations]:
    """Makes Migrations of either tree."""

    def make(*args: Any, **options: Any) -> Migrations:  # noqa: ANN401
        if tree.blocking:
            return cast("Migrations", Awaited(BlockingMigrations(*args, **options)))
        return Migrations(*args, **options)

    return make
