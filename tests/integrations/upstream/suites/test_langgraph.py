"""The conformance suite of LangGraph for checkpointers: each of its tests, with a saver of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from uuid import uuid4

import pytest
from langgraph.checkpoint.conformance.capabilities import Capability

from petra.integrations.langgraph import PetraSaver

Test = Callable[[PetraSaver], Awaitable[None]]


def of_capability(capability: Capability) -> list[Test]:
    module = import_module(f"langgraph.checkpoint.conformance.spec.test_{capability.value}")
    tests: list[Test] = getattr(module, f"ALL_{capability.value.upper()}_TESTS")
    return tests


TESTS = [test for each in Capability for test in of_capability(each)]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_conformance(test: Test) -> None:
    async def run() -> None:
        async with PetraSaver(f"petra://{os.environ['UPSTREAM_ADDRESS']}/?namespace={uuid4().hex}") as saver:
            await test(saver)

    asyncio.run(run())
