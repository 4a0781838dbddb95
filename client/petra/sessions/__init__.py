"""Sessions of web applications: unguessable ids of which only hashes are stored, time-outs by the server's clock.

`petra.sessions` is for asyncio, `petra.sync.sessions` for threads; `petra.sessions.asgi` has the middleware.
"""

from __future__ import annotations

from petra.sessions.records import Session, SessionInfo
from petra.sessions.store import Sessions

__all__ = ["Session", "SessionInfo", "Sessions"]
