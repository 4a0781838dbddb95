"""A FastAPI application with sessions: handlers that are coroutines, and such that run in threads."""

from __future__ import annotations

import pytest

from petra import AsyncClient
from petra.sessions import Sessions
from petra.sessions.asgi import SessionMiddleware
from tests.support.asgi import Browser

pytest.importorskip("fastapi")

# FastAPI looks for the types of its handlers among the names of the module.
from fastapi import FastAPI, Request


async def test_somebody_signs_in_and_out(client: AsyncClient) -> None:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=Sessions(client), secret="correct horse battery staple")

    @app.get("/login/{user}")
    def login(request: Request, user: str) -> str:
        request.session.login(user)  # type: ignore[attr-defined]
        return user

    @app.get("/me")
    async def me(request: Request) -> str | None:
        user: str | None = request.session.user  # type: ignore[attr-defined]
        return user

    @app.get("/logout")
    async def logout(request: Request) -> None:
        request.session.clear()

    browser = Browser(app)
    assert (await browser.get("/me")).json() is None
    assert (await browser.get("/login/ann")).json() == "ann"
    assert (await browser.get("/me")).json() == "ann"
    await browser.get("/logout")
    assert (await browser.get("/me")).json() is None
    assert not browser.cookies
