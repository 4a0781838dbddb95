"""Rate limits for any ASGI application: Starlette, FastAPI, Litestar, Quart.

A request that is not allowed is answered with 429 and does not reach the application; every answer says what is left.
When the limit cannot be checked, the error of the client goes on to the server: nothing passes unchecked.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from petra._waiting import called
from petra.ratelimit.addresses import network_of
from petra.ratelimit.headers import Headers, headers_of
from petra.ratelimit.limiter import RateLimiter
from petra.values import Throttled

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# With these an answer begins.
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
# Of RFC 6455: the server ends the connection because of its policy.
_POLICY_VIOLATION = 1008


def client_address(scope: Scope) -> str | None:
    """Where a request comes from, as the ASGI server has it; None where it has no address.

    That is an IPv4 address, or the network of 64 bits of an IPv6 one: all of that is at one client's disposal.
    """
    client = scope.get("client")
    return network_of(client[0]) if client else None


class RateLimitMiddleware:
    """Counts HTTP requests, and the openings of websockets, against a limiter."""

    def __init__(
        self,
        app: Application,
        limiter: RateLimiter,
        *,
        key: Callable[[Scope], str | Awaitable[str | None] | None] = client_address,
        cost: int = 1,
    ) -> None:
        """`key` makes the limiter's key of an ASGI scope; what it makes None of is not limited. It may be awaitable.

        Behind a proxy, tell the ASGI server to take the address from the proxy's fields, or give a `key`.
        """
        self._app = app
        self._limiter = limiter
        self._key = key
        self._cost = cost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection."""
        key = await called(self._key, scope) if scope["type"] in {"http", "websocket"} else None
        if key is None:
            await self._app(scope, receive, send)
            return
        verdict = await self._limiter.check(key, self._cost)
        headers = headers_of(self._limiter.name, self._limiter.limits, verdict)
        if verdict:
            await self._app(scope, receive, _with_headers(send, headers))
        elif scope["type"] == "http":
            await _refuse(send, headers, verdict, "http.response")
        else:
            await _refuse_websocket(scope, receive, send, headers, verdict)


def _with_headers(send: Send, headers: Headers) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in _STARTS:
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return sending


async def _refuse(send: Send, headers: Headers, verdict: Throttled, kind: str) -> None:
    error = {
        "reason": "RATE_LIMITED",
        "message": "Too many requests. Try again later.",
        "retryAfterMs": round(verdict.retry_after * 1_000),
    }
    body = json.dumps({"success": False, "error": error}).encode()
    about = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": 429, "headers": [*about, *headers]})
    await send({"type": f"{kind}.body", "body": body})


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send, headers: Headers, verdict: Throttled) -> None:
    """With a proper answer where the ASGI server can send one before a websocket is open; it makes 403 of the other."""
    await receive()
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _refuse(send, headers, verdict, "websocket.http.response")
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "rate limited"})
