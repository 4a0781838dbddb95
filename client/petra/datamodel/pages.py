"""What lists answer: records with their pagination, or with the cursor of the next page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Pagination:
    """Where a page stands among all. `total` counts all records of the query, of the same moment as the page.

    `page` is counted from 1: the one that the first record is on. `pages` is 0 when there is no record.
    """

    total: int
    limit: int
    offset: int
    page: int
    pages: int
    has_next: bool
    has_prev: bool

    @classmethod
    def of(cls, total: int, limit: int, offset: int) -> Pagination:
        """The pagination of a page that begins after `offset` records."""
        return cls(
            total,
            limit,
            offset,
            page=offset // limit + 1,
            pages=-(-total // limit),
            has_next=offset + limit < total,
            has_prev=offset > 0,
        )

    def as_dict(self) -> dict[str, int | bool]:
        """The same as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A page of records. It iterates over them, and its length is their number."""

    data: list[R]
    pagination: Pagination

    def __iter__(self) -> Iterator[R]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class CursorPage(Generic[R]):
    """A page of records, and the cursor of the page after it: None when there is none."""

    data: list[R]
    next_cursor: str | None

    def __iter__(self) -> Iterator[R]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Explained:
    """A statement that a query runs, its parameters, and the lines of SQLite's query plan."""

    sql: str
    params: dict[str, object]
    plan: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The statements of a query. Of the two branches that a reader's query has, the server runs one."""

    statements: tuple[Explained, ...]

    def __str__(self) -> str:
        return "\n\n".join(
            "\n".join([one.sql, f"  parameters: {one.params}", *(f"  {line}" for line in one.plan)])
            for one in self.statements
        )
