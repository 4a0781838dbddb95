"""`POST /api/function` on any ASGI server: `{"action": "system.initialize"}` makes and changes the tables of models.

For deployments that cannot run a command. The answer is `{"success": true, "data": {...}}` with what was done, or
`{"success": false, "error": {"reason", "message"}}`. Each request needs the key in the header `X-API-Key`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from petra.datamodel.migrate import initialize
from petra.datamodel.plan import GivenModel, definitions_of
from petra.datamodel.recipes import MigrationRefused
from petra.datastore import Datastore
from petra.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    PetraError,
    ResourceExhausted,
    Unavailable,
)
from petra.values import Seconds

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH: Final = "/api/function"
API_KEY_HEADER: Final = "X-API-Key"
INITIALIZE: Final = "system.initialize"

# A request is a single action.
_LONGEST_BODY: Final = 64 * 1024


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, reason: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, object] = {"reason": reason, "message": message, **more}


class FunctionEndpoint:
    """An ASGI application with the one path `/api/function`; mounted under that path it answers there as well.

    Any number of requests may come at once, to any number of processes.
    """

    def __init__(
        self,
        datastore: Datastore,
        models: Iterable[GivenModel],
        *,
        api_key: str,
        environment: Mapping[str, str] | None = None,
        timeout: Seconds = 60.0,
    ) -> None:
        """`environment` has the variables of seeds, those of the process unless given; `timeout` is for each step.

        Raises InvalidArgument for an empty key, and UnknownModel.
        """
        if not api_key:
            raise InvalidArgument(
                "api_key is empty, so everybody could call the endpoint. Give a secret.", field="api_key"
            )
        self._datastore = datastore
        self._models = definitions_of(models)
        self._api_key = api_key.encode()
        self._environment = environment
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            try:
                answer: dict[str, object] = {"success": True, "data": await self._serve(scope, receive)}
                status = 200
            except _Refused as refused:
                answer, status = {"success": False, "error": refused.error}, refused.status
            await _answer(send, status, answer)

    async def _serve(self, scope: Scope, receive: Receive) -> dict[str, object]:
        if _path(scope) not in {PATH, "", "/"}:
            raise _Refused(404, "NOT_FOUND", f"There is nothing here. Use {PATH}.")
        if scope["method"] != "POST":
            raise _Refused(405, "METHOD_NOT_ALLOWED", "Use POST.")
        given = dict(scope["headers"]).get(API_KEY_HEADER.lower().encode(), b"")
        # It takes the same time wherever the two differ.
        if not hmac.compare_digest(given, self._api_key):
            raise _Refused(401, "UNAUTHENTICATED", f"The header {API_KEY_HEADER} has no valid key.")
        action = _action(await _body(receive))
        if action != INITIALIZE:
            raise _Refused(400, "UNKNOWN_ACTION", f"There is no such action; there is {INITIALIZE}.")
        try:
            done = await initialize(self._datastore, self._models, environment=self._environment, timeout=self._timeout)
        except PetraError as error:
            raise _refused(error) from error
        return dict(done.as_dict())


def _path(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


async def _body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "INVALID_REQUEST", "The request ended before its body did.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LONGEST_BODY:
            raise _Refused(413, "REQUEST_TOO_LARGE", f"The body has more than {_LONGEST_BODY:,} bytes.")
    return body


def _action(body: bytes) -> object:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or "action" not in request:
        raise _Refused(400, "INVALID_REQUEST", f'The body is JSON with an action: {{"action": "{INITIALIZE}"}}.')
    return request["action"]


def _refused(error: PetraError) -> _Refused:
    match error:
        case MigrationRefused():
            refusals = [
                {"kind": one.kind, "name": one.name, "message": one.message, "recipe": list(one.recipe)}
                for one in error.refusals
            ]
            return _Refused(409, "MIGRATION_REFUSED", error.message, refusals=refusals)
        case FailedPrecondition():
            return _Refused(409, error.reason or "FAILED_PRECONDITION", error.message)
        case Unavailable() | DeadlineExceeded() | ResourceExhausted():
            return _Refused(503, error.reason or "UNAVAILABLE", error.message)
        case _:
            return _Refused(500, error.reason or type(error).__name__, error.message)


async def _answer(send: Send, status: int, answer: Mapping[str, object]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to be done at the start and at the end of the server."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
