"""Users: created, found by id or address, changed, deleted, listed."""

from __future__ import annotations

from collections.abc import Mapping

import petra.stores.tables as tables
from petra.auth.accounts import normal_email
from petra.errors import InvalidArgument
from petra.stores.arguments import json_text, own_or_new_id, text
from petra.stores.errors import NotFound
from petra.stores.execution import Tables
from petra.stores.records import Page, User, user_of
from petra.values import Value


class UserStore:
    """Users of an application. An address belongs to one of them at most, however it is written.

    Every method raises NotInitialized before the tables were made.
    """

    def __init__(self, execution: Tables) -> None:
        """Made by DatabaseStore."""
        self._tables = execution

    async def create(
        self, email: str, *, name: str = "", data: Mapping[str, Value] | None = None, user_id: str | None = None
    ) -> User:
        """A new user, with an id of the application's (that of an account of petra.auth, say) or one that is made.

        `data` is anything that JSON has, by name. Raises EmailTaken, AlreadyExists for the id, and InvalidArgument.
        """
        address = normal_email(email)
        row = {
            "id": own_or_new_id(user_id, "user_id"),
            "email": address,
            "name": text(name, "name"),
            "data": json_text(data or {}),
        }
        return user_of((await self._tables.execute(tables.CREATE_USER, row, email=address)).one())

    async def get(self, user_id: str) -> User | None:
        """The user with an id, or None."""
        row = (await self._tables.execute(tables.GET_USER, {"id": user_id})).first()
        return None if row is None else user_of(row)

    async def get_by_email(self, email: str) -> User | None:
        """The user with an address, or None; also for what is no address."""
        try:
            address = normal_email(email)
        except InvalidArgument:
            return None
        row = (await self._tables.execute(tables.GET_USER_BY_EMAIL, {"email": address})).first()
        return None if row is None else user_of(row)

    async def update(
        self,
        user_id: str,
        *,
        email: str | None = None,
        name: str | None = None,
        data: Mapping[str, Value] | None = None,
    ) -> User:
        """Replaces what is given, and returns the user as it is then. Raises NotFound, EmailTaken, InvalidArgument."""
        address = None if email is None else normal_email(email)
        row = {
            "id": user_id,
            "email": address,
            "name": None if name is None else text(name, "name"),
            "data": None if data is None else json_text(data),
        }
        changed = (await self._tables.execute(tables.UPDATE_USER, row, email=address)).first()
        if changed is None:
            raise NotFound("There is no such user.")
        return user_of(changed)

    async def delete(self, user_id: str) -> bool:
        """Deletes a user with all memberships, and returns whether there was one."""
        return (await self._tables.execute(tables.DELETE_USER, {"id": user_id})).changes > 0

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[User]:
        """A page of all users, the oldest first. `limit` is 1,000 at most, `cursor` the `next_cursor` of a page."""
        return await self._tables.page(tables.LIST_USERS, {}, user_of, limit=limit, cursor=cursor)
