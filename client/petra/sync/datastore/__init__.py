# Written by tools/blocking.py from petra/datastore/__init__.py: change that, and run make blocking.
"""Objects and lists that only those see whom they name, on the keys and the SQL database of one object.

`Datastore` of this package is for asyncio, the one of petra.sync.datastore for threads; they have the same methods.
"""

from __future__ import annotations

from petra.datastore.classes import StorageClass, StorageClasses
from petra.datastore.errors import LastOwner, NotFoundOrNoAccess, UnknownClass
from petra.datastore.keys import composite_key
from petra.datastore.results import D1Meta, D1Result
from petra.sync.datastore.d1 import D1Adapter
from petra.sync.datastore.kv import KVAdapter
from petra.sync.datastore.store import Datastore, Store

__all__ = [
    "D1Adapter",
    "D1Meta",
    "D1Result",
    "Datastore",
    "KVAdapter",
    "LastOwner",
    "NotFoundOrNoAccess",
    "StorageClass",
    "StorageClasses",
    "Store",
    "UnknownClass",
    "composite_key",
]
