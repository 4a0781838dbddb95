# Written by tools/blocking.py from petra/datastore/store.py: change that, and run make blocking.
"""A datastore, and what one user sees of it.

Nothing is kept here: handles may be made anywhere and as often as one likes, and be shared as the client is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from petra._layers import own_handle
from petra.datastore.access import StoredObject, UserId
from petra.datastore.classes import StorageClasses
from petra.datastore.keys import checked_count, checked_part, checked_user
from petra.datastore.logs import AnyLogger, OperationLog
from petra.errors import InvalidArgument
from petra.sync.datastore.d1 import D1Adapter
from petra.sync.datastore.kv import KVAdapter
from petra.sync.objects import Namespace, Object
from petra.values import Seconds, Value


class Datastore:
    """Objects in one namespace: those of one object, named after the database, and flat keys.

    It has no way to read or write by itself: `auth` says for whom that is done.
    """

    def __init__(
        self,
        client: Namespace,
        database: str = "main",
        logger: AnyLogger | None = None,
        *,
        classes: StorageClasses | None = None,
    ) -> None:
        """A datastore in the namespace of `client`, a client or a handle of a namespace. Nothing is sent yet.

        `logger` gets a line for each operation: a standard logger or one of structlog; petra.datastore unless given.
        `classes` are the storage classes, the standard ones unless given. Raises InvalidArgument for a database with a
        colon in its name, and TypeError for a client of the other kind.
        """
        self.client: Namespace = own_handle(client, Namespace, "datastore")
        self.name = checked_part(database, "database")
        self.database: Object = self.client.object(self.name)
        self.classes = StorageClasses() if classes is None else classes
        self.log = OperationLog(self.name, logger)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self.client!r}>"

    def auth(self, user_id: str) -> Store:
        """What this user sees and may do. Raises InvalidArgument for an empty id, and for None."""
        return Store(self, checked_user(user_id))

    def system(self) -> Store:
        """The store without a user, which sees and may do everything. For the application itself."""
        return Store(self, None)


class Store:
    """A datastore as one user sees it; the user None is the system.

    Each method takes the name of a storage class first, and raises UnknownClass when there is none. Whether it is on KV
    or on D1, the methods are the same.
    """

    def __init__(self, datastore: Datastore, user_id: UserId) -> None:
        """Made by `Datastore.auth` and `Datastore.system`."""
        self.datastore = datastore
        self.user_id = user_id
        self.database = datastore.database
        self.log = datastore.log
        self.KV = KVAdapter(self)
        self.D1 = D1Adapter(self)

    def __repr__(self) -> str:
        who = "system" if self.user_id is None else f"user {self.user_id!r}"
        return f"<{type(self).__name__} of the {who} on {self.datastore.name!r}>"

    def get(self, cls: str, key: str) -> StoredObject | None:
        """The object with its `_auth`, or None when there is none or it does not name the user."""
        return self._adapter(cls).get(cls, key)

    def exists(self, cls: str, key: str) -> bool:
        """Whether there is such an object and the user sees it."""
        return self._adapter(cls).exists(cls, key)

    def get_many(self, cls: str, keys: Iterable[str]) -> dict[str, StoredObject]:
        """The objects by their keys, without those that are not there or not seen."""
        return self._adapter(cls).get_many(cls, keys)

    def put(self, cls: str, key: str, data: Mapping[str, Value], *, ttl: Seconds | None = None) -> StoredObject:
        """Writes an object whole, and returns it with its `_auth`.

        A new one names the user; one that is there keeps its users, and what `data` has as `_auth` counts for the
        system alone. It lives for `ttl`, in seconds or as a timedelta, or for that of its class; rows of D1 do not
        expire. Raises NotFoundOrNoAccess, and changes nothing, when it is somebody else's.
        """
        if self._on_kv(cls):
            return self.KV.put(cls, key, data, ttl=ttl)
        self._refuse_ttl(cls, ttl)
        return self.D1.put(cls, key, data)

    def put_many(
        self, cls: str, items: Mapping[str, Mapping[str, Value]], *, ttl: Seconds | None = None
    ) -> dict[str, StoredObject]:
        """Writes many objects as `put`, and returns them. When one of them is somebody else's, nothing is written.

        It is one atomic step, unless the class is sharded: then, when this fails for another reason, some may have been
        written. At once it takes 1,000 objects of KV in the database, and 10,000 rows.
        """
        if self._on_kv(cls):
            return self.KV.put_many(cls, items, ttl=ttl)
        self._refuse_ttl(cls, ttl)
        return self.D1.put_many(cls, items)

    def delete(self, cls: str, key: str) -> None:
        """Removes an object. Raises NotFoundOrNoAccess when there is none or it does not name the user."""
        self._adapter(cls).delete(cls, key)

    def share(self, cls: str, key: str, user_id: str) -> list[str]:
        """Lets another user see and change an object, and returns all whom it names now.

        Raises NotFoundOrNoAccess when there is none or it does not name the user of the store.
        """
        return self._adapter(cls).share(cls, key, user_id)

    def unshare(self, cls: str, key: str, user_id: str) -> list[str]:
        """Takes an object out of a user's sight, and returns all whom it names now. It may be the store's own user.

        Raises LastOwner when it names nobody else, but not to the system; and NotFoundOrNoAccess as `share`.
        """
        return self._adapter(cls).unshare(cls, key, user_id)

    # Lists of keys, which a pointer leads to, such as composite_key("projects", "user_123").

    def get_list(self, pointer: str) -> list[str]:
        """The items of a list, in the order in which they were added; none when it is not there or not seen."""
        return self.KV.get_list(pointer)

    def query_list_by_pointer(
        self, cls: str, pointer: str, *, limit: int | None = None, offset: int = 0
    ) -> list[StoredObject]:
        """The objects of a class whose keys are the items of a list, in its order.

        Those that are not there or not seen are left out. `limit` and `offset` count items.
        """
        items = self.get_list(pointer)
        wanted = items[checked_count(offset, "offset") :][: None if limit is None else checked_count(limit, "limit")]
        return list((self.get_many(cls, wanted)).values())

    def query_list_add_item(self, pointer: str, item: str) -> bool:
        """Adds an item at the end of a list, once; returns whether it is new. However many do so, none is lost.

        A list that is not there is made, and names the user. Raises NotFoundOrNoAccess when it is somebody else's.
        """
        return self.KV.query_list_add_item(pointer, item)

    def query_list_remove_item(self, pointer: str, item: str) -> bool:
        """Removes an item; returns whether it was there. A list that is not there or not seen stays as it is."""
        return self.KV.query_list_remove_item(pointer, item)

    def query_list_clear(self, pointer: str) -> int:
        """Removes all items; returns how many there were. The list itself, and whom it names, stay."""
        return self.KV.query_list_clear(pointer)

    def _adapter(self, cls: str) -> KVAdapter | D1Adapter:
        return self.KV if self._on_kv(cls) else self.D1

    def _on_kv(self, cls: str) -> bool:
        return self.datastore.classes[cls].adapter == "kv"

    def _refuse_ttl(self, cls: str, ttl: Seconds | None) -> None:
        if ttl is not None:
            raise InvalidArgument(f"{cls} is on D1, whose rows do not expire. Leave ttl out.", field="ttl")
