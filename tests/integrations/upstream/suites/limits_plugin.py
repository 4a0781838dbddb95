"""Puts Petra's storages into the tests of `limits`, in the place of all others."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

from petra.integrations.limits import AsyncPetraStorage, PetraStorage

ADDRESS = os.environ["UPSTREAM_ADDRESS"]
STORAGES = ("uri, args, fixture", "uri, args, expected_instance, fixture")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is for all storages is one for Petra's."""
    in_coroutines = ".aio." in f".{metafunc.module.__name__}."
    kind = AsyncPetraStorage if in_coroutines else PetraStorage
    scheme = "async+petra" if in_coroutines else "petra"
    given = metafunc.parametrize

    def parametrize(names: object, values: object, *more: object, **options: object) -> None:
        if names in STORAGES:
            uri = f"{scheme}://{ADDRESS}/?namespace={uuid4().hex}"
            row: tuple[object, ...] = (uri, {}, None) if names == STORAGES[0] else (uri, {}, kind, None)
            values = [pytest.param(*row, id="petra")]
        given(names, values, *more, **options)  # type: ignore[arg-type]

    metafunc.parametrize = parametrize  # type: ignore[method-assign, assignment]


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    """Each test begins with an empty storage, also when it is run again."""
    uri = request.getfixturevalue("uri") if "uri" in request.fixturenames else ""
    if "petra://" in uri:
        storage = PetraStorage(uri)
        storage.reset()
        storage.close()
