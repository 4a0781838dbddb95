"""What of a session is stored, and what is made of it. Pure; both trees use it.

Of each session its object keeps three entries, all of whose expiries are the server's business, so that no other clock
is ever asked what time it is:

    id:<SHA-256 of the id>   which session the id opens; it expires with the idle time-out and is renewed by use
    session:<handle>         user, device, address, data; it expires with the absolute time-out
    fresh:<handle>           while it is there, a use needs no renewal
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from petra.errors import InvalidArgument
from petra.sessions.ids import SessionId
from petra.values import Entry, Seconds, Value, to_ttl_ms

# A renewal is a write, so an idle time-out counts from up to a tenth of it before the last use, and never from more
# than five minutes before.
_RENEWALS = 10
_LONGEST_FRESH_MS = 300_000
# What strangers send along is kept so far.
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    `id` lets one in and is the cookie's business alone; `handle` names the session and opens nothing. `last_seen_at`
    is that to within `touch_every`, and `expires_at` when it ends unless it is used. `version` changes with the data.
    """

    id: str = field(repr=False)
    handle: str
    user: str | None
    data: dict[str, Value]
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session in a list: all but what opens it. See Session."""

    handle: str
    user: str
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Timing:
    """The time-outs of sessions in milliseconds."""

    absolute_ms: int
    idle_ms: int
    fresh_ms: int

    @classmethod
    def of(cls, absolute: Seconds, idle: Seconds | None, touch_every: Seconds | None) -> Timing:
        """Checks them. Without an idle time-out the absolute one alone ends a session. Raises InvalidArgument."""
        absolute_ms = to_ttl_ms(absolute, field="absolute")
        idle_ms = absolute_ms if idle is None else min(absolute_ms, to_ttl_ms(idle, field="idle"))
        if touch_every is None:
            fresh_ms = min(max(1, idle_ms // _RENEWALS), _LONGEST_FRESH_MS)
        else:
            fresh_ms = to_ttl_ms(touch_every, field="touch_every")
        if fresh_ms >= idle_ms:
            raise InvalidArgument(
                "touch_every is not shorter than the idle time-out: a session would end while it is used.",
                field="touch_every",
            )
        return cls(absolute_ms, idle_ms, fresh_ms)


def session_key(handle: str) -> str:
    return f"session:{handle}"


def fresh_key(handle: str) -> str:
    return f"fresh:{handle}"


def object_name(locator: str) -> str:
    return f"sessions:{locator}"


def new_record(user: str | None, data: Mapping[str, Value], device: str, address: str, timing: Timing) -> Value:
    """What is stored of a new session. Raises InvalidArgument for data that is no mapping with names as keys."""
    return {
        "user": user,
        "device": device[:LONGEST_NOTE],
        "address": address[:LONGEST_NOTE],
        "absolute_ms": timing.absolute_ms,
        "data": merged({}, data, ()),
    }


def new_opened(handle: str, timing: Timing) -> Value:
    """What is stored under the hash of an id. It has the time-outs, so that all who open the session keep to them."""
    return {"handle": handle, "idle_ms": timing.idle_ms, "fresh_ms": timing.fresh_ms}


def merged(data: Mapping[str, Value], changes: Mapping[str, Value], remove: Iterable[str]) -> dict[str, Value]:
    """The data with changes, name by name, and without what is to be removed."""
    for name in changes:
        if not isinstance(name, str):
            raise InvalidArgument(f"The names in a session are strings, and {name!r} is none.", field="data")
    gone = set(remove)
    return {name: value for name, value in {**data, **changes}.items() if name not in gone}


def read_session(sid: SessionId, entries: Mapping[str, Entry]) -> Session | None:
    """The session that an id opens, by the entries of its object; None when it opens none any more."""
    opened, stored = entries.get(sid.key), entries.get(session_key(sid.handle))
    if opened is None or stored is None:
        return None
    record = stored.value
    created_at, last_seen_at, expires_at = _times(opened, stored)
    return Session(
        sid.text,
        sid.handle,
        record["user"],
        record["data"],
        record["device"],
        record["address"],
        created_at,
        last_seen_at,
        expires_at,
        stored.version,
    )


def read_list(user: str, entries: Mapping[str, Entry]) -> list[SessionInfo]:
    """The open sessions among the entries of a user's object, the one that was used last first."""
    found = []
    for key, opened in entries.items():
        stored = entries.get(session_key(opened.value["handle"])) if key.startswith("id:") else None
        if stored is not None and stored.value["user"] == user:
            record = stored.value
            times = _times(opened, stored)
            found.append(SessionInfo(opened.value["handle"], user, record["device"], record["address"], *times))
    return sorted(found, key=lambda info: (info.last_seen_at, info.created_at, info.handle), reverse=True)


def _times(opened: Entry, stored: Entry) -> tuple[datetime, datetime, datetime]:
    """When it was created, last seen, and ends. What was given a time to live began so long before its end."""
    assert opened.expires_at is not None
    assert stored.expires_at is not None
    return (
        stored.expires_at - timedelta(milliseconds=stored.value["absolute_ms"]),
        opened.expires_at - timedelta(milliseconds=opened.value["idle_ms"]),
        min(opened.expires_at, stored.expires_at),
    )
