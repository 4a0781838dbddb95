# Written by tools/blocking.py from petra/sessions/__init__.py: change that, and run make blocking.
"""Sessions of web applications: unguessable ids of which only hashes are stored, time-outs by the server's clock.

`petra.sessions` is for asyncio, `petra.sync.sessions` for threads; `petra.sessions.asgi` has the middleware.
"""

from __future__ import annotations

from petra.sessions.records import Session, SessionInfo
from petra.sync.sessions.store import Sessions

__all__ = ["Session", "SessionInfo", "Sessions"]
