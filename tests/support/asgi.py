"""An ASGI server in the test itself: it makes requests of an application, and keeps what was sent."""

# ruff: noqa: ANN401 - messages of ASGI

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass
class Answer:
    """What an application has answered."""

    messages: list[Message]

    @property
    def status(self) -> int:
        status = self.messages[0]["status"]
        assert isinstance(status, int)
        return status

    @property
    def headers(self) -> dict[str, str]:
        """The fields by their names; of several with one name, the last."""
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """It makes requests one after the other, and keeps cookies between them."""

    app: Application
    address: str | None = "203.0.113.7"
    cookies: dict[str, str] = field(default_factory=dict)
    user_agent: str = "Test/1.0"

    async def get(self, path: str = "/", **scope: Any) -> Answer:
        return await self.ask({"type": "http", "method": "GET", "scheme": "https", "http_version": "1.1"}, path, scope)

    async def open_websocket(self, path: str = "/", **scope: Any) -> Answer:
        return await self.ask({"type": "websocket", "scheme": "wss", "subprotocols": []}, path, scope)

    async def ask(self, kind: Mapping[str, Any], path: str, scope: Mapping[str, Any]) -> Answer:
        sent: list[Message] = []
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields = {"host": "test", "user-agent": self.user_agent, **({"cookie": cookie} if cookie else {})}
        first = "websocket.connect" if kind["type"] == "websocket" else "http.request"
        coming: list[Message] = [{"type": first, "body": b"", "more_body": False}]

        async def receive() -> Message:
            return coming.pop(0) if coming else {"type": kind["type"] + ".disconnect", "code": 1005}

        async def send(message: Message) -> None:
            sent.append(message)

        whole = {
            **kind,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
            "client": None if self.address is None else (self.address, 40_000),
            "server": ("test", 443),
            **scope,
        }
        await self.app(whole, receive, send)
        answer = Answer(sent)
        self._keep_cookies(sent[0])
        return answer

    def _keep_cookies(self, start: Message) -> None:
        for name, value in start.get("headers", ()):
            if name == b"set-cookie":
                for morsel in SimpleCookie(value.decode()).values():
                    self.cookies[morsel.key] = morsel.value
                    if morsel["max-age"] == "0":
                        del self.cookies[morsel.key]


async def answer(send: Callable[[Message], Awaitable[None]], value: object, *, status: int = 200) -> None:
    """Sends a value as JSON."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})
