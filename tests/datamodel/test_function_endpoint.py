"""The endpoint that initializes: what it answers to whom, by itself and mounted, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from petra import AsyncClient
from petra.datamodel import initialize, migration_plan
from petra.datamodel.asgi import API_KEY_HEADER, FunctionEndpoint
from petra.datamodel.define import read_definition
from petra.datastore import Datastore
from petra.errors import InvalidArgument
from tests.datamodel.models import PLAIN

KEY = {API_KEY_HEADER: "secret"}
INITIALIZE = {"action": "system.initialize"}


async def post(app: Any, path: str = "/api/function", **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
        return await browser.post(path, **options)


@pytest.fixture
def endpoint(datastore: Datastore) -> FunctionEndpoint:
    return FunctionEndpoint(datastore, [PLAIN], api_key="secret")


async def test_it_initializes_and_says_what_it_did(endpoint: FunctionEndpoint, datastore: Datastore) -> None:
    first = await post(endpoint, json=INITIALIZE, headers=KEY)
    assert first.status_code == 200
    assert first.json()["success"] is True
    data = first.json()["data"]
    assert data["tables_created"] == ["plain_pages"]
    assert set(data) == {
        "tables_created",
        "columns_added",
        "indexes_created",
        "seeds_run",
        "skipped",
        "duration_ms",
    }
    assert (await migration_plan(datastore, [PLAIN])).is_empty
    assert (await post(endpoint, json=INITIALIZE, headers=KEY)).json()["data"]["tables_created"] == []


@pytest.mark.parametrize("headers", [{}, {API_KEY_HEADER: ""}, {API_KEY_HEADER: "Secret"}, {"Authorization": "secret"}])
async def test_without_the_key_nothing_happens(
    endpoint: FunctionEndpoint, datastore: Datastore, headers: Mapping[str, str]
) -> None:
    answer = await post(endpoint, json=INITIALIZE, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "success": False,
        "error": {"reason": "UNAUTHENTICATED", "message": "The header X-API-Key has no valid key."},
    }
    assert (await migration_plan(datastore, [PLAIN])).steps


def test_an_empty_key_is_no_key(datastore: Datastore) -> None:
    with pytest.raises(InvalidArgument):
        FunctionEndpoint(datastore, [PLAIN], api_key="")


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "INVALID_REQUEST"),
        (b"{", 400, "INVALID_REQUEST"),
        (b"[]", 400, "INVALID_REQUEST"),
        (b"{}", 400, "INVALID_REQUEST"),
        (b"[" * 10_000, 400, "INVALID_REQUEST"),
        (b'{"action": "system.drop"}', 400, "UNKNOWN_ACTION"),
        (b'{"action": ["system.initialize"]}', 400, "UNKNOWN_ACTION"),
        (b" " * 100_000, 413, "REQUEST_TOO_LARGE"),
    ],
)
async def test_what_is_no_such_request_is_refused(
    endpoint: FunctionEndpoint, content: bytes, status: int, reason: str
) -> None:
    answer = await post(endpoint, content=content, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (status, reason)


async def test_other_paths_and_methods(endpoint: FunctionEndpoint) -> None:
    assert (await post(endpoint, "/elsewhere", json=INITIALIZE, headers=KEY)).status_code == 404
    async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://test") as browser:
        answer = await browser.get("/api/function", headers=KEY)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("prefix", "path"), [("/", "/api/function"), ("/admin", "/admin/api/function"), ("/api/function", "/api/function/")]
)
async def test_it_can_be_mounted(endpoint: FunctionEndpoint, prefix: str, path: str) -> None:
    app = Starlette(routes=[Mount(prefix, app=endpoint)])
    answer = await post(app, path, json=INITIALIZE, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert (await post(app, "/admin/nowhere", json=INITIALIZE, headers=KEY)).status_code == 404


async def test_a_refused_migration_comes_with_its_recipe(endpoint: FunctionEndpoint, datastore: Datastore) -> None:
    await initialize(datastore, [PLAIN])
    older = read_definition({"name": "PLAIN_PAGE", "fields": {"slug": "int"}, "d1": {"table": "plain_pages"}})
    answer = await post(FunctionEndpoint(datastore, [older], api_key="secret"), json=INITIALIZE, headers=KEY)
    error = answer.json()["error"]
    assert (answer.status_code, error["reason"]) == (409, "MIGRATION_REFUSED")
    assert "plain_pages.slug" in {refusal["name"] for refusal in error["refusals"]}
    assert all(refusal["recipe"] for refusal in error["refusals"])


async def test_a_missing_variable_is_named_in_the_answer(datastore: Datastore) -> None:
    seeded = read_definition(
        {"name": "ITEM", "fields": {"title": "string"}, "seeds": {"data": [{"title": "${NOWHERE}"}]}}
    )
    endpoint = FunctionEndpoint(datastore, [seeded], api_key="secret", environment={})
    answer = await post(endpoint, json=INITIALIZE, headers=KEY)
    assert answer.status_code == 500
    assert "NOWHERE" in answer.json()["error"]["message"]


async def test_a_server_that_is_not_there_is_no_fault_of_the_request(client: AsyncClient) -> None:
    async with AsyncClient("127.0.0.1:1", connect_timeout=0.1) as nobody:
        endpoint = FunctionEndpoint(Datastore(nobody), [PLAIN], api_key="secret", timeout=0.3)
        answer = await post(endpoint, json=INITIALIZE, headers=KEY)
    assert (answer.status_code, answer.json()["success"]) == (503, False)


async def test_several_requests_at_once_do_it_once(endpoint: FunctionEndpoint) -> None:
    answers = await asyncio.gather(*(post(endpoint, json=INITIALIZE, headers=KEY) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert sum(answer.json()["data"]["tables_created"] == ["plain_pages"] for answer in answers) == 1


async def test_it_runs_by_itself(endpoint: FunctionEndpoint) -> None:
    sent: list[Any] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        return next(messages)

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    await endpoint({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    await endpoint({"type": "websocket"}, receive, send)
    assert sent[-1]["type"] == "websocket.close"


async def test_a_body_in_pieces_and_one_that_ends(endpoint: FunctionEndpoint) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in json.dumps(INITIALIZE).encode():
            yield bytes([byte])

    assert (await post(endpoint, content=pieces(), headers=KEY)).status_code == 200
    sent: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    headers = [(API_KEY_HEADER.lower().encode(), b"secret")]
    await endpoint({"type": "http", "method": "POST", "path": "/api/function", "headers": headers}, receive, send)
    assert sent[0]["status"] == 400
