"""Petra's client for Python.

`AsyncClient` for asyncio and `Client` for threads have the same methods; `petra.errors` holds what they raise.
"""

from __future__ import annotations

from petra.client import AsyncClient
from petra.deferred import Deferred
from petra.errors import PetraError, VersionConflict
from petra.objects import AsyncNamespace, AsyncObject, AsyncPipeline, AsyncTransaction
from petra.server_info import ActorInfo, Limits, ServerInfo
from petra.sync import Client, Namespace, Object, Pipeline, Transaction
from petra.values import Codec, Encoding, Entry, JSONCodec, Throttled

__all__ = [
    "ActorInfo",
    "AsyncClient",
    "AsyncNamespace",
    "AsyncObject",
    "AsyncPipeline",
    "AsyncTransaction",
    "Client",
    "Codec",
    "Deferred",
    "Encoding",
    "Entry",
    "JSONCodec",
    "Limits",
    "Namespace",
    "Object",
    "PetraError",
    "Pipeline",
    "ServerInfo",
    "Throttled",
    "Transaction",
    "VersionConflict",
]
