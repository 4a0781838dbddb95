"""A request as its endpoint gets it, and how it asks actors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from petra_server.actor.asking import Waiter
from petra_server.actor.operations import Reply
from petra_server.actor.plans import Plan
from petra_server.actor.router import Router
from petra_server.http import bodies

Q_co = TypeVar("Q_co", bound=bodies.Reading, covariant=True)
B_co = TypeVar("B_co", bound=bodies.Reading | None, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[Q_co, B_co]):
    """What was read of a request. `deadline` is in seconds of the loop's clock."""

    query: Q_co
    body: B_co
    # The key or object of the path, "" where there is none.
    name: str
    request_id: bytes
    deadline: float


class Ask(Protocol):
    """Asks actors. Raises Refusal."""

    async def __call__(self, plan: Plan, asked: Asked[Any, Any], sync: bool = True, scope: bytes = b"") -> Reply: ...


Handler = Callable[[Asked[Any, Any]], Awaitable[bodies.Answer]]


def asking(router: Router) -> Ask:
    """Asks the actors of a router. When the coroutine is cancelled, what has not begun is withdrawn."""

    async def ask(plan: Plan, asked: Asked[Any, Any], sync: bool = True, scope: bytes = b"") -> Reply:
        waiter = Waiter()
        waiter.submit(router, plan, sync, scope, asked.request_id, asked.deadline)
        return await waiter.reply()

    return ask
