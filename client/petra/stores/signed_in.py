"""A session as KVStore returns it: whose it is, and for which clusters. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from petra.errors import InvalidArgument
from petra.sessions.records import Session
from petra.values import Value

_CLUSTERS = "clusters"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An open session of a user. `session_id` lets one in, and is not shown."""

    session_id: str = field(repr=False)
    user: str
    clusters: tuple[str, ...]
    created_at: datetime
    expires_at: datetime


def data_of(clusters: Iterable[str]) -> dict[str, Value]:
    """What a session keeps of its clusters. Raises InvalidArgument for what are no ids."""
    ids = list(clusters)
    if isinstance(clusters, str) or not all(isinstance(one, str) for one in ids):
        raise InvalidArgument("clusters are the ids of clusters, as strings in a list.", field=_CLUSTERS)
    return {_CLUSTERS: ids}


def signed_in(session: Session, session_id: str = "") -> SignedIn:
    """A session that has a user, with its own id or the one given. One that no KVStore began has no clusters."""
    assert session.user is not None
    clusters = tuple(session.data.get(_CLUSTERS, ()))
    return SignedIn(session_id or session.id, session.user, clusters, session.created_at, session.expires_at)
