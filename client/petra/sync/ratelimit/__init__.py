# Written by tools/blocking.py from petra/ratelimit/__init__.py: change that, and run make blocking.
"""Rate limits: exact under any concurrency, as each check is one turn of the server.

`petra.ratelimit` is for asyncio, `petra.sync.ratelimit` for threads; `petra.ratelimit.asgi` has the middleware.
"""

from __future__ import annotations

from petra.ratelimit.rules import RateLimited
from petra.sync.ratelimit.limiter import RateLimiter
from petra.sync.ratelimit.storage import StorageHelpers
from petra.values import RateLimit, Throttled

__all__ = ["RateLimit", "RateLimited", "RateLimiter", "StorageHelpers", "Throttled"]
