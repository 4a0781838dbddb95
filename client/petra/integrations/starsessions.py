"""Sessions of Starlette and FastAPI, by way of the library starsessions. Needs `pip install "petra[starsessions]"`.

Starlette itself keeps sessions in cookies. petra.sessions has more than this: rotation, a user's sessions, revocation.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from types import TracebackType
from typing import Final, Self

from starsessions.stores.base import SessionStore

from petra import AsyncClient
from petra.integrations._location import Location, parse_location
from petra.values import Seconds

__all__ = ["PetraStore"]

_USUAL: Final = Location("starsessions")

# Of a session whose cookie lasts as long as the browser: nobody tells the server when that was closed.
_BROWSER_SESSION: Final = timedelta(days=30)


class PetraStore(SessionStore):
    """Keeps sessions on a Petra server: `SessionMiddleware(app, store=PetraStore("host:7475"), ...)`.

    Entries expire with their sessions. Their keys are the SHA-256 of the session ids, so that who reads the storage
    cannot take over a session. A store belongs to one running event loop at a time. Its methods raise PetraError.
    """

    def __init__(
        self, location: str = "", *, client: AsyncClient | None = None, browser_session: Seconds = _BROWSER_SESSION
    ) -> None:
        """Makes a store for `host:port`, or `petra://host:port/?namespace=...&timeout=...&durability=...&tls=...`.

        Or for a client of yours, which is not closed with the store. `browser_session` is how long a session is kept
        that ends with the browser, after it was last written. Raises InvalidArgument.
        """
        self._client = parse_location(location, _USUAL).async_client() if client is None else client
        self._owns_client = client is None
        self._browser_session = browser_session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connection, unless the client is yours."""
        if self._owns_client:
            await self._client.close()

    async def read(self, session_id: str, lifetime: int) -> bytes:
        """What is in a session; nothing when there is none."""
        data: bytes = await self._client.get(_key(session_id), b"")
        return data

    async def write(self, session_id: str, data: bytes, lifetime: int, ttl: int) -> str:
        """Stores a session for `ttl` seconds, and returns its id. A `lifetime` of 0 is that of the browser."""
        seconds = self._browser_session if lifetime == 0 else max(1, ttl)
        await self._client.set(_key(session_id), data, ttl=seconds)
        return session_id

    async def remove(self, session_id: str) -> None:
        """Removes a session, if there is one."""
        await self._client.delete(_key(session_id))


def _key(session_id: str) -> str:
    return sha256(session_id.encode(errors="backslashreplace")).hexdigest()
