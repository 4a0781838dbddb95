# Written by tools/blocking.py from petra/datastore/kv.py: change that, and run make blocking.
"""Objects and lists on keys: one entry each, in the datastore's object or among the flat keys.

Every change is conditional on the version that it was decided by, and decided anew when somebody was faster: nothing of
others is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import petra.datastore.lists as lists
from petra.contention import Contention
from petra.datastore.access import StoredObject, checked_data, put_over, shared, unshared, users_of, visible
from petra.datastore.classes import StorageClass
from petra.datastore.errors import NotFoundOrNoAccess
from petra.datastore.keys import checked_text, checked_user, flat_key, key_in_database
from petra.errors import VersionConflict
from petra.sync._waiting import pause
from petra.sync.objects import Entries
from petra.values import Seconds, Value

if TYPE_CHECKING:
    from petra.sync.datastore.store import Store

# The class that holds the lists.
LIST = "LIST"

# Entries of an object that are read at once: of 60 KiB each they fit into one answer.
_PORTION = 250

# A list that hundreds change at once lets each of them through within a few seconds. Each call to the server has the
# client's own time-out beside.
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object is stored, or is to be."""

    entries: Entries
    storage_class: StorageClass
    # As users say it, and as it is stored.
    key: str
    stored_key: str

    @property
    def named(self) -> tuple[str, str]:
        return self.storage_class.name, self.key


class KVAdapter:
    """The classes of a store that are on keys."""

    def __init__(self, store: Store) -> None:
        """Made by a store."""
        self._store = store

    def get(self, cls: str, key: str) -> StoredObject | None:
        """The object with its `_auth`, or None when there is none or it does not name the user."""
        place = self._place(cls, key)
        with self._store.log.operation("get", cls, key) as outcome:
            value = place.entries.get(place.stored_key)
            seen = visible(value, self._store.user_id)
            if seen is None:
                outcome.text = "absent" if value is None else "no_access"
            return seen

    def exists(self, cls: str, key: str) -> bool:
        """Whether there is such an object and the user sees it."""
        place = self._place(cls, key)
        with self._store.log.operation("exists", cls, key) as outcome:
            value = place.entries.get(place.stored_key)
            seen = visible(value, self._store.user_id) is not None
            if not seen:
                outcome.text = "absent" if value is None else "no_access"
            return seen

    def get_many(self, cls: str, keys: Iterable[str]) -> dict[str, StoredObject]:
        """The objects by their keys, without those that are not there or not seen."""
        places = self._places(cls, keys)
        with self._store.log.operation("get_many", cls, f"{len(places)} keys"):
            return self._visible(places) if places else {}

    def put(self, cls: str, key: str, data: Mapping[str, Value], *, ttl: Seconds | None = None) -> StoredObject:
        """Writes an object whole, and returns it with its `_auth`.

        A new one names the user; one that is there keeps its users. It lives for `ttl`, or that of its class. Raises
        NotFoundOrNoAccess, and changes nothing, when it is somebody else's.
        """
        place, data = self._place(cls, key), checked_data(data)
        with self._store.log.operation("put", cls, key):
            made = self._change(
                place,
                lambda present: put_over(present, data, self._store.user_id, place.named),
                ttl=place.storage_class.ttl if ttl is None else ttl,
                keep_ttl=False,
            )
            assert made is not None
            return made

    def put_many(
        self, cls: str, items: Mapping[str, Mapping[str, Value]], *, ttl: Seconds | None = None
    ) -> dict[str, StoredObject]:
        """Writes many objects as `put`, and returns them. When one of them is somebody else's, nothing is written.

        In the database it is one atomic step, of at most 1,000 objects. Objects of a sharded class live in many actors:
        when this fails for another reason, some may have been written.
        """
        places = self._places(cls, items)
        data = {place: checked_data(items[place.key]) for place in places}
        with self._store.log.operation("put_many", cls, f"{len(places)} keys"):
            if not places:
                return {}
            return self._put_all(data, places[0].storage_class.ttl if ttl is None else ttl)

    def delete(self, cls: str, key: str) -> None:
        """Removes an object. Raises NotFoundOrNoAccess when there is none or it does not name the user."""
        place = self._place(cls, key)
        with self._store.log.operation("delete", cls, key):
            contention = Contention(_PATIENCE_S)
            while True:
                entry = place.entries.get_entry(place.stored_key)
                if entry is None or visible(entry.value, self._store.user_id) is None:
                    raise NotFoundOrNoAccess(*place.named)
                try:
                    place.entries.delete(place.stored_key, if_version=entry.version)
                except VersionConflict as conflict:
                    pause(contention.pause(conflict))
                else:
                    return

    def share(self, cls: str, key: str, user_id: str) -> list[str]:
        """Lets another user see and change an object, and returns all whom it names now.

        Raises NotFoundOrNoAccess when there is none or it does not name the user of the store.
        """
        place, other = self._place(cls, key), checked_user(user_id)
        with self._store.log.operation("share", cls, key):
            return self._change_users(place, lambda stored: shared(stored, other))

    def unshare(self, cls: str, key: str, user_id: str) -> list[str]:
        """Takes an object out of a user's sight, and returns all whom it names now. It may be the store's own user.

        Raises LastOwner when it names nobody else, but not to the system; and NotFoundOrNoAccess as `share`.
        """
        place, other = self._place(cls, key), checked_user(user_id)
        with self._store.log.operation("unshare", cls, key):
            return self._change_users(place, lambda stored: unshared(stored, other, self._store.user_id))

    # Lists.

    def get_list(self, pointer: str) -> list[str]:
        """The items of a list, in the order in which they were added; none when it is not there or not seen."""
        place = self._place(LIST, pointer)
        with self._store.log.operation("get_list", LIST, pointer):
            return lists.items_of(visible(place.entries.get(place.stored_key), self._store.user_id))

    def query_list_add_item(self, pointer: str, item: str) -> bool:
        """Adds an item at the end of a list, once; returns whether it is new.

        A list that is not there is made, and names the user. Raises NotFoundOrNoAccess when it is somebody else's.
        """
        place, item = self._place(LIST, pointer), checked_text(item, "item")
        with self._store.log.operation("query_list_add_item", LIST, pointer):
            made = self._change(
                place, lambda present: lists.added(present, item, self._store.user_id, place.named), ttl=None
            )
            return made is not None

    def query_list_remove_item(self, pointer: str, item: str) -> bool:
        """Removes an item; returns whether it was there. What is not there or not seen stays as it is."""
        place, item = self._place(LIST, pointer), checked_text(item, "item")
        with self._store.log.operation("query_list_remove_item", LIST, pointer):
            made = self._change(place, self._if_seen(lambda stored: lists.removed(stored, item)), ttl=None)
            return made is not None

    def query_list_clear(self, pointer: str) -> int:
        """Removes all items; returns how many there were. The list itself, and whom it names, stay."""
        place = self._place(LIST, pointer)
        removed: list[str] = []

        def emptied(stored: StoredObject) -> StoredObject | None:
            removed[:] = lists.items_of(stored)
            return {**stored, lists.ITEMS: []} if removed else None

        with self._store.log.operation("query_list_clear", LIST, pointer):
            made = self._change(place, self._if_seen(emptied), ttl=None)
            return 0 if made is None else len(removed)

    # The common parts.

    def _change(
        self,
        place: _Place,
        decide: Callable[[Value], StoredObject | None],
        *,
        ttl: Seconds | None,
        keep_ttl: bool = True,
    ) -> StoredObject | None:
        """Replaces what is stored by what `decide` makes of it, and returns that. None changes nothing."""
        contention = Contention(_PATIENCE_S)
        while True:
            entry = place.entries.get_entry(place.stored_key)
            made = decide(None if entry is None else entry.value)
            if made is None:
                return None
            kept = keep_ttl and entry is not None
            try:
                place.entries.set(
                    place.stored_key,
                    made,
                    ttl=None if kept else ttl,
                    keep_ttl=kept,
                    if_version=0 if entry is None else entry.version,
                )
            except VersionConflict as conflict:
                pause(contention.pause(conflict))
            else:
                return made

    def _change_users(self, place: _Place, decide: Callable[[StoredObject], StoredObject | None]) -> list[str]:
        last: list[StoredObject] = []

        def changed(present: Value) -> StoredObject | None:
            seen = visible(present, self._store.user_id)
            if seen is None:
                raise NotFoundOrNoAccess(*place.named)
            made = decide(seen)
            last[:] = [seen if made is None else made]
            return made

        self._change(place, changed, ttl=None)
        return users_of(last[0])

    def _visible(self, places: list[_Place]) -> dict[str, StoredObject]:
        seen: dict[str, StoredObject] = {}
        for first in range(0, len(places), _PORTION):
            portion = places[first : first + _PORTION]
            values = portion[0].entries.get_many(place.stored_key for place in portion)
            for place in portion:
                stored = visible(values.get(place.stored_key), self._store.user_id)
                if stored is not None:
                    seen[place.key] = stored
        return seen

    def _put_all(self, data: Mapping[_Place, Mapping[str, Value]], ttl: Seconds | None) -> dict[str, StoredObject]:
        """Decides all before it writes any, and decides those anew that somebody else was changing."""
        contention, made, left = Contention(_PATIENCE_S), dict[str, StoredObject](), list(data)
        while True:
            entries = left[0].entries.get_entries(place.stored_key for place in left)
            decided = {
                place: put_over(
                    entries[place.stored_key].value if place.stored_key in entries else None,
                    data[place],
                    self._store.user_id,
                    place.named,
                )
                for place in left
            }
            versions = {key: entry.version for key, entry in entries.items()}
            overtaken = self._write(decided, versions, ttl)
            made |= {place.key: stored for place, stored in decided.items() if place not in overtaken}
            if not overtaken:
                return {place.key: made[place.key] for place in data}
            left = list(overtaken)
            pause(contention.pause(overtaken[left[0]]))

    def _write(
        self, decided: Mapping[_Place, StoredObject], versions: Mapping[str, int], ttl: Seconds | None
    ) -> dict[_Place, VersionConflict]:
        """Writes objects that still have these versions; returns those that were not written."""
        first = next(iter(decided))
        if first.storage_class.placement == "database":
            items = {place.stored_key: stored for place, stored in decided.items()}
            try:
                first.entries.set_many(items, ttl=ttl, if_versions={key: versions.get(key, 0) for key in items})
            except VersionConflict as conflict:
                return dict.fromkeys(decided, conflict)
            return {}
        pipeline = first.entries.pipeline()
        for place, stored in decided.items():
            pipeline.set(place.stored_key, stored, ttl=ttl, if_version=versions.get(place.stored_key, 0))
        overtaken: dict[_Place, VersionConflict] = {}
        for place, result in zip(decided, pipeline.execute(), strict=True):
            if isinstance(result, VersionConflict):
                overtaken[place] = result
            elif isinstance(result, Exception):
                raise result
        return overtaken

    def _if_seen(self, decide: Callable[[StoredObject], StoredObject | None]) -> Callable[[Value], StoredObject | None]:
        def decided(present: Value) -> StoredObject | None:
            seen = visible(present, self._store.user_id)
            return None if seen is None else decide(seen)

        return decided

    def _places(self, cls: str, keys: Iterable[str]) -> list[_Place]:
        return [self._place(cls, key) for key in dict.fromkeys(keys)]

    def _place(self, cls: str, key: str) -> _Place:
        """Where an object is. Raises UnknownClass and InvalidArgument."""
        datastore = self._store.datastore
        found = datastore.classes.on("kv", cls)
        checked_text(key, "key")
        if found.placement == "database":
            return _Place(datastore.database, found, key, key_in_database(found.prefix, key))
        return _Place(datastore.client, found, key, flat_key(datastore.name, found.prefix, key))
