"""Who may come in: bytes in flight, bounded for each connection and for the server, and nobody while it shuts down.

A unary message is counted from its arrival until its answer has left. Small ones are not: their number is bounded by
the streams of a connection, and asking gRPC for the peer costs more than they do. A Pipeline stream counts what it has
not answered and not sent. Loop thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from petra_server.errors import Reason, Refusal
from petra_server.figures import RequestFigures

# 256 streams of these are 4 MiB.
UNCOUNTED_BYTES = 16 << 10

_RETRY_MS = 100


class Admission:
    """Counts bytes in flight."""

    def __init__(self, *, max_connection_bytes: int, max_server_bytes: int) -> None:
        self.max_connection_bytes = max_connection_bytes
        self.max_server_bytes = max_server_bytes
        self.server_bytes = 0
        # What came in, and how it ended; whoever answers counts.
        self.figures = RequestFigures()
        # Set when the server shuts down: what everyone is told from then on.
        self.closing: Refusal | None = None
        self._accounts: dict[str, Account] = {}
        # Calls and streams under way.
        self._active = 0
        self._idle = asyncio.Event()

    def begin(self) -> None:
        """A call or a stream has come. Raises Refusal DRAINING; else `end` it."""
        if self.closing is not None:
            raise self.closing
        self._active += 1

    def end(self) -> None:
        self._active -= 1
        if not self._active and self.closing is not None:
            self._idle.set()

    async def idle(self) -> None:
        """After `close`: waits until nothing is under way."""
        if self._active:
            await self._idle.wait()

    def close(self) -> Refusal:
        """Has every new request refused, and returns with what."""
        self.closing = Refusal(
            Reason.DRAINING,
            "The server is shutting down. Connect again; operations without an answer may be sent again.",
        )
        return self.closing

    def open_account(self, peer: str) -> Account:
        """The account of a connection; give it back with `close_account`."""
        account = self._accounts.get(peer)
        if account is None:
            account = self._accounts[peer] = Account(self, peer)
        account.users += 1
        return account

    def close_account(self, account: Account) -> None:
        account.users -= 1
        if not account.users:
            del self._accounts[account.peer]

    def enter(self, peer: str, size_bytes: int) -> Callable[[], None]:
        """Counts a request, and returns what uncounts it. Raises Refusal OVERLOADED."""
        account = self.open_account(peer)
        try:
            account.check(size_bytes)
        finally:
            self.close_account(account)
        return self.count(peer, size_bytes)

    def count(self, peer: str, size_bytes: int) -> Callable[[], None]:
        """Counts an answer, which is never refused: what it tells of was done. It weighs on the requests to come."""
        account = self.open_account(peer)
        account.add(size_bytes)

        def leave() -> None:
            account.add(-size_bytes)
            self.close_account(account)

        return leave


class Account:
    """The bytes in flight of one connection."""

    __slots__ = ("_admission", "bytes", "peer", "users")

    def __init__(self, admission: Admission, peer: str) -> None:
        self._admission = admission
        self.peer = peer
        self.bytes = 0
        self.users = 0

    def add(self, size_bytes: int) -> None:
        """Counts, without asking; a negative size uncounts."""
        self.bytes += size_bytes
        self._admission.server_bytes += size_bytes

    def check(self, size_bytes: int) -> None:
        """Raises Refusal OVERLOADED when so much more is too much. One message alone always fits."""
        admission = self._admission
        if self.bytes and self.bytes + size_bytes > admission.max_connection_bytes:
            raise _overloaded("this connection", admission.max_connection_bytes)
        if admission.server_bytes and admission.server_bytes + size_bytes > admission.max_server_bytes:
            raise _overloaded("the server", admission.max_server_bytes)


def _overloaded(whose: str, limit_bytes: int) -> Refusal:
    return Refusal(
        Reason.OVERLOADED,
        f"More than {limit_bytes} bytes of {whose} are in flight. Read the answers before sending more.",
        retry_after_ms=_RETRY_MS,
    )
