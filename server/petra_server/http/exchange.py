"""One request on its way: let in, read, carried out, and answered.

- It counts among the bytes in flight of its connection and of the server, and is refused beyond them, as over gRPC.
- A body that is too large is refused as soon as that is known, and no more of it is kept.
- Its time begins when its head has come. When it is up, or when the client has gone, what has not begun is withdrawn.
- Whatever happens, it is answered once, and counted once, when its answer was sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

from starlette.types import Message, Receive, Scope, Send

from petra_server.actor.addresses import DEFAULT_NAMESPACE
from petra_server.errors import Reason, Refusal
from petra_server.faults import internal_error
from petra_server.figures import CANCELLED, HTTP, OK
from petra_server.http import bodies, incoming
from petra_server.http.asked import Asked, Handler
from petra_server.http.endpoints import Endpoint
from petra_server.http.reading import read_body, read_parameters, write
from petra_server.http.status import STATUS_OF_REASON, HttpReason, HttpRefusal, retry_after_seconds
from petra_server.intake.admission import UNCOUNTED_BYTES, Account, Admission

_T = TypeVar("_T")

# What is handed to the socket at once. More would be kept there, where nobody counts it.
_PIECE_BYTES = 64 << 10
# A client that takes a piece no sooner is given up.
_SEND_SECONDS = 60.0
# How long the rest of a refused body is read and thrown away: a client that still sends may not see the answer.
_LINGER_SECONDS = 2.0


class ClientGone(Exception):
    """Nobody waits for the answer."""


class Exchanges:
    """Carries requests out."""

    def __init__(self, admission: Admission, *, max_body_bytes: int, timeout_ms: int) -> None:
        self._admission = admission
        self._max_body_bytes = max_body_bytes
        self._timeout_ms = timeout_ms

    async def run(
        self, scope: Scope, receive: Receive, send: Send, endpoint: Endpoint, handler: Handler, name: str | Refusal
    ) -> None:
        """Answers one request. `name` is what its path names, or why that cannot be."""
        began = perf_counter()
        status = CANCELLED
        exchange = _Exchange(self._admission, self._max_body_bytes, scope, receive, send)
        try:
            try:
                self._admission.begin()
            except Refusal as refusal:
                status = await exchange.refuse(refusal)
                return
            try:
                status = await self._carry_out(exchange, endpoint, handler, name)
            finally:
                exchange.leave()
                self._admission.end()
        except ClientGone:
            pass
        finally:
            self._admission.figures.ended(HTTP, endpoint.name, status, began)

    async def _carry_out(self, exchange: _Exchange, endpoint: Endpoint, handler: Handler, name: str | Refusal) -> str:
        """Answers, and returns how that is counted."""
        try:
            answer = write(await self._ask(exchange, endpoint, handler, name))
        except (Refusal, HttpRefusal) as refusal:
            return await exchange.refuse(refusal)
        except ClientGone:
            raise
        except asyncio.CancelledError:
            # The server ends, and uvicorn would say so in its own words.
            return await exchange.refuse(_cut_off())
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            return await exchange.refuse(internal_error(f"{endpoint.verb} {endpoint.path} failed."))
        await exchange.respond(200, answer)
        return OK

    async def _ask(
        self, exchange: _Exchange, endpoint: Endpoint, handler: Handler, name: str | Refusal
    ) -> bodies.Answer:
        headers = incoming.read_headers(exchange.scope["headers"])
        incoming.check_sender(headers)
        seconds = incoming.timeout_seconds(headers, self._timeout_ms)
        request_id = incoming.request_id(headers, allowed=endpoint.once)
        query = read_parameters(incoming.query_parameters(exchange.scope["query_string"]), endpoint.query)
        if isinstance(name, Refusal):
            raise name
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                data = await exchange.read(headers, takes_body=endpoint.body is not None)
                asked = Asked(
                    query=query,
                    body=_body(endpoint, data),
                    name=name or _named(query),
                    request_id=request_id,
                    deadline=deadline,
                )
                if isinstance(query, bodies.InNamespace):
                    self._admission.figures.namespaces.add(query.namespace or DEFAULT_NAMESPACE)
                return await exchange.unless_gone(handler(asked))
        except TimeoutError:
            raise HttpRefusal(
                HttpReason.TIMED_OUT,
                f"There was no answer within {seconds:g} seconds. It may be done all the same: read, or send it again"
                f" with the same {incoming.REQUEST_ID_HEADER}.",
            ) from None


class _Exchange:
    """What is known of one request, and the ways to its client."""

    def __init__(self, admission: Admission, max_body_bytes: int, scope: Scope, receive: Receive, send: Send) -> None:
        # Set once.
        self.scope = scope
        self._admission = admission
        self._max_body_bytes = max_body_bytes
        self._receive = receive
        self._send = send
        # What it is counted with, once that is worth it.
        self._account: Account | None = None
        self._counted_bytes = 0
        # Whether no more of the body is to come.
        self._read_whole = not _has_body(scope)

    # Reading.

    async def read(self, headers: incoming.Headers, *, takes_body: bool) -> bytes:
        """The whole body. Raises Refusal, HttpRefusal or ClientGone."""
        self._check_size(int(headers.get("content-length", "0")))
        pieces: list[bytes] = []
        size_bytes = 0
        while not self._read_whole:
            piece = await self._next_piece()
            size_bytes += len(piece)
            self._check_size(size_bytes)
            if size_bytes > UNCOUNTED_BYTES:
                self._count(size_bytes - self._counted_bytes, refuse=True)
            pieces.append(piece)
        if size_bytes and takes_body:
            incoming.check_media_type(headers)
        elif size_bytes:
            raise HttpRefusal(HttpReason.INVALID_PARAMETER, "This request has no body. Leave it out.", field="body")
        return b"".join(pieces)

    async def _next_piece(self) -> bytes:
        message: Message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._read_whole = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_body_bytes:
            raise HttpRefusal(
                HttpReason.BODY_TOO_LARGE,
                f"The body has more than the {self._max_body_bytes} bytes that are allowed. Send less at a time.",
            )

    async def unless_gone(self, work: Awaitable[_T]) -> _T:
        """What the work returns. Raises ClientGone, and cancels the work, when the client goes before."""
        working = asyncio.ensure_future(work)
        watching = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientGone
            return working.result()
        finally:
            working.cancel()
            watching.cancel()
            # They end at once; what they end with is of no more interest.
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _gone(self) -> None:
        """Returns when the client goes, or has its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    # Counting.

    def _count(self, size_bytes: int, *, refuse: bool) -> None:
        if self._account is None:
            self._account = self._admission.open_account(_peer(self.scope))
        if refuse:
            self._account.check(size_bytes)
        self._account.add(size_bytes)
        self._counted_bytes += size_bytes

    def leave(self) -> None:
        """Counts it no more."""
        account, self._account = self._account, None
        if account is not None:
            account.add(-self._counted_bytes)
            self._admission.close_account(account)

    # Answering.

    async def refuse(self, refusal: Refusal | HttpRefusal) -> str:
        """Answers with a refusal, and returns how that is counted."""
        failure = failure_answer(refusal)
        retry_seconds = retry_after_seconds(refusal)
        headers = [(b"retry-after", str(retry_seconds).encode())] if retry_seconds else []
        await self.respond(STATUS_OF_REASON[refusal.reason], write(failure), headers)
        return refusal.reason.value

    async def respond(self, status: int, content: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Sends an answer, as fast as its client takes it."""
        if len(content) > UNCOUNTED_BYTES:
            self._count(len(content), refuse=False)
        sent = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
            *(headers or ()),
        ]
        if not self._read_whole:
            sent.append((b"connection", b"close"))
        await self._hand_over({"type": "http.response.start", "status": status, "headers": sent})
        for at in range(0, len(content), _PIECE_BYTES):
            piece = content[at : at + _PIECE_BYTES]
            await self._hand_over({"type": "http.response.body", "body": piece, "more_body": True})
        if not self._read_whole:
            await self._linger()
        await self._hand_over({"type": "http.response.body", "body": b"", "more_body": False})

    async def _hand_over(self, message: Message) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(message)
        except TimeoutError:
            raise ClientGone from None

    async def _linger(self) -> None:
        with suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._read_whole:
                    await self._next_piece()


def _cut_off() -> HttpRefusal:
    return HttpRefusal(
        HttpReason.TIMED_OUT,
        "The server shut down before there was an answer. It may be done all the same: read, or send it again"
        f" with the same {incoming.REQUEST_ID_HEADER}.",
    )


def failure_answer(refusal: Refusal | HttpRefusal) -> bodies.FailureAnswer:
    """A refusal as its client reads it: fields have their names in JSON."""
    message, field = refusal.message, refusal.field
    if isinstance(refusal, HttpRefusal):
        return bodies.FailureAnswer(error=bodies.Failure(code=refusal.reason.value, message=message, field=field))
    # What is wrong with a body speaks of its members as they were sent.
    if refusal.reason is not Reason.MALFORMED_MESSAGE:
        for name in _RENAMED.keys() & set(re.split(r"[.\[\]]", field)):
            message, field = message.replace(name, _RENAMED[name]), field.replace(name, _RENAMED[name])
    return bodies.FailureAnswer(
        error=bodies.Failure(
            code=refusal.reason.value,
            message=message,
            field=field,
            retry_after_ms=refusal.retry_after_ms,
            details=dict(refusal.metadata),
        )
    )


# Fields of the wire that have another name here.
_RENAMED = {
    "ttl_ms": "ttlMs",
    "keep_ttl": "keepTtl",
    "if_version": "ifVersion",
    "start_after": "startAfter",
    "keys_only": "keysOnly",
    "request_id": incoming.REQUEST_ID_HEADER,
}


def _body(endpoint: Endpoint, data: bytes) -> bodies.Reading | None:
    if endpoint.body is None:
        return None
    return read_body(data or (b"{}" if endpoint.body_optional else b""), endpoint.body)


def _named(query: bodies.Reading) -> str:
    """The key or object among the parameters."""
    if isinstance(query, bodies.AddressOfKey | bodies.DeleteQueryOfKey):
        return query.key
    return query.object if isinstance(query, bodies.AddressOfObject) else ""


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _peer(scope: Scope) -> str:
    host, port = scope.get("client") or ("", 0)
    return f"http:{host}:{port}"
