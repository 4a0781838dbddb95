from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from uuid import uuid4

from fastapi.testclient import TestClient

from petra.testing import TestServer

ANN = {"name": "ann", "password": "correct horse battery staple"}


def test_a_visitor_signs_in_and_out(example: Callable[[str], ModuleType], server: TestServer) -> None:
    module, namespace = example("integrations-fastapi/app.py"), uuid4().hex
    with TestClient(module.create_app(server.address, namespace)) as one:
        assert one.get("/me").status_code == 401
        assert one.post("/login", json=ANN).json() == {"name": "ann"}
        assert one.get("/me").json() == {"name": "ann"}
        cookies = dict(one.cookies)
    # Another process of the application knows the session, and that it is over.
    with TestClient(module.create_app(server.address, namespace), cookies=cookies) as other:
        assert other.get("/me").json() == {"name": "ann"}
        assert other.post("/logout").status_code == 200
    with TestClient(module.create_app(server.address, namespace), cookies=cookies) as one:
        assert one.get("/me").status_code == 401


def test_guessing_ends_after_five_times(example: Callable[[str], ModuleType], server: TestServer) -> None:
    module, namespace = example("integrations-fastapi/app.py"), uuid4().hex
    wrong = ANN | {"password": "a guess"}
    codes = []
    for _ in range(2):
        with TestClient(module.create_app(server.address, namespace)) as client:
            codes += [client.post("/login", json=wrong).status_code for _ in range(3)]
    assert codes == [401] * 5 + [429]
