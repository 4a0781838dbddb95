"""The session middleware, as an ASGI server meets it, and within Starlette and FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any

import pytest

from petra import AsyncClient
from petra.errors import InvalidArgument
from petra.sessions import Session, Sessions
from petra.sessions.asgi import LoadedSession, SessionMiddleware, SessionNotLoaded
from petra.testing import TestServer
from tests.support.asgi import Answer, Browser, answer

Scope = MutableMapping[str, Any]
Handler = Callable[[LoadedSession], object]

SECRET = "correct horse battery staple"


class Application:
    """Does with the session what the test says, and answers with what that returns."""

    def __init__(self) -> None:
        self.handler: Handler = lambda session: None
        self.after: Callable[[LoadedSession], None] | None = None

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            assert "session" not in scope
            return
        session = scope["session"]
        made = self.handler(session)
        value = await made if isinstance(made, Awaitable) else made
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
        else:
            await answer(send, value)
        if self.after is not None:
            self.after(session)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def sessions(client: AsyncClient) -> Sessions:
    return Sessions(client)


@pytest.fixture
def browser(application: Application, sessions: Sessions) -> Browser:
    return Browser(SessionMiddleware(application, sessions, SECRET))


async def do(browser: Browser, application: Application, handler: Handler) -> Answer:
    application.handler = handler
    return await browser.get()


async def stored(client: AsyncClient) -> list[tuple[str, str, int]]:
    """All entries of all sessions, with their versions."""
    return [
        (name, entry.key, entry.version)
        async for name in client.objects()
        async for entry in client.object(name).list()
    ]


class TestSaving:
    async def test_what_is_put_in_is_there_at_the_next_request(
        self, browser: Browser, application: Application
    ) -> None:
        await do(browser, application, lambda session: session.update({"cart": [1], "name": "ann"}))
        assert (await do(browser, application, dict)).json() == {"cart": [1], "name": "ann"}

    async def test_changes_within_values_are_seen(self, browser: Browser, application: Application) -> None:
        await do(browser, application, lambda session: session.update({"cart": {"tea": [1]}}))
        await do(browser, application, lambda session: session["cart"]["tea"].append(2))
        await do(browser, application, lambda session: session.setdefault("more", True))
        assert (await do(browser, application, dict)).json() == {"cart": {"tea": [1, 2]}, "more": True}

    async def test_what_is_equal_and_another_is_a_change(self, browser: Browser, application: Application) -> None:
        await do(browser, application, lambda session: session.update({"a": 1, "b": [0]}))
        await do(browser, application, lambda session: session.update({"a": True, "b": [False]}))
        found = (await do(browser, application, dict)).json()
        assert (found["a"], found["b"][0]) == (True, False)
        assert isinstance(found["a"], bool)
        assert isinstance(found["b"][0], bool)

    async def test_names_are_removed(self, browser: Browser, application: Application) -> None:
        await do(browser, application, lambda session: session.update({"a": 1, "b": 2}))
        await do(browser, application, lambda session: session.pop("a"))
        assert (await do(browser, application, dict)).json() == {"b": 2}

    async def test_a_request_that_does_not_use_it_leaves_no_trace(
        self, browser: Browser, application: Application, client: AsyncClient
    ) -> None:
        answered = await do(browser, application, lambda session: "hello")
        assert not {"set-cookie", "vary"} & answered.headers.keys()
        assert not browser.cookies
        looked = await do(browser, application, lambda session: session.get("a"))
        assert "set-cookie" not in looked.headers
        assert looked.headers["vary"] == "cookie"
        assert await stored(client) == []

    async def test_a_request_that_changes_nothing_writes_nothing(
        self, browser: Browser, application: Application, client: AsyncClient
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": [1]}))
        before = await stored(client)
        answered = await do(browser, application, lambda session: session["a"])
        assert answered.json() == [1]
        assert "set-cookie" not in answered.headers
        assert await stored(client) == before

    async def test_two_requests_do_not_overwrite_each_other(
        self, browser: Browser, application: Application, sessions: Sessions
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": 1, "b": 1}))
        session_id = browser.cookies["session"].partition(".")[0]

        async def slow(session: LoadedSession) -> None:
            session["a"] = 2
            assert await sessions.update(session_id, {"b": 2}) is not None

        await do(browser, application, slow)
        assert (await do(browser, application, dict)).json() == {"a": 2, "b": 2}

    async def test_what_changes_while_the_body_is_sent_is_saved(
        self, browser: Browser, application: Application
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": 1}))
        application.after = lambda session: session.update({"late": True})
        await do(browser, application, lambda session: None)
        application.after = None
        assert (await do(browser, application, dict)).json() == {"a": 1, "late": True}

    async def test_device_and_address_are_noted(
        self, browser: Browser, application: Application, sessions: Sessions
    ) -> None:
        await do(browser, application, lambda session: session.login("ann"))
        (info,) = await sessions.list("ann")
        assert (info.device, info.address) == ("Test/1.0", "203.0.113.7")


class TestSigningIn:
    async def test_the_id_is_rotated(self, browser: Browser, application: Application, sessions: Sessions) -> None:
        await do(browser, application, lambda session: session.update({"cart": [1]}))
        before = dict(browser.cookies)
        answered = await do(browser, application, lambda session: session.login("ann"))
        assert "set-cookie" in answered.headers
        assert browser.cookies != before
        who = await do(browser, application, lambda session: [session.user, dict(session)])
        assert who.json() == ["ann", {"cart": [1]}]
        # The cookie from before, which somebody may have planted, opens nothing.
        thief = Browser(browser.app, cookies=before)
        assert (await do(thief, application, lambda session: [session.user, dict(session)])).json() == [None, {}]

    async def test_another_user_begins_with_nothing(self, browser: Browser, application: Application) -> None:
        await do(browser, application, lambda session: session.login("ann"))
        await do(browser, application, lambda session: session.update({"secret": "of ann"}))
        old = dict(browser.cookies)
        await do(browser, application, lambda session: session.login("bob"))
        who = await do(browser, application, lambda session: [session.user, dict(session)])
        assert who.json() == ["bob", {}]
        assert (await do(Browser(browser.app, cookies=old), application, lambda session: session.user)).json() is None

    async def test_who_signs_in_twice_at_once_is_signed_in(
        self, browser: Browser, application: Application, sessions: Sessions
    ) -> None:
        """Both requests have the cookie from before, and whichever is answered last, its cookie must be good."""
        await do(browser, application, lambda session: session.update({"cart": [1]}))
        second = Browser(browser.app, cookies=dict(browser.cookies))
        both = asyncio.Barrier(2)

        async def sign_in(session: LoadedSession) -> None:
            await both.wait()
            session.login("ann")
            session["welcome"] = True

        application.handler = sign_in
        await asyncio.gather(browser.get(), second.get())
        found = [
            (await do(each, application, lambda session: [session.user, dict(session)])).json()
            for each in (browser, second)
        ]
        # What was in the session goes with one of them.
        assert sorted(found, key=str) == [
            ["ann", {"cart": [1], "welcome": True}],
            ["ann", {"welcome": True}],
        ]
        assert browser.cookies != second.cookies
        assert len(await sessions.list("ann")) == 2

    @pytest.mark.parametrize("wish", ["login", "rotate"])
    async def test_once_the_answer_has_begun_the_id_stays(
        self, browser: Browser, application: Application, wish: str
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": 1}))
        application.after = lambda session: session.login("ann") if wish == "login" else session.rotate()
        with pytest.raises(RuntimeError, match="begun"):
            await do(browser, application, lambda session: None)
        application.after = None
        assert (await do(browser, application, dict)).json() == {"a": 1}

    async def test_rights_may_change_without_a_user(self, browser: Browser, application: Application) -> None:
        await do(browser, application, lambda session: session.update({"a": 1}))
        before = browser.cookies["session"]
        await do(browser, application, lambda session: session.rotate())
        assert browser.cookies["session"] != before
        assert (await do(browser, application, dict)).json() == {"a": 1}

    @pytest.mark.parametrize("way", ["logout", "clear"])
    async def test_signing_out_ends_it(
        self, browser: Browser, application: Application, sessions: Sessions, way: str
    ) -> None:
        await do(browser, application, lambda session: session.login("ann"))
        old = dict(browser.cookies)
        answered = await do(browser, application, lambda session: getattr(session, way)())
        assert "Max-Age=0" in answered.headers["set-cookie"]
        assert not browser.cookies
        assert await sessions.list("ann") == []
        assert (await do(Browser(browser.app, cookies=old), application, lambda session: session.user)).json() is None

    async def test_what_comes_after_signing_out_is_another_session(
        self, browser: Browser, application: Application, sessions: Sessions
    ) -> None:
        await do(browser, application, lambda session: session.login("ann"))

        def out_and_on(session: LoadedSession) -> None:
            session.logout()
            session["message"] = "good bye"

        await do(browser, application, out_and_on)
        assert await sessions.list("ann") == []
        who = await do(browser, application, lambda session: [session.user, dict(session)])
        assert who.json() == [None, {"message": "good bye"}]

    async def test_one_that_was_ended_meanwhile_is_not_revived(
        self, browser: Browser, application: Application, sessions: Sessions
    ) -> None:
        await do(browser, application, lambda session: session.login("ann"))

        async def ended(session: LoadedSession) -> None:
            await sessions.delete_all("ann")
            session["a"] = 1

        answered = await do(browser, application, ended)
        assert "Max-Age=0" in answered.headers["set-cookie"]
        assert await sessions.list("ann") == []


class TestCookie:
    async def test_its_attributes(self, browser: Browser, application: Application) -> None:
        answered = await do(browser, application, lambda session: session.update({"a": 1}))
        morsel = SimpleCookie(answered.headers["set-cookie"])["session"]
        assert (morsel["httponly"], morsel["secure"], morsel["samesite"]) == (True, True, "Lax")
        assert (morsel["path"], morsel["domain"], morsel["max-age"]) == ("/", "", str(7 * 86_400))

    async def test_they_can_be_chosen(self, application: Application, sessions: Sessions) -> None:
        middleware = SessionMiddleware(
            application,
            sessions,
            SECRET,
            cookie="id",
            path="/shop",
            domain="example.org",
            secure=False,
            same_site="strict",
        )
        answered = await do(Browser(middleware), application, lambda session: session.update({"a": 1}))
        morsel = SimpleCookie(answered.headers["set-cookie"])["id"]
        assert (morsel["httponly"], morsel["secure"], morsel["samesite"]) == (True, "", "Strict")
        assert (morsel["path"], morsel["domain"]) == ("/shop", "example.org")

    @pytest.mark.parametrize(
        "options",
        [
            {"same_site": "none", "secure": False},
            {"cookie": "__Host-id", "path": "/shop"},
            {"cookie": "__host-id", "domain": "example.org"},
            {"cookie": "__Secure-id", "secure": False},
            {"same_site": "None", "secure": False},
            {"cookie": "two words"},
            {"cookie": ""},
            {"path": "/; Domain=example.org"},
            {"domain": "example.org\r\nx-own: 1"},
            {"secret": "short"},
            {"secret": []},
        ],
    )
    def test_what_browsers_refuse_or_anybody_guesses(
        self, application: Application, sessions: Sessions, options: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidArgument):
            SessionMiddleware(application, sessions, **{"secret": SECRET, **options})

    async def test_a_forged_one_asks_the_server_nothing(
        self, browser: Browser, application: Application, client: AsyncClient
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": 1}))
        session_id = browser.cookies["session"].partition(".")[0]
        # A client that cannot reach anybody: whoever asks it gets an error.
        async with AsyncClient("127.0.0.1:1", timeout=0.2) as nowhere:
            middleware = SessionMiddleware(application, Sessions(nowhere), SECRET)
            for forged in (session_id, session_id + ".", session_id + ".AAAA", "", "x", "\xff"):
                visitor = Browser(middleware, cookies={"session": forged})
                assert (await do(visitor, application, dict)).json() == {}
                assert not visitor.cookies

    async def test_secrets_may_be_replaced(self, application: Application, sessions: Sessions) -> None:
        old, new = b"the old secret, 16+", "the new secret, 16+"
        browser = Browser(SessionMiddleware(application, sessions, old))
        await do(browser, application, lambda session: session.update({"a": 1}))
        browser.app = SessionMiddleware(application, sessions, [new, old])
        assert (await do(browser, application, dict)).json() == {"a": 1}
        await do(browser, application, lambda session: session.rotate())
        browser.app = SessionMiddleware(application, sessions, new)
        assert (await do(browser, application, dict)).json() == {"a": 1}
        browser.app = SessionMiddleware(application, sessions, old)
        assert (await do(browser, application, dict)).json() == {}

    async def test_one_of_a_session_that_is_over_is_removed(
        self, browser: Browser, application: Application, server: TestServer
    ) -> None:
        await do(browser, application, lambda session: session.update({"a": 1}))
        server.clock.advance(7 * 86_400)
        assert (await do(browser, application, dict)).json() == {}
        assert not browser.cookies


async def test_a_websocket_that_is_refused_with_an_answer_has_its_session(sessions: Sessions) -> None:
    async def refuse(
        scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        scope["session"]["refused"] = scope["session"].get("refused", 0) + 1
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": str(scope["session"]["refused"]).encode()})

    browser = Browser(SessionMiddleware(refuse, sessions, SECRET))
    assert [(await browser.open_websocket()).body for _ in range(2)] == [b"1", b"2"]


class TestLazy:
    async def test_nothing_is_read_before_it_is_loaded(self, application: Application, sessions: Sessions) -> None:
        browser = Browser(SessionMiddleware(application, sessions, SECRET))
        await do(browser, application, lambda session: session.update({"a": 1}))
        async with AsyncClient("127.0.0.1:1", timeout=0.2) as nowhere:
            browser.app = SessionMiddleware(application, Sessions(nowhere), SECRET, lazy=True)
            assert (await do(browser, application, repr)).json() == ("<LoadedSession not loaded>")
            for use in (dict, len, lambda session: session.user, lambda session: session.login("ann")):
                with pytest.raises(SessionNotLoaded, match="load"):
                    await do(browser, application, use)
        assert browser.cookies

    async def test_it_is_loaded_when_asked(self, application: Application, sessions: Sessions) -> None:
        browser = Browser(SessionMiddleware(application, sessions, SECRET, lazy=True))

        async def visit(session: LoadedSession) -> int:
            await session.load()
            session["visits"] = session.get("visits", 0) + 1
            await session.load()
            visits: int = session["visits"]
            return visits

        assert [(await do(browser, application, visit)).json() for _ in range(3)] == [1, 2, 3]


class TestOtherScopes:
    async def test_a_websocket_has_one_too(self, browser: Browser, application: Application) -> None:
        application.handler = lambda session: session.update({"a": 1})
        opened = await browser.open_websocket()
        assert opened.messages[0]["type"] == "websocket.accept"
        assert (await do(browser, application, dict)).json() == {"a": 1}

        application.handler = lambda session: None
        application.after = lambda session: session.update({"b": 2})
        await browser.open_websocket()
        application.after = None
        assert (await do(browser, application, dict)).json() == {"a": 1, "b": 2}

    async def test_a_lifespan_has_none(self, browser: Browser) -> None:
        async def nothing(*_: object) -> Any:  # noqa: ANN401 - it is never called
            raise AssertionError

        await browser.app({"type": "lifespan"}, nothing, nothing)


async def test_within_starlette(sessions: Sessions) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def visit(request: Request) -> JSONResponse:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return JSONResponse(request.session["visits"])

    app = Starlette(
        routes=[Route("/", visit)],
        middleware=[Middleware(SessionMiddleware, sessions=sessions, secret=SECRET)],
    )
    browser = Browser(app)
    assert [(await browser.get()).json() for _ in range(3)] == [1, 2, 3]


async def test_what_is_made_of_a_session_is_its_own(sessions: Sessions) -> None:
    made: Session = await sessions.create("ann", {"a": [1]})
    loaded = LoadedSession(sessions, made.id, "", "")
    await loaded.load()
    loaded["a"].append(2)
    assert loaded.stored is not None
    assert loaded.stored.data == {"a": [1]}
    assert loaded.changes() == ({"a": [1, 2]}, [])
