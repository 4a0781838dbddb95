"""What the stores return: users, clusters, members, instances, and pages of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from petra.sql import Row
from petra.stores.history import moment
from petra.values import Encoding, JSONCodec, Value

T = TypeVar("T")

_CODEC: Final = JSONCodec()


@dataclass(frozen=True, slots=True)
class User:
    """Somebody. The address is in small letters, and no other user has it. `data` is the application's own."""

    id: str
    email: str
    name: str
    data: dict[str, Value]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """What users are members of, and what has instances."""

    id: str
    name: str
    data: dict[str, Value]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Instance:
    """A part of a cluster. `status` is a word of the application's."""

    id: str
    cluster_id: str
    name: str
    status: str
    data: dict[str, Value]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a cluster, with the role there and the names that lists of either show."""

    cluster_id: str
    cluster_name: str
    user_id: str
    user_name: str
    email: str
    role: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, in the order in which they were made. It iterates over its items.

    `next_cursor` is where the next page begins, and None when this is the last one.
    """

    items: tuple[T, ...]
    next_cursor: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def user_of(row: Row) -> User:
    return User(row["id"], row["email"], row["name"], _data(row), *_times(row))


def cluster_of(row: Row) -> Cluster:
    return Cluster(row["id"], row["name"], _data(row), *_times(row))


def instance_of(row: Row) -> Instance:
    return Instance(row["id"], row["cluster_id"], row["name"], row["status"], _data(row), *_times(row))


def member_of(row: Row) -> Member:
    return Member(
        row["cluster_id"],
        row["cluster_name"],
        row["user_id"],
        row["user_name"],
        row["email"],
        row["role"],
        *_times(row),
    )


def page_of(rows: Sequence[Row], limit: int, record_of: Callable[[Row], T]) -> Page[T]:
    """A page out of its rows, of which one more than `limit` were asked for."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(tuple(map(record_of, shown)), str(shown[-1]["number"]) if more else None)


def _data(row: Row) -> dict[str, Value]:
    data: dict[str, Value] = _CODEC.decode(row["data"].encode(), Encoding.JSON)
    return data


def _times(row: Row) -> tuple[datetime, datetime]:
    return moment(row["created_at"]), moment(row["updated_at"])
