"""The tests that py-key-value-aio has for every store, for Petra's."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest

from petra.integrations.key_value import PetraStore

# Theirs, in the folder from which they run; ours has the same name.
base: Any = import_module("tests.stores.base")


class TestPetraStore(base.ContextManagerStoreTestMixin, base.BaseStoreTests):  # type: ignore[misc] # known at run time
    @pytest.fixture
    async def store(self) -> AsyncIterator[PetraStore]:
        async with PetraStore(f"petra://{os.environ['UPSTREAM_ADDRESS']}/?namespace={uuid4().hex}") as store:
            yield store

    @pytest.mark.skip(reason="it is for stores that keep a number of entries and forget others: Petra forgets none")
    async def test_not_unbounded(self, store: PetraStore) -> None: ...
