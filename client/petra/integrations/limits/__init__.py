"""Storage for the library `limits`, and so for Flask-Limiter and slowapi.

Import this module once; `petra://host:port` and `async+petra://host:port` are then URIs of storages. Needs
`pip install "petra[limits]"`.
"""

from __future__ import annotations

from petra.integrations.limits.aio import AsyncPetraStorage
from petra.integrations.limits.storage import PetraStorage

__all__ = ["AsyncPetraStorage", "PetraStorage"]
