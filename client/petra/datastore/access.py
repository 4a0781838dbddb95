"""Who sees a stored object, and what becomes of it when it is put or shared. Pure.

An object is a mapping with `_auth`, the ids of the users whom it names, in the order in which they came. They are
equal: each may read, put, share and delete it. The system, whose user id is None, sees and may do everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from petra.datastore.errors import LastOwner, NotFoundOrNoAccess
from petra.errors import InvalidArgument
from petra.values import Value

AUTH = "_auth"

# What a class stores under a key, with `_auth`.
StoredObject: TypeAlias = dict[str, Value]
# The user of a store; None is the system.
UserId: TypeAlias = str | None


def visible(value: Value, user_id: UserId) -> StoredObject | None:
    """The object that an entry holds, or None when this user does not see it, or when it is no object."""
    if not isinstance(value, dict):
        return None
    return value if user_id is None or user_id in users_of(value) else None


def users_of(stored: Mapping[str, Value]) -> list[str]:
    """The users whom an object names. What some other program has written there names nobody."""
    users = stored.get(AUTH)
    return [user for user in users if isinstance(user, str)] if isinstance(users, list) else []


def checked_data(data: object) -> Mapping[str, Value]:
    """What may be put. Raises InvalidArgument."""
    if not isinstance(data, Mapping):
        raise InvalidArgument(f"data is a mapping, not {type(data).__name__}.", field="data")
    for name in data:
        if not isinstance(name, str):
            raise InvalidArgument(f"data has the field {name!r}; names of fields are strings.", field="data")
    return data


def users_to_store(present: list[str] | None, given: Value, user_id: UserId) -> list[str]:
    """The users of an object that is put: those whom it names already, or else who puts it.

    What a user gives as `_auth` does not count: access is changed by sharing alone. What the system gives does.
    """
    if user_id is None and given is not None:
        return checked_users(given)
    if present is not None:
        return present
    return [] if user_id is None else [user_id]


def checked_users(users: object) -> list[str]:
    """A list of user ids, each once. Raises InvalidArgument."""
    if not isinstance(users, list | tuple) or not all(isinstance(user, str) and user for user in users):
        raise InvalidArgument(f"{AUTH} is a list of user ids, not {users!r}.", field=AUTH)
    return list(dict.fromkeys(users))


def put_over(present: Value, data: Mapping[str, Value], user_id: UserId, where: tuple[str, str]) -> StoredObject:
    """The object to store. `present` is what the entry holds, None when there is none.

    Raises NotFoundOrNoAccess when somebody else's object is there.
    """
    seen = visible(present, user_id)
    if present is not None and seen is None and user_id is not None:
        raise NotFoundOrNoAccess(*where)
    users = users_to_store(None if seen is None else users_of(seen), data.get(AUTH), user_id)
    return {**data, AUTH: users}


def shared(stored: StoredObject, user_id: str) -> StoredObject | None:
    """The object with one more user, or None when it names them already."""
    users = users_of(stored)
    return None if user_id in users else {**stored, AUTH: [*users, user_id]}


def unshared(stored: StoredObject, user_id: str, by: UserId) -> StoredObject | None:
    """The object with one user less, or None when it does not name them. Raises LastOwner, but not for the system."""
    users = users_of(stored)
    if user_id not in users:
        return None
    if users == [user_id] and by is not None:
        raise LastOwner(f"The object names {user_id!r} alone: nobody would see it any more. Delete it instead.")
    return {**stored, AUTH: [user for user in users if user != user_id]}
