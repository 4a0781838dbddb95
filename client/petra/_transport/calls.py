"""One operation on its way to the server: what is asked, as columns of a pipeline message, and how its answer is read.

A call is built by `petra._transport.requests`, handed to a link once, and answered once: `outcome` is then set, and
whoever waits is told, through `future` on the link's loop or through `notify`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from petra.errors import InternalError, PetraError
from petra.v1 import storage_pb2 as pb

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)

# Which columns a call fills beside its id, method, address and key.
VALUES = 1
ENCODINGS = 2
TTLS = 4
CONDITIONS = 8
DURABILITIES = 16
REQUEST_IDS = 32
NUMBERS = 64
INITIALS = 128
TIMEOUTS = 256

# What a call costs on the wire beside its key and value.
_CALL_BYTES = 64


class Retry(IntEnum):
    """What may be done with a call that was sent and not answered."""

    # It changes nothing, or the same again: send it again.
    SAFE = 0
    # It carries a request id, so it takes effect once however often it is sent.
    ONCE = 1
    # It would take effect again. Whoever waits is told that its outcome is unknown.
    NEVER = 2


class Answer(NamedTuple):
    """An answer by columns; see petra.v1.Method for what each method fills."""

    version: int
    value: bytes
    encoding: int
    expires_at_ms: int
    number: int


class Address(NamedTuple):
    """Where keys live."""

    namespace: str
    object: str


class Call(Generic[T_co]):
    """One operation. Each kind is a subclass that says how it reads its answer.

    The defaults are class attributes, so that a call holds only what differs from them.
    """

    # Set by the subclass.
    method: int
    retry = Retry.SAFE
    # Whether it changes anything: what it did is in doubt when it was sent and not answered.
    mutates = False

    # What is asked: set once, before the call is submitted.
    address: Address
    columns = 0
    key = ""
    value = b""
    encoding = 0
    ttl_ms = 0
    if_version = 0
    options = 0
    durability = 0
    request_id = b""
    number = 0
    initial = 0
    # In seconds; None for the client's own.
    timeout: float | None = None
    # In seconds of the loop's clock; set by the link.
    deadline = 0.0
    # In a group, a refusal stands in its place: to try again would turn the order of the group.
    in_group = False

    # Owned by the link.
    id = 0
    attempts = 0
    # It was sent, and the connection was lost before it was answered: perhaps it was applied.
    in_doubt = False
    timer: asyncio.TimerHandle | None = None

    # Set once, when it is answered or given up.
    outcome: Answer | PetraError | None = None
    future: asyncio.Future[None] | None = None
    # Called instead, where there is no future.
    notify: Callable[[], None] | None = None

    @property
    def size_bytes(self) -> int:
        """What it takes of a message, about."""
        return _CALL_BYTES + len(self.key) + len(self.value)

    @property
    def name(self) -> str:
        """The operation, as its user calls it."""
        return pb.Method.Name(self.method).removeprefix("METHOD_").lower()

    def finish(self, outcome: Answer | PetraError) -> None:
        """Answers whoever waits. To be called once."""
        self.outcome = outcome
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        future = self.future
        if future is not None:
            if not future.done():
                future.set_result(None)
        elif self.notify is not None:
            self.notify()

    def result(self) -> T_co:
        """What the answer says. Raises the error that it is."""
        outcome = self.outcome
        if isinstance(outcome, Answer):
            return self.read(outcome)
        if outcome is None:
            raise InternalError(f"The {self.name} was read before it was answered.")
        raise outcome

    def read(self, answer: Answer) -> T_co:
        """Turns the answer of the server into that of the method."""
        raise NotImplementedError
