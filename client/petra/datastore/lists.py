"""Lists of keys, such as the projects of a user: what an entry of a list holds, and how it changes. Pure.

A list is a stored object as any other, `{"items": [...], "_auth": [...]}`. Its items are strings, each once, in the
order in which they were added.
"""

from __future__ import annotations

from petra.datastore.access import AUTH, StoredObject, UserId, users_to_store, visible
from petra.datastore.errors import NotFoundOrNoAccess
from petra.values import Value

ITEMS = "items"


def items_of(stored: StoredObject | None) -> list[str]:
    """The items of a list; a list that is not there, or not seen, has none."""
    items = None if stored is None else stored.get(ITEMS)
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def added(present: Value, item: str, user_id: UserId, where: tuple[str, str]) -> StoredObject | None:
    """The list with one more item at its end, or None when it has it already.

    A list that is not there is made, and names who makes it. Raises NotFoundOrNoAccess for somebody else's.
    """
    seen = visible(present, user_id)
    if seen is None:
        if present is not None:
            raise NotFoundOrNoAccess(*where)
        return {ITEMS: [item], AUTH: users_to_store(None, None, user_id)}
    items = items_of(seen)
    return None if item in items else {**seen, ITEMS: [*items, item]}


def removed(stored: StoredObject, item: str) -> StoredObject | None:
    """The list without an item, or None when it does not have it."""
    items = items_of(stored)
    return {**stored, ITEMS: [each for each in items if each != item]} if item in items else None
