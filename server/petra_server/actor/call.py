"""One operation on its way: what is asked, of which actor, and who wants the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from petra_server.actor.operations import Operation, Reply
from petra_server.errors import Refusal

if TYPE_CHECKING:
    from petra_server.actor.actor import Actor


_log = structlog.get_logger(__name__)


class Caller(Protocol):
    """Who wants answers."""

    def answered(self, call: Call, outcome: Reply | Refusal) -> None:
        """Takes the answer of a call, exactly once, perhaps before `Router.submit` returns."""


class Call:
    """An operation with its envelope.

    `sync` is False for BUFFERED. `scope` is the entry prefix that its request id belongs to. `tag` and `size_bytes` are
    the caller's own. `deadline` is in seconds of the loop's clock; an operation that has not begun by then is dropped.
    """

    __slots__ = (
        "actor",
        "caller",
        "deadline",
        "operation",
        "queued_at",
        "request_id",
        "scope",
        "size_bytes",
        "sync",
        "tag",
        "withdrawn",
    )

    def __init__(
        self,
        caller: Caller,
        actor: Actor,
        operation: Operation,
        sync: bool,
        scope: bytes,
        request_id: bytes,
        deadline: float | None,
        tag: int,
        size_bytes: int = 0,
    ) -> None:
        self.caller = caller
        self.actor = actor
        self.operation = operation
        self.sync = sync
        self.scope = scope
        self.request_id = request_id
        self.tag = tag
        self.size_bytes = size_bytes
        self.deadline = deadline
        # When it began to wait in a mailbox, by the loop's clock; 0 when it does not.
        self.queued_at = 0.0
        # Set by a caller that has gone: the operation is dropped when it has not begun.
        self.withdrawn = False

    def answer(self, outcome: Reply | Refusal) -> None:
        """Hands the outcome over. A fault of the caller is its own: everyone else still gets theirs."""
        try:
            self.caller.answered(self, outcome)
        except Exception:  # noqa: BLE001
            _log.exception("a caller failed over its answer")
