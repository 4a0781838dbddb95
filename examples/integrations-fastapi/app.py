"""A FastAPI application with sessions on a Petra server, and few attempts to sign in.

pip install "petra[starsessions,limits]" fastapi slowapi uvicorn; then PETRA_ADDRESS=localhost:7475 uvicorn app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import compare_digest

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from starsessions import SessionAutoloadMiddleware, SessionMiddleware, regenerate_session_id

import petra.integrations.limits  # noqa: F401 - makes petra:// known to limits
from petra.integrations.starsessions import PetraStore

# Of this example. petra.auth keeps those of real people.
PASSWORDS = {"ann": "correct horse battery staple"}


class Credentials(BaseModel):
    """What somebody signs in with."""

    name: str
    password: str


def create_app(address: str = "", namespace: str = "shop") -> FastAPI:
    """An application with a session for each visitor."""
    address = address or os.environ.get("PETRA_ADDRESS", "localhost:7475")
    store = PetraStore(f"petra://{address}/?namespace={namespace}")
    limiter = Limiter(key_func=get_remote_address, storage_uri=f"petra://{address}/?namespace={namespace}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with store:
            yield

    app = FastAPI(lifespan=lifespan)
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type] # slowapi's
    app.add_middleware(SessionAutoloadMiddleware)
    # Over HTTPS leave cookie_https_only as it is.
    app.add_middleware(SessionMiddleware, store=store, lifetime=14 * 24 * 3600, rolling=True, cookie_https_only=False)

    @app.post("/login")
    @limiter.limit("5/minute")
    async def login(request: Request, credentials: Credentials) -> dict[str, str]:
        if not compare_digest(PASSWORDS.get(credentials.name, "").encode(), credentials.password.encode()):
            raise HTTPException(401, "Wrong name or password")
        # So that nobody who knew the session before is signed in as well.
        regenerate_session_id(request)
        request.session["name"] = credentials.name
        return {"name": credentials.name}

    @app.get("/me")
    async def me(request: Request) -> dict[str, str]:
        if "name" not in request.session:
            raise HTTPException(401, "Sign in first")
        return {"name": request.session["name"]}

    @app.post("/logout")
    async def logout(request: Request) -> dict[str, bool]:
        request.session.clear()
        return {"ok": True}

    return app


app = create_app()
