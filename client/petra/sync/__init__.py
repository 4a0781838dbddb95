"""The blocking mirror of the asynchronous client, for threads."""

from __future__ import annotations

from petra.sync.client import Client
from petra.sync.objects import Entries, Namespace, Object, Pipeline, Transaction

__all__ = ["Client", "Entries", "Namespace", "Object", "Pipeline", "Transaction"]
