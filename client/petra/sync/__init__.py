"""The blocking mirror of the asynchronous client, for threads."""

from __future__ import annotations

from petra.sync.client import Client
from petra.sync.database import Sql
from petra.sync.objects import Entries, Namespace, Object, Pipeline
from petra.sync.rows import Rows
from petra.sync.transaction import Transaction

__all__ = ["Client", "Entries", "Namespace", "Object", "Pipeline", "Rows", "Sql", "Transaction"]
