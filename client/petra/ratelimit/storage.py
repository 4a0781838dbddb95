"""Plain storage for programs that do their own rate limiting or sessions: a value under a key, with an expiry.

What it stores is under `bucket:<key>` and `session:<SHA-256 of the id>`. For exact limits use RateLimiter, and for
sessions with time-outs and rotation petra.sessions.
"""

from __future__ import annotations

from hashlib import sha256

from petra._layers import own_handle
from petra.objects import AsyncNamespace
from petra.values import Seconds, Value

_SESSION_SECONDS = 7 * 24 * 3_600


class StorageHelpers:
    """Gets and sets rate-limit buckets and sessions. A value is anything that JSON has."""

    def __init__(self, client: AsyncNamespace) -> None:
        """`client` is an AsyncClient or a namespace of one. Raises TypeError for a client of the other tree."""
        self._entries = own_handle(client, AsyncNamespace, "ratelimit")

    async def get_rate_limit(self, key: str) -> Value | None:
        """The bucket of a key, or None."""
        return await self._entries.get(f"bucket:{key}")

    async def set_rate_limit(self, key: str, bucket: Value, *, ttl: Seconds | None = None) -> None:
        """Replaces the bucket of a key. It is gone after `ttl` seconds, or never."""
        await self._entries.set(f"bucket:{key}", bucket, ttl=ttl)

    async def get_session(self, session_id: str) -> Value | None:
        """The session with that id, or None."""
        return await self._entries.get(_session_key(session_id))

    async def set_session(self, session_id: str, session: Value, *, ttl: Seconds = _SESSION_SECONDS) -> None:
        """Replaces the session with that id. It is gone after `ttl` seconds, 7 days unless given."""
        await self._entries.set(_session_key(session_id), session, ttl=ttl)


def _session_key(session_id: str) -> str:
    # The id is a secret, and who reads the store should not have it.
    return f"session:{sha256(session_id.encode(errors='surrogatepass')).hexdigest()}"
