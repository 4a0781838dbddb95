"""Sessions for Starlette, FastAPI and other ASGI applications: `scope["session"]`, which they call request.session.

A request without a good cookie asks the server nothing, and one that changes nothing writes nothing. What was changed
is saved before the answer begins, name by name, so that two requests of one session do not overwrite each other; what
is changed while the body is sent is saved at its end. A session that somebody ended meanwhile is not revived; who
signs in in it gets one of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from petra.sessions.cookies import Cookie, SameSite, Signatures
from petra.sessions.mapping import RequestSession, SessionNotLoaded
from petra.sessions.records import Session
from petra.sessions.store import Sessions

__all__ = ["LoadedSession", "SessionMiddleware", "SessionNotLoaded"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# With these an answer begins.
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class SessionMiddleware:
    """Gives every HTTP request and websocket its session."""

    def __init__(
        self,
        app: Application,
        sessions: Sessions,
        secret: str | bytes | Sequence[str | bytes],
        *,
        cookie: str = "session",
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        same_site: SameSite = "lax",
        lazy: bool = False,
    ) -> None:
        """`secret` signs the cookie; of several, the first signs and the others are still accepted.

        The cookie is HttpOnly, Secure and SameSite=Lax unless said otherwise. With `lazy` nothing is read before the
        application awaits `request.session.load()`; otherwise a request with a good cookie has its session read before
        the application begins, as a plain mapping cannot wait. Raises InvalidArgument.
        """
        self._app = app
        self._sessions = sessions
        self._signatures = Signatures(secret)
        self._cookie = Cookie(cookie, path, domain, secure, same_site)
        self._lazy = lazy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = scope.get("headers", ())
        given = self._cookie.given(headers)
        session = LoadedSession(self._sessions, self._signatures.read(given), _device(headers), _address(scope))
        if not self._lazy:
            await session.load()
        scope["session"] = session

        async def sending(message: Message) -> None:
            if message["type"] in _STARTS:
                added = self._headers(session, given is not None, await session.save())
                session.answer_begins()
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, sending)
        # What was changed while the body was sent. A new session would need a cookie, for which it is too late.
        if session.stored is not None:
            await session.save()

    def _headers(self, session: LoadedSession, had_cookie: bool, new_id: str | None) -> list[tuple[bytes, bytes]]:
        headers = []
        if new_id is not None:
            seconds = int(self._sessions.absolute.total_seconds())
            headers.append(self._cookie.header(self._signatures.sign(new_id), max(1, seconds)))
        elif had_cookie and session.loaded and session.stored is None:
            headers.append(self._cookie.header("", 0))
        if session.used:
            headers.append((b"vary", b"cookie"))
        return headers


class LoadedSession(RequestSession):
    """The session of a request, with what fetches and saves it."""

    def __init__(self, sessions: Sessions, session_id: str | None, device: str, address: str) -> None:
        """Made by the middleware."""
        super().__init__(loaded=False)
        self._sessions = sessions
        self._id = session_id
        self._device = device
        self._address = address

    async def load(self) -> None:
        """Reads the session, if there is one to read. A second time it does nothing."""
        if not self.loaded:
            self.take(None if self._id is None else await self._sessions.get(self._id))

    async def save(self) -> str | None:
        """Does all that the request wants done. Returns the id for the cookie when it is a new one."""
        if not self.loaded:
            return None
        stored, changes = self.stored, self.changes()
        if self.ending and stored is not None:
            await self._sessions.delete(stored.id)
            stored = None
        if stored is None:
            saved = await self._begun()
        else:
            saved = await self._continued(stored, *changes)
        if saved is not self.stored:
            self.take(saved)
        return saved.id if saved is not None and (stored is None or saved.id != stored.id) else None

    async def _begun(self) -> Session | None:
        """A new session, if there is anything to put in one."""
        if not self.data and self.new_user is None:
            return None
        return await self._sessions.create(self.new_user, self.data, device=self._device, address=self._address)

    async def _continued(self, stored: Session, changed: dict[str, Any], removed: list[str]) -> Session | None:
        """The stored session with the changes; None when somebody has ended it."""
        session: Session | None = stored
        if changed or removed:
            session = await self._sessions.update(stored.id, changed, remove=removed)
        if session is not None and self.rotating:
            session = await self._sessions.rotate(session.id, user=self.new_user)
        if session is None and self.new_user is not None:
            # Such as when somebody signs in twice at once. Nothing that was in the ended one comes along.
            session = await self._sessions.create(self.new_user, changed, device=self._device, address=self._address)
        return session


def _device(headers: Sequence[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"user-agent"), "")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
