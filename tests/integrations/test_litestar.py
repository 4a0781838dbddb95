"""The store of Litestar on a real server, and in an application. Its own tests run in `make integrations`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar, Request, get, post
from litestar.config.response_cache import ResponseCacheConfig
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.stores.registry import StoreRegistry
from litestar.testing import TestClient

from petra import AsyncClient
from petra.errors import ClientClosed
from petra.integrations.litestar import PetraStore
from petra.testing import TestServer


@pytest.mark.parametrize("renew_for", [60, timedelta(minutes=1)])
async def test_a_value_lives_as_long_as_it_is_renewed(
    location: str, server: TestServer, renew_for: int | timedelta
) -> None:
    store = PetraStore(location)
    async with store:
        await store.set("key", "value", expires_in=60)
        await store.set("eternal", b"value")
        server.clock.advance(59)
        assert await store.get("key", renew_for=renew_for) == b"value"
        assert await store.get("eternal", renew_for=renew_for) == b"value"
        server.clock.advance(59)
        assert await store.exists("key")
        server.clock.advance(1)
        assert not await store.exists("key")
        assert await store.get("key") is None
        assert await store.expires_in("eternal") == -1
        assert await store.expires_in("key") is None


async def test_it_says_in_how_many_seconds_a_value_expires(location: str) -> None:
    store = PetraStore(location)
    async with store:
        # The server's clock may be minutes before this process's by now, as other tests move it.
        await store.set("key", b"", expires_in=timedelta(days=1))
        seconds = await store.expires_in("key")
        assert seconds is not None
        assert seconds > 12 * 3_600


async def test_an_inner_store_is_removed_with_the_outer_one_and_not_the_other_way(location: str) -> None:
    outer = PetraStore(location)
    async with outer:
        inner, sibling = outer.with_namespace("a"), outer.with_namespace("a/b")
        innermost = inner.with_namespace("b")
        stores = (outer, inner, sibling, innermost)
        for number, store in enumerate(stores):
            await store.set("a/:key", str(number))
        assert [await store.get("a/:key") for store in stores] == [b"0", b"1", b"2", b"3"]
        await inner.delete_all()
        assert [await store.get("a/:key") for store in stores] == [b"0", None, b"2", None]
        await outer.delete_all()
        assert [await store.exists("a/:key") for store in stores] == [False] * 4


async def test_the_connection_ends_with_the_store_that_it_was_made_for(location: str, server: TestServer) -> None:
    own = PetraStore(location)
    async with own:
        async with own.with_namespace("inner") as _:
            pass
        await own.set("key", b"")
    with pytest.raises(ClientClosed):
        await own.get("key")
    async with AsyncClient(server.address) as client:
        async with PetraStore(client=client):
            pass
        await client.info()


def test_an_application_keeps_sessions_and_answers(location: str) -> None:
    worked: list[str] = []

    @get("/slow", cache=60, sync_to_thread=False)
    def slow() -> str:
        worked.append("slow")
        return f"answer {len(worked)}"

    @post("/name", sync_to_thread=False)
    def set_name(request: Request[Any, Any, Any]) -> None:
        request.set_session({"name": request.query_params["name"]})

    @get("/name", sync_to_thread=False)
    def get_name(request: Request[Any, Any, Any]) -> str:
        return str(request.session.get("name"))

    def application() -> Litestar:
        root = PetraStore(location)
        return Litestar(
            [slow, set_name, get_name],
            middleware=[ServerSideSessionConfig(store="sessions").middleware],
            response_cache_config=ResponseCacheConfig(store="answers"),
            stores=StoreRegistry(default_factory=root.with_namespace),
        )

    with TestClient(application()) as one:
        one.post("/name", params={"name": "ann"}).raise_for_status()
        assert [one.get("/slow").text for _ in range(3)] == ["answer 1"] * 3
        cookies = dict(one.cookies)
    # Another process of the same application, for the same browser.
    with TestClient(application(), cookies=cookies) as other:
        assert other.get("/name").text == "ann"
        assert other.get("/slow").text == "answer 1"
