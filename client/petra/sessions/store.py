"""Sessions, kept so that what must happen at once does.

All sessions of a user live in one object, `sessions:<hash of the user>`, and a session without a user in one of its
own. So a rotation is one transaction, and to end all of a user's sessions is to clear one object. Time-outs are
expiries of entries: they are exact to the millisecond of the server's clock, whatever the clocks of its clients say.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from datetime import timedelta

from petra._layers import own_handle
from petra.errors import DeadlineExceeded
from petra.objects import AsyncNamespace, AsyncObject
from petra.sessions.ids import SessionId, locator_of, new_handle, new_id, read_id
from petra.sessions.records import (
    Session,
    SessionInfo,
    Timing,
    fresh_key,
    merged,
    new_opened,
    new_record,
    object_name,
    read_list,
    read_session,
    session_key,
)
from petra.transaction import AsyncTransaction
from petra.values import Seconds, Value

_MILLISECOND = timedelta(milliseconds=1)
# A request on an object takes 1,024 keys.
_CHUNK = 1_000
# Nobody's sessions are all ended so many times in a row.
_BEGINNINGS = 20


class Sessions:
    """Creates, opens and ends sessions. Any number of these, in any number of processes, serve the same sessions."""

    def __init__(
        self,
        client: AsyncNamespace,
        *,
        absolute: Seconds = timedelta(days=7),
        idle: Seconds | None = None,
        touch_every: Seconds | None = None,
    ) -> None:
        """`client` is an AsyncClient or a namespace of one.

        A session ends `absolute` after it began, and when it is not used for `idle`, if that is given. Using a session
        writes only when `touch_every` has passed since it was last written: a tenth of `idle`, and five minutes at
        most, unless given. All in seconds or as timedeltas. Raises InvalidArgument, and TypeError for a client of the
        other tree.
        """
        self._entries = own_handle(client, AsyncNamespace, "sessions")
        self._timing = Timing.of(absolute, idle, touch_every)

    @property
    def absolute(self) -> timedelta:
        """How long a session lasts at most."""
        return self._timing.absolute_ms * _MILLISECOND

    async def create(
        self,
        user: str | None = None,
        data: Mapping[str, Value] | None = None,
        *,
        device: str = "",
        address: str = "",
    ) -> Session:
        """Begins a session, of a user or of nobody yet.

        `data` is anything that JSON has, by name. `device` and `address` are for lists, and kept to 500 characters.
        Raises DeadlineExceeded when the session is over before it can be read, again and again.
        """
        record = new_record(user, data or {}, device, address, self._timing)
        # All of a user's sessions may be ended right after this one was written; then it begins again.
        for _ in range(_BEGINNINGS):
            if (session := await self._begin(user, record)) is not None:
                return session
        raise DeadlineExceeded("The new session ended before it could be read. Its time-outs may be too short.")

    async def get(self, session_id: str) -> Session | None:
        """The session that an id opens, or None when it has ended. This counts as a use of it."""
        sid = read_id(session_id)
        if sid is None:
            return None
        entries = await self._place(sid).get_entries([sid.key, session_key(sid.handle), fresh_key(sid.handle)])
        session = read_session(sid, entries)
        if session is not None and fresh_key(sid.handle) not in entries:
            await self._renew(sid, entries[sid.key].value)
        return session

    async def update(
        self,
        session_id: str,
        changes: Mapping[str, Value],
        *,
        remove: Iterable[str] = (),
        if_version: int | None = None,
    ) -> Session | None:
        """Changes the data of a session name by name, and removes names; what others change meanwhile is kept.

        Returns the session as it is then, or None when it has ended. With `if_version`, raises VersionConflict when the
        session has another version by now. The time-outs are not affected.
        """
        sid = read_id(session_id)
        if sid is None:
            return None
        gone = tuple(remove)

        async def merge(transaction: AsyncTransaction) -> bool:
            found = await self._found(transaction, sid)
            if found is None:
                return False
            _, record = found
            if if_version is not None:
                transaction.check(session_key(sid.handle), if_version)
            changed = {**record, "data": merged(record["data"], changes, gone)}
            transaction.set(session_key(sid.handle), changed, keep_ttl=True)
            return True

        return await self._read(sid) if await self._place(sid).transact(merge) else None

    async def rotate(self, session_id: str, *, user: str | None = None) -> Session | None:
        """Gives a session a new id; from then on the old one opens nothing. None when it had ended already.

        Rotate whenever somebody gets more rights. With the name of another `user` the session becomes theirs, and its
        time-outs begin anew, as given here; otherwise they stay. Of two who rotate the same id, one gets None.
        """
        sid = read_id(session_id)
        if sid is None:
            return None

        async def turn(transaction: AsyncTransaction) -> tuple[Value, SessionId | None] | None:
            found = await self._found(transaction, sid)
            if found is None:
                return None
            opened, record = found
            transaction.delete(sid.key)
            if user is None or user == record["user"]:
                new = new_id(sid.locator, sid.handle)
                self._open(transaction, new, opened)
                return record, new
            self._remove(transaction, sid)
            return record, None

        turned = await self._place(sid).transact(turn)
        if turned is None:
            return None
        record, new = turned
        if new is not None:
            return await self._read(new)
        return await self.create(user, record["data"], device=record["device"], address=record["address"])

    async def delete(self, session_id: str) -> bool:
        """Ends a session, and returns whether it was open."""
        sid = read_id(session_id)
        if sid is None:
            return False

        async def end(transaction: AsyncTransaction) -> bool:
            if await self._found(transaction, sid) is None:
                return False
            transaction.delete(sid.key)
            self._remove(transaction, sid)
            return True

        return await self._place(sid).transact(end)

    async def list(self, user: str) -> builtins.list[SessionInfo]:
        """The open sessions of a user, the one that was used last first."""
        place = self._place_of(user)
        return read_list(user, {entry.key: entry async for entry in place.list()})

    async def end(self, user: str, handle: str) -> bool:
        """Ends a session of a user by its handle, as `list` tells it; returns whether there was one."""
        return await self._place_of(user).delete(session_key(handle))

    async def delete_all(self, user: str, *, keep: str | None = None) -> int:
        """Ends all sessions of a user at once, except the one with the id `keep`; returns how many were open.

        No session that began before is open afterwards, also when it is rotated meanwhile.
        """
        place = self._place_of(user)
        kept = read_id(keep) if keep is not None else None
        handles = {info.handle for info in await self.list(user)}
        if kept is None or kept.handle not in handles:
            await place.clear()
            return len(handles)
        # By their records, which stay where they are when an id is rotated: a list of many pages may miss the new id.
        own = session_key(kept.handle)
        others = [key async for key in place.list_keys(prefix=session_key("")) if key != own]
        for first in range(0, len(others), _CHUNK):
            await place.delete_many(others[first : first + _CHUNK])
        return len(handles) - 1

    # The entries of a session: see petra.sessions.records.

    def _place(self, sid: SessionId) -> AsyncObject:
        return self._entries.object(object_name(sid.locator))

    def _place_of(self, user: str) -> AsyncObject:
        return self._entries.object(object_name(locator_of(user)))

    async def _begin(self, user: str | None, record: Value) -> Session | None:
        sid = new_id(locator_of(user), new_handle())

        async def write(transaction: AsyncTransaction) -> None:
            transaction.set(session_key(sid.handle), record, ttl=self._timing.absolute_ms * _MILLISECOND)
            self._open(transaction, sid, new_opened(sid.handle, self._timing))

        await self._place(sid).transact(write)
        return await self._read(sid)

    async def _read(self, sid: SessionId) -> Session | None:
        return read_session(sid, await self._place(sid).get_entries([sid.key, session_key(sid.handle)]))

    async def _found(self, transaction: AsyncTransaction, sid: SessionId) -> tuple[Value, Value] | None:
        """What is stored of the id, and of the session that it opens, as this transaction sees them."""
        found = await transaction.get_many([sid.key, session_key(sid.handle)])
        return (found[sid.key], found[session_key(sid.handle)]) if len(found) == 2 else None

    def _open(self, transaction: AsyncTransaction, sid: SessionId, opened: Value) -> None:
        transaction.set(sid.key, opened, ttl=opened["idle_ms"] * _MILLISECOND)
        transaction.set(fresh_key(sid.handle), 1, ttl=opened["fresh_ms"] * _MILLISECOND)

    def _remove(self, transaction: AsyncTransaction, sid: SessionId) -> None:
        transaction.delete(session_key(sid.handle))
        transaction.delete(fresh_key(sid.handle))

    async def _renew(self, sid: SessionId, opened: Value) -> None:
        async def touch(transaction: AsyncTransaction) -> None:
            transaction.touch(sid.key, opened["idle_ms"] * _MILLISECOND)
            transaction.set(fresh_key(sid.handle), 1, ttl=opened["fresh_ms"] * _MILLISECOND)

        # To lose the last renewals with a crash of the machine is to be seen a little earlier.
        await self._place(sid).transact(touch, durability="buffered")
