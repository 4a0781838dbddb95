"""Bytes in flight, bounded for each connection and for the server as a whole.

A message is counted from its arrival until its answer has left. Small ones are not: their number is bounded by the
streams of a connection, and asking gRPC for the peer costs more than they do. Loop thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from petra_server.errors import Reason, Refusal

# 256 streams of these are 4 MiB.
UNCOUNTED_BYTES = 16 << 10

_RETRY_MS = 100


class Admission:
    """Counts bytes in flight."""

    def __init__(self, *, max_connection_bytes: int, max_server_bytes: int) -> None:
        self._max_connection_bytes = max_connection_bytes
        self._max_server_bytes = max_server_bytes
        self._connections: dict[str, int] = {}
        self.server_bytes = 0

    def enter(self, peer: str, size_bytes: int) -> Callable[[], None]:
        """Counts bytes of a connection, and returns what uncounts them. Raises Refusal OVERLOADED."""
        present = self._connections.get(peer, 0)
        if present + size_bytes > self._max_connection_bytes and present:
            raise _overloaded("this connection", self._max_connection_bytes)
        if self.server_bytes + size_bytes > self._max_server_bytes and self.server_bytes:
            raise _overloaded("the server", self._max_server_bytes)
        self._connections[peer] = present + size_bytes
        self.server_bytes += size_bytes

        def leave() -> None:
            self.server_bytes -= size_bytes
            left = self._connections[peer] - size_bytes
            if left:
                self._connections[peer] = left
            else:
                del self._connections[peer]

        return leave


def _overloaded(whose: str, limit_bytes: int) -> Refusal:
    return Refusal(
        Reason.OVERLOADED,
        f"More than {limit_bytes} bytes of {whose} are in flight. Wait for answers before sending more.",
        retry_after_ms=_RETRY_MS,
    )
