from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from uuid import uuid4

import pytest

from petra.testing import TestServer

Example = Callable[[str], ModuleType]


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_two_processes_of_an_application_have_one_limit(example: Example, server: TestServer, strategy: str) -> None:
    module, namespace = example("integrations-flask/app.py"), uuid4().hex
    clients = [module.create_app(server.address, namespace, strategy=strategy).test_client() for _ in range(2)]
    answers = [clients[number % 2].get("/quote") for number in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == list("4321000")
    assert clients[0].get("/health").status_code == 200
