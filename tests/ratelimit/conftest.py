"""The server, and both trees of the client."""

from __future__ import annotations

from tests.support.layers import client, namespace, pytest_pyfunc_call, runner, server, tree

__all__ = ["client", "namespace", "pytest_pyfunc_call", "runner", "server", "tree"]
