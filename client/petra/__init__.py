"""Petra's client for Python.

`AsyncClient` for asyncio and `Client` for threads have the same methods; `petra.errors` holds what they raise.

PYTEST_DONT_REWRITE (or pytest, which loads the plugin of this package, warns programs that import it before pytest)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from petra.client import AsyncClient
    from petra.database import AsyncSql
    from petra.deferred import Deferred
    from petra.errors import PetraError, VersionConflict
    from petra.objects import AsyncNamespace, AsyncObject, AsyncPipeline
    from petra.rows import AsyncRows
    from petra.server_info import ActorInfo, Limits, ServerInfo
    from petra.sql import Column, DatabaseInfo, Result, Row, Statement
    from petra.sync import Client, Namespace, Object, Pipeline, Rows, Sql, Transaction
    from petra.transaction import AsyncTransaction
    from petra.values import Codec, Encoding, Entry, JSONCodec, RateLimit, Throttled

__all__ = [
    "ActorInfo",
    "AsyncClient",
    "AsyncNamespace",
    "AsyncObject",
    "AsyncPipeline",
    "AsyncRows",
    "AsyncSql",
    "AsyncTransaction",
    "Client",
    "Codec",
    "Column",
    "DatabaseInfo",
    "Deferred",
    "Encoding",
    "Entry",
    "JSONCodec",
    "Limits",
    "Namespace",
    "Object",
    "PetraError",
    "Pipeline",
    "RateLimit",
    "Result",
    "Row",
    "Rows",
    "ServerInfo",
    "Sql",
    "Statement",
    "Throttled",
    "Transaction",
    "VersionConflict",
]

# Modules are loaded when they are first asked for: the server imports petra.v1, pytest the plugin, and the shell the
# command line, and none of them should have to load the whole client.
_MODULES = {
    "client": ("AsyncClient",),
    "deferred": ("Deferred",),
    "errors": ("PetraError", "VersionConflict"),
    "database": ("AsyncSql",),
    "objects": ("AsyncNamespace", "AsyncObject", "AsyncPipeline"),
    "server_info": ("ActorInfo", "Limits", "ServerInfo"),
    "rows": ("AsyncRows",),
    "sql": ("Column", "DatabaseInfo", "Result", "Row", "Statement"),
    "sync": ("Client", "Namespace", "Object", "Pipeline", "Rows", "Sql", "Transaction"),
    "transaction": ("AsyncTransaction",),
    "values": ("Codec", "Encoding", "Entry", "JSONCodec", "RateLimit", "Throttled"),
}

if not TYPE_CHECKING:
    # Type checkers would take this for leave to import any name.
    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f"petra.{name}")
        for module, names in _MODULES.items():
            if name in names:
                return globals().setdefault(name, getattr(import_module(f"petra.{module}"), name))
        raise AttributeError(f"module 'petra' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_MODULES})
