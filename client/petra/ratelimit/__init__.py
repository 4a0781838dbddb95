"""Rate limits: exact under any concurrency, as each check is one turn of the server.

`petra.ratelimit` is for asyncio, `petra.sync.ratelimit` for threads; `petra.ratelimit.asgi` has the middleware.
"""

from __future__ import annotations

from petra.ratelimit.limiter import RateLimiter
from petra.ratelimit.rules import RateLimited
from petra.ratelimit.storage import StorageHelpers
from petra.values import RateLimit, Throttled

__all__ = ["RateLimit", "RateLimited", "RateLimiter", "StorageHelpers", "Throttled"]
