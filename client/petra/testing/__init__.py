"""A real server for tests: in this process, on a free port, with a clock that the test moves.

pytest finds the fixtures `petra_server`, `petra_client`, `petra_async_client` and `petra_namespace` by itself. Without
pytest, use `TestServer`. Both need the server's packages: pip install "petra[server]".
"""

from __future__ import annotations

from petra.testing.clock import TestClock
from petra.testing.server import TestServer

__all__ = ["TestClock", "TestServer"]
