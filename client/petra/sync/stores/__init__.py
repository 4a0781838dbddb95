# Written by tools/blocking.py from petra/stores/__init__.py: change that, and run make blocking.
"""Stores of an application: SQL migrations; users, clusters and instances as rows; sessions, states, codes as keys.

`petra.stores` is for asyncio, `petra.sync.stores` for threads.
"""

from __future__ import annotations

from petra.stores.errors import (
    AlreadyExists,
    EmailTaken,
    MigrationConflict,
    MigrationFailed,
    NotFound,
    NotInitialized,
)
from petra.stores.history import MigrationStatus
from petra.stores.records import Cluster, Instance, Member, Page, User
from petra.stores.signed_in import SignedIn
from petra.sync.stores.clusters import ClusterStore
from petra.sync.stores.instances import InstanceStore
from petra.sync.stores.kv import KVStore
from petra.sync.stores.migrate import Migrations
from petra.sync.stores.store import DatabaseStore
from petra.sync.stores.users import UserStore

__all__ = [
    "AlreadyExists",
    "Cluster",
    "ClusterStore",
    "DatabaseStore",
    "EmailTaken",
    "Instance",
    "InstanceStore",
    "KVStore",
    "Member",
    "MigrationConflict",
    "MigrationFailed",
    "MigrationStatus",
    "Migrations",
    "NotFound",
    "NotInitialized",
    "Page",
    "SignedIn",
    "User",
    "UserStore",
]
