"""The HTTP API put together: what a server needs to make one, and what answers its paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from petra_server.actor.addresses import Addresses
from petra_server.actor.router import Router
from petra_server.http import bodies, endpoints
from petra_server.http.asked import Handler, asking
from petra_server.http.exchange import Exchanges
from petra_server.http.metrics import LoopWatch, Metrics, Sources
from petra_server.http.openapi import document
from petra_server.http.reading import write
from petra_server.http.routes import application, refused
from petra_server.http.sql import Sql
from petra_server.http.storage import Storage
from petra_server.intake.admission import Admission
from petra_server.intake.checks import Checks
from petra_server.intake.pages import Pages
from petra_server.storage.partition import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The parts of a server that the API asks; the same that gRPC asks."""

    router: Router
    partition: Partition
    addresses: Addresses
    checks: Checks
    pages: Pages
    admission: Admission


def http_api(inside: Inside, loop_watch: LoopWatch, *, timeout_ms: int) -> ASGIApp:
    """The ASGI application. `timeout_ms` is for requests that do not say how long they wait."""
    exchanges = Exchanges(
        inside.admission, max_body_bytes=inside.checks.limits.max_message_bytes, timeout_ms=timeout_ms
    )
    metrics = Metrics(
        Sources(router=inside.router, partition=inside.partition, admission=inside.admission, loop_watch=loop_watch)
    )
    described = msgspec.json.encode(document())
    states = _States(inside)
    pages = {
        "/healthz": states.health,
        "/readyz": states.readiness,
        "/metrics": metrics.page,
        "/openapi.json": lambda _: Response(described, media_type="application/json"),
    }
    return application(exchanges, _handlers(inside), pages)


def _handlers(inside: Inside) -> Mapping[str, Handler]:
    ask = asking(inside.router)
    storage = Storage(inside.addresses, inside.checks, inside.pages, ask)
    return {
        endpoints.GET.name: storage.get,
        endpoints.SET.name: storage.set,
        endpoints.DELETE.name: storage.delete,
        endpoints.BATCH_GET.name: storage.get_many,
        endpoints.BATCH_SET.name: storage.set_many,
        endpoints.BATCH_DELETE.name: storage.delete_many,
        endpoints.LIST.name: storage.list,
        endpoints.CLEAR.name: storage.clear,
        endpoints.SQL.name: Sql(inside.addresses, inside.checks, ask).execute,
    }


class _States:
    """What supervisors ask."""

    def __init__(self, inside: Inside) -> None:
        self._admission = inside.admission
        self._partition = inside.partition

    def health(self, _: Request) -> Response:
        """Whether the process is of any use still."""
        failure = self._partition.committer.failure
        return self._serving() if failure is None else refused(failure)

    def readiness(self, _: Request) -> Response:
        """As the gRPC health service: not while it shuts down, nor after a failed write; a full disk can be read."""
        refusal = self._partition.committer.failure or self._admission.closing
        return self._serving() if refusal is None else refused(refusal)

    def _serving(self) -> Response:
        state = bodies.StateData(state="serving", writable=self._partition.disk.writable)
        return Response(write(bodies.StateAnswer(data=state)), media_type="application/json")
