"""The middleware, as an ASGI server meets it: what passes, what does not, and what every answer says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from petra import AsyncClient
from petra.ratelimit import RateLimit, RateLimiter
from petra.ratelimit.asgi import RateLimitMiddleware
from petra.testing import TestServer
from tests.support.asgi import Browser, answer

Scope = MutableMapping[str, Any]


class Application:
    """Says hello, and counts who comes through to it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        self.seen.append(scope["type"])
        if scope["type"] == "http":
            await answer(send, "hello")
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept", "headers": [(b"x-own", b"1")]})


@pytest.fixture
def application() -> Application:
    return Application()


async def test_what_is_allowed_is_told_what_is_left(client: AsyncClient, application: Application) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=2, period=60, name="pages")))
    first = await browser.get()
    assert (first.status, first.json()) == (200, "hello")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["ratelimit-policy"] == '"pages";q=2;w=60'
    assert first.headers["ratelimit"] == '"pages";r=1;t=30'
    assert "retry-after" not in first.headers


async def test_what_is_denied_does_not_reach_the_application(
    client: AsyncClient, application: Application, server: TestServer
) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=1, period=60)))
    await browser.get()
    server.clock.advance(0.5)
    denied = await browser.get()
    assert denied.status == 429
    # Whole seconds, rounded up: who comes then does not come too early.
    assert denied.headers["retry-after"] == "60"
    assert denied.headers["ratelimit"] == '"default";r=0;t=60'
    assert denied.headers["content-type"] == "application/json"
    assert denied.headers["content-length"] == str(len(denied.body))
    error = {"reason": "RATE_LIMITED", "message": "Too many requests. Try again later.", "retryAfterMs": 59_500}
    assert denied.json() == {"success": False, "error": error}
    assert application.seen == ["http"]
    server.clock.advance(59.5)
    assert (await browser.get()).status == 200


async def test_several_limits_have_a_policy_each(client: AsyncClient, application: Application) -> None:
    limiter = RateLimiter(client, limits=[(2, 60), RateLimit(5, 3_600, "gcra", burst=1)], name="pages")
    browser = Browser(RateLimitMiddleware(application, limiter))
    await browser.get()
    denied = await browser.get()
    assert denied.status == 429
    assert denied.headers["ratelimit-policy"] == '"pages-60";q=2;w=60, "pages-3600";q=5;w=3600'
    assert denied.headers["ratelimit"] == '"pages-60";r=1;t=30, "pages-3600";r=0;t=720'
    assert denied.headers["retry-after"] == "720"


async def test_policies_of_one_period_have_names_of_their_own(client: AsyncClient, application: Application) -> None:
    limiter = RateLimiter(client, limits=[(2, 60), RateLimit(5, 60, "fixed_window"), (9, 3_600)], name="pages")
    answered = await Browser(RateLimitMiddleware(application, limiter)).get()
    for field in ("ratelimit-policy", "ratelimit"):
        names = [policy.partition(";")[0] for policy in answered.headers[field].split(", ")]
        assert names == ['"pages-60-1"', '"pages-60-2"', '"pages-3600-3"']


async def test_addresses_are_told_apart_unless_there_is_a_key(client: AsyncClient, application: Application) -> None:
    limiter = RateLimiter(client, limit=1, period=60)
    by_address = RateLimitMiddleware(application, limiter)
    assert (await Browser(by_address, address="198.51.100.1").get()).status == 200
    assert (await Browser(by_address, address="198.51.100.2").get()).status == 200
    assert (await Browser(by_address, address="198.51.100.1").get()).status == 429

    # Of IPv6, whoever has one address has all of its network.
    assert (await Browser(by_address, address="2001:db8::1").get()).status == 200
    assert (await Browser(by_address, address="2001:db8::2").get()).status == 429
    assert (await Browser(by_address, address="2001:db8:0:1::1").get()).status == 200

    async def key(scope: Scope) -> str | None:
        return None if scope["path"] == "/health" else "everybody"

    by_key = RateLimitMiddleware(application, limiter, key=key)
    assert [(await Browser(by_key).get(path)).status for path in ("/a", "/b", "/health")] == [200, 429, 200]


async def test_who_has_no_address_is_not_limited(client: AsyncClient, application: Application) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=1, period=60)), address=None)
    assert [(await browser.get()).status for _ in range(3)] == [200] * 3


async def test_a_cost(client: AsyncClient, application: Application) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=5, period=60), cost=3))
    assert [(await browser.get()).status for _ in range(2)] == [200, 429]


async def test_websockets_are_counted_when_they_open(client: AsyncClient, application: Application) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=1, period=60)))
    accepted = await browser.open_websocket()
    assert accepted.messages[0]["type"] == "websocket.accept"
    assert accepted.headers["x-own"] == "1"
    assert accepted.headers["ratelimit"] == '"default";r=0;t=60'
    closed = await browser.open_websocket()
    assert closed.messages == [{"type": "websocket.close", "code": 1008, "reason": "rate limited"}]
    refused = await browser.open_websocket(extensions={"websocket.http.response": {}})
    assert [message["type"] for message in refused.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert refused.status == 429
    assert application.seen == ["websocket"]


async def test_a_lifespan_passes(client: AsyncClient, application: Application) -> None:
    limited = RateLimitMiddleware(application, RateLimiter(client, limit=1, period=60))

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - it is never called
        raise AssertionError

    await limited({"type": "lifespan"}, nothing, nothing)
    await limited({"type": "lifespan"}, nothing, nothing)
    assert application.seen == ["lifespan", "lifespan"]


@pytest.mark.parametrize(("name", "written"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("tag-ключ", "tag-????")])
async def test_names_are_strings_of_structured_fields(
    client: AsyncClient, application: Application, name: str, written: str
) -> None:
    browser = Browser(RateLimitMiddleware(application, RateLimiter(client, limit=1, period=60, name=name)))
    policy = (await browser.get()).headers["ratelimit-policy"]
    assert re.fullmatch(r'"(.*)";q=1;w=60', policy)[1] == written  # type: ignore[index]


async def test_within_starlette(client: AsyncClient) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    limiter = RateLimiter(client, limit=1, period=60)
    app = Starlette(routes=[Route("/", hello)], middleware=[Middleware(RateLimitMiddleware, limiter=limiter)])
    browser = Browser(app)
    assert [(await browser.get()).status for _ in range(2)] == [200, 429]
