"""Callers that put several answers together, and the one that a coroutine awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from petra_server.actor.actor import Actor
from petra_server.actor.call import Call, Caller
from petra_server.actor.operations import Operation, Reply
from petra_server.actor.plans import Plan
from petra_server.actor.router import Router
from petra_server.errors import Refusal
from petra_server.faults import internal_error


class Gather:
    """Takes the answers of a plan's calls, tagged with their positions, and hands on one."""

    __slots__ = ("_combine", "_done", "_refusal", "_remaining", "_replies")

    def __init__(
        self, count: int, combine: Callable[[list[Any]], Reply], done: Callable[[Reply | Refusal], None]
    ) -> None:
        self._combine = combine
        self._done = done
        self._remaining = count
        self._replies: list[Any] = [None] * count
        self._refusal: Refusal | None = None

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._refusal = self._refusal or outcome
        self._replies[call.tag] = outcome
        self._remaining -= 1
        if not self._remaining:
            self._done(self._refusal or self._combined())

    def _combined(self) -> Reply | Refusal:
        try:
            return self._combine(self._replies)
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            return internal_error("Answers could not be put together.")


class Waiter:
    """One coroutine that waits for one plan. When it is cancelled, what has not begun is withdrawn."""

    __slots__ = ("_calls", "_future", "outcome")

    def __init__(self) -> None:
        self._calls: Sequence[Call] = ()
        self._future: asyncio.Future[None] | None = None
        # None until it is there.
        self.outcome: Reply | Refusal | None = None

    def submit(
        self,
        router: Router,
        plan: Plan,
        sync: bool = True,
        scope: bytes = b"",
        request_id: bytes = b"",
        deadline: float | None = None,
    ) -> None:
        """Asks. The outcome may be there when this returns; else await `reply`."""
        parts, combine = plan.parts, plan.combine
        caller: Caller = self
        if combine is not None:
            caller = Gather(len(parts), combine, self._take)
            if not parts:
                self._take(combine([]))
        self._calls = [
            Call(caller, actor, operation, sync, scope, request_id, deadline, tag)
            for tag, (actor, operation) in enumerate(parts)
        ]
        router.submit(self._calls)

    async def reply(self) -> Reply:
        """The reply. Raises Refusal."""
        if self.outcome is None:
            self._future = asyncio.get_running_loop().create_future()
            try:
                await self._future
            except asyncio.CancelledError:
                for call in self._calls:
                    call.withdrawn = True
                raise
        outcome = self.outcome
        assert outcome is not None
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        self._take(outcome)

    def _take(self, outcome: Reply | Refusal) -> None:
        self.outcome = outcome
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


async def ask(
    router: Router, actor: Actor, operation: Operation, *, sync: bool = True, deadline: float | None = None
) -> Reply:
    """The reply of one operation without a request id. Raises Refusal."""
    waiter = Waiter()
    waiter.submit(router, Plan([(actor, operation)]), sync, deadline=deadline)
    return await waiter.reply()
