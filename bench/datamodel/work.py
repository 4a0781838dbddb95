"""What is measured: the records, the operations on them, and what a library must offer to take part. Pure.

A record is an article of a project. One user may see all of them, and each library looks at that in its own table of
access, as Petra's models do. A program has one client, or one pool of connections, that its tasks share.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

CREATE: Final = "create"
GET: Final = "get"
UPDATE: Final = "update"
PAGE: Final = "page"
# What adds records comes last.
OPERATIONS: Final = (PAGE, GET, UPDATE, CREATE)

USER: Final = "user_1"
PAGE_SIZE: Final = 20
# 50 of a status are among them, so that the page measured is the second of three.
ARTICLES_A_PROJECT: Final = 200
STATUSES: Final = ("draft", "review", "done", "archived")
PRIORITIES: Final = 1_000

_MODULES: Final = {"petra": "bench.datamodel.with_petra", "sqlmodel": "bench.datamodel.with_sqlmodel"}


@dataclass(frozen=True, slots=True)
class Found:
    """A page of articles: how many there are in all, and those of the page as (id, project, status, priority)."""

    total: int
    articles: Sequence[tuple[str, int, str, int]]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a store holds: the number of articles, and of all updates that were made of them."""

    articles: int
    updates: int


class Articles(Protocol):
    """The articles, with the library that is measured. Its methods are called by many tasks at once."""

    async def prepare(self) -> None:
        """Makes tables and indexes."""

    async def fill(self, first: int, count: int) -> None:
        """Writes articles with these numbers, many at a time."""

    async def settle(self) -> None:
        """Whatever the server wants to have done after many writes."""

    async def create(self, number: int) -> str:
        """Makes one article with the fields of that number and an id of its own; returns the id."""

    async def get(self, article_id: str) -> str:
        """Reads one article by its id; returns its title."""

    async def update(self, article_id: str) -> int:
        """Reads an article, adds one to its `updates`, and writes it unless somebody was faster; returns the sum."""

    async def page(self, project: int, status: str) -> Found:
        """The second page of a project's articles of a status, whole, the most urgent first."""

    async def totals(self) -> Totals:
        """What there is."""


class Library(Protocol):
    """The module of a library."""

    @staticmethod
    def opened(address: str, connections: int, projects: int) -> AbstractAsyncContextManager[Articles]:
        """The articles of so many projects at an address, while the block runs."""


def library(name: str) -> Library:
    """The module of the library with this name. A load process loads the one that it drives."""
    return cast("Library", importlib.import_module(_MODULES[name]))


def article_id(number: int) -> str:
    """The id of an article that was filled in."""
    return f"{number:032x}"


def title(number: int) -> str:
    """The title of an article."""
    return f"Article number {number}"


def projects_of(records: int) -> int:
    """How many projects so many articles are of."""
    return max(1, records // ARTICLES_A_PROJECT)


def fields(number: int, projects: int) -> dict[str, Any]:
    """The fields of an article, without its id."""
    # Statuses and priorities are spread over the articles of each project.
    within = number // projects
    return {
        "title": title(number),
        "project": number % projects,
        "status": STATUSES[within % len(STATUSES)],
        "priority": number * 7_919 % PRIORITIES,
        "updates": 0,
        "body": f"What there is to say of number {number}. " * 8,
    }


def fault_of(found: Found, project: int, status: str) -> str | None:
    """What is wrong with a page, or None."""
    if len(found.articles) != PAGE_SIZE or found.total < 2 * PAGE_SIZE:
        return f"{len(found.articles)} of {found.total} articles"
    if {(each[1], each[2]) for each in found.articles} != {(project, status)}:
        return "articles of another project or status"
    priorities = [each[3] for each in found.articles]
    return None if priorities == sorted(priorities, reverse=True) else "articles out of order"


def expected(before: Totals, calls: Mapping[str, int]) -> Totals:
    """What there must be after so many calls of each operation."""
    return Totals(before.articles + calls.get(CREATE, 0), before.updates + calls.get(UPDATE, 0))
