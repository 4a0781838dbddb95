"""Objects and lists that only those see whom they name, on the keys and the SQL database of one object.

`Datastore` of this package is for asyncio, the one of petra.sync.datastore for threads; they have the same methods.
"""

from __future__ import annotations

from petra.datastore.classes import StorageClass, StorageClasses
from petra.datastore.d1 import D1Adapter
from petra.datastore.errors import LastOwner, NotFoundOrNoAccess, UnknownClass
from petra.datastore.keys import composite_key
from petra.datastore.kv import KVAdapter
from petra.datastore.results import D1Meta, D1Result
from petra.datastore.store import Datastore, Store

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
