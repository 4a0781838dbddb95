"""From a path to what answers it: the ASGI application of the HTTP API.

Starlette is given the path as it was sent. Decoded, `batch%2Fget` could not be told from `batch/get`, and a line break
in a key would be matched by nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from petra_server.errors import Reason, Refusal
from petra_server.http.asked import Handler
from petra_server.http.endpoints import ENDPOINTS, Endpoint
from petra_server.http.exchange import Exchanges, failure_answer
from petra_server.http.incoming import name_in_path
from petra_server.http.reading import write
from petra_server.http.status import STATUS_OF_REASON, HttpReason, HttpRefusal

# By the names of endpoints.
Handlers = Mapping[str, Handler]
# What asks no actor, and is answered even while the server shuts down.
Page = Callable[[Request], Response]

# Of what a path may name, and why a bad one is refused.
_REASONS = {"key": Reason.INVALID_KEY, "object": Reason.INVALID_OBJECT}


def application(exchanges: Exchanges, handlers: Handlers, pages: Mapping[str, Page]) -> ASGIApp:
    """`pages` are by their paths."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        if endpoint.path not in pages:
            paths.setdefault(endpoint.path, {})[endpoint.verb] = endpoint
    resources = [
        Route(_pattern(path), _Resource(exchanges, handlers, paths[path])) for path in sorted(paths, key=_rank)
    ]
    router = Router(
        [*resources, *(Route(path, _PageOf(page)) for path, page in pages.items())],
        redirect_slashes=False,
        default=_not_found,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await router({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)

    return app


def _rank(path: str) -> bool:
    """Paths that are written out come before those that are names."""
    return "{" in path


def _pattern(path: str) -> str:
    """A name may have slashes in it."""
    return path.replace("}", ":path}")


class _Resource:
    """A path, with an endpoint for each method that it has."""

    def __init__(self, exchanges: Exchanges, handlers: Handlers, endpoints: Mapping[str, Endpoint]) -> None:
        self._exchanges = exchanges
        self._calls = {verb: (endpoint, handlers[endpoint.name]) for verb, endpoint in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get(scope["method"])
        if call is None:
            await _method_not_allowed(self._calls, of_storage=scope["path"].startswith("/storage/"))(
                scope, receive, send
            )
        else:
            await self._exchanges.run(scope, receive, send, *call, _named(scope["path_params"]))


def _named(parameters: Mapping[str, str]) -> str | Refusal:
    """What a path names, "" for nothing, or why that cannot be."""
    for field, name in parameters.items():
        try:
            return name_in_path(name.encode("ascii"), _REASONS[field], field)
        except Refusal as refusal:
            return refusal
    return ""


class _PageOf:
    """A path that is only to be read."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._page if scope["method"] in ("GET", "HEAD") else lambda _: _method_not_allowed(("GET",))
        response = answer(Request(scope))
        await response(scope, receive, send)


def refused(refusal: Refusal | HttpRefusal, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that reached no endpoint, or of a page."""
    return Response(
        write(failure_answer(refusal)), STATUS_OF_REASON[refusal.reason], headers, media_type="application/json"
    )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = HttpRefusal(HttpReason.PATH_NOT_FOUND, "There is nothing at this path. /openapi.json says what there is.")
    await refused(refusal)(scope, receive, send)


def _method_not_allowed(verbs: Iterable[str], *, of_storage: bool = False) -> Response:
    allowed = ", ".join(sorted(verbs))
    # A key can be called as another path is.
    hint = " If you mean a key of this name, send it as a parameter: /storage?key=..." if of_storage else ""
    refusal = HttpRefusal(HttpReason.METHOD_NOT_ALLOWED, f"This path takes {allowed}.{hint}")
    return refused(refusal, {"Allow": allowed})
