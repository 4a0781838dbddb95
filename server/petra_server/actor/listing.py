"""Listings: one page of an object from one turn, or of flat keys or names merged over all actors.

Merging: each actor is asked for a little more than its share of the page. Up to the least key to which every actor
has been read, the order is known; when that is not enough for the page, the actors that hold it up are asked for
more. Each actor's part is consistent; the parts are of different moments when actors are busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Address
from petra_server.actor.asking import ask
from petra_server.actor.operations import ENTRY_MESSAGE_BYTES, Scan, ScanNames, ScanNamesReply, ScanReply
from petra_server.actor.router import Router
from petra_server.storage.keys import (
    KIND_ENTRY,
    KIND_PAGE,
    namespace_prefix,
    page_namespace_prefix,
    part,
    prefix_end,
)
from petra_server.storage.records import Record

# How often the actors that hold a page up are asked for more before the page is given out short: bounds the time that
# one page takes when there is little but expired entries.
_ROUNDS = 32

# Of a page's bytes, for each actor.
_LEAST_SHARE_BYTES = 64 << 10

# Each name is a search of its own, at some microseconds.
_NAMES_A_TURN = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Entries under their keys as the user wrote them; `resume` is the key to go on from, None at the end."""

    entries: list[tuple[bytes, Record]]
    resume: bytes | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Keys from `lower` to before `upper` (both whole entry keys), and how many."""

    lower: bytes
    upper: bytes
    limit: int
    limit_bytes: int
    reverse: bool
    keys_only: bool


async def list_page(router: Router, address: Address, request: PageRequest, *, deadline: float | None) -> Page:
    """One page. Raises Refusal."""
    cut = len(address.prefix)
    if request.lower >= request.upper:
        return Page([], None)
    if address.owner is not None:
        scan = Scan(
            request.lower, request.upper, request.limit, request.limit_bytes, request.reverse, request.keys_only
        )
        reply = cast(ScanReply, await ask(router, address.owner, scan, deadline=deadline))
        entries, resume = reply
    else:
        entries, resume = await _merge(router, address, request, deadline)
    return Page([(key[cut:], record) for key, record in entries], None if resume is None else resume[cut:])


class _Part:
    """What is known of one actor's share of a listing."""

    __slots__ = ("actor", "entries", "resume", "started")

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.entries: list[tuple[bytes, Record]] = []
        # The last key read, None when the actor was read to the end.
        self.resume: bytes | None = None
        self.started = False


async def _merge(
    router: Router, address: Address, request: PageRequest, deadline: float | None
) -> tuple[list[tuple[bytes, Record]], bytes | None]:
    parts = [_Part(actor) for actor in address.actors()]
    share = request.limit // len(parts)
    chunk = min(request.limit, share + share // 4 + 8)
    share_bytes = max(_LEAST_SHARE_BYTES, request.limit_bytes * 5 // (4 * len(parts)))
    waiting: Sequence[_Part] = parts
    pick = max if request.reverse else min
    rounds = 0
    while True:
        rounds += 1
        await asyncio.gather(*(_read_on(router, one, request, chunk, share_bytes, deadline) for one in waiting))
        # Up to here, in the order of the listing, every actor has been read.
        ends = [one.resume for one in parts if one.resume is not None]
        horizon = pick(ends) if ends else None
        entries = _known(parts, horizon, reverse=request.reverse)
        page = _cut(entries, request)
        if len(page) < len(entries) or len(page) == request.limit:
            return page, page[-1][0]
        if horizon is None or rounds == _ROUNDS:
            return page, horizon
        waiting = [one for one in parts if one.resume == horizon]


async def _read_on(
    router: Router, one: _Part, request: PageRequest, chunk: int, share_bytes: int, deadline: float | None
) -> None:
    lower, upper = request.lower, request.upper
    if one.resume is not None:
        if request.reverse:
            upper = one.resume
        else:
            lower = one.resume + b"\x00"
    scan = Scan(lower, upper, chunk, share_bytes, request.reverse, request.keys_only)
    reply = cast(ScanReply, await ask(router, one.actor, scan, deadline=deadline))
    one.entries.extend(reply.entries)
    one.resume = reply.resume


def _known(parts: Sequence[_Part], horizon: bytes | None, *, reverse: bool) -> list[tuple[bytes, Record]]:
    """All entries up to the horizon, in order."""
    if horizon is None:
        entries = [entry for one in parts for entry in one.entries]
    elif reverse:
        entries = [entry for one in parts for entry in one.entries if entry[0] >= horizon]
    else:
        entries = [entry for one in parts for entry in one.entries if entry[0] <= horizon]
    entries.sort(key=_entry_key, reverse=reverse)
    return entries


def _entry_key(entry: tuple[bytes, Record]) -> bytes:
    return entry[0]


def _cut(entries: list[tuple[bytes, Record]], request: PageRequest) -> list[tuple[bytes, Record]]:
    size = 0
    for count, (key, record) in enumerate(entries[: request.limit]):
        size += len(key) + len(record.value) + ENTRY_MESSAGE_BYTES
        if size > request.limit_bytes and count:
            return entries[:count]
    return entries[: request.limit]


async def list_namespaces(router: Router, *, prefix: bytes, after: bytes, limit: int) -> tuple[list[bytes], bool]:
    """Up to `limit` names, and whether there are more."""
    return await _list_names(router, (KIND_ENTRY, KIND_PAGE), prefix, after, limit)


async def list_objects(
    router: Router, namespace: bytes, *, prefix: bytes, after: bytes, limit: int
) -> tuple[list[bytes], bool]:
    """Up to `limit` names, and whether there are more."""
    parents = (namespace_prefix(namespace), page_namespace_prefix(namespace))
    return await _list_names(router, parents, prefix, after, limit)


async def list_databases(
    router: Router, namespace: bytes, *, prefix: bytes, after: bytes, limit: int
) -> tuple[list[bytes], bool]:
    """Up to `limit` objects that have a database, and whether there are more."""
    return await _list_names(router, (page_namespace_prefix(namespace),), prefix, after, limit)


async def _list_names(
    router: Router, parents: Sequence[bytes], prefix: bytes, after: bytes, limit: int
) -> tuple[list[bytes], bool]:
    names: set[bytes] = set()
    for parent in parents:
        names.update(await _names_under(router, parent, prefix, after, limit))
    ordered = sorted(names)
    return ordered[:limit], len(ordered) > limit


async def _names_under(router: Router, parent: bytes, prefix: bytes, after: bytes, limit: int) -> list[bytes]:
    """The first names, at least one more than `limit` when there are more."""
    lower = parent + prefix.replace(b"\x00", b"\x00\xff")
    upper = prefix_end(lower)
    if after:
        lower = max(lower, prefix_end(parent + part(after)))
    share = limit // len(router.actors)
    chunk = min(limit + 1, share + share // 4 + 8, _NAMES_A_TURN)
    names: set[bytes] = set()
    known: list[bytes] = []
    # Where to go on in each actor that was not read to its end.
    resumes = dict.fromkeys(router.actors, lower)
    waiting = list(resumes)
    while waiting:
        scans = (ask(router, one, ScanNames(parent, resumes[one], upper, chunk)) for one in waiting)
        for one, answer in zip(waiting, await asyncio.gather(*scans), strict=True):
            reply = cast(ScanNamesReply, answer)
            names.update(reply.names)
            if reply.resume is None or reply.resume >= upper:
                del resumes[one]
            else:
                resumes[one] = reply.resume
        # Up to here every actor has been read. One more than asked for tells whether there are more.
        horizon = min(resumes.values(), default=upper)
        known = [name for name in names if parent + part(name) < horizon]
        if len(known) > limit:
            break
        waiting = [one for one, resume in resumes.items() if resume == horizon]
    return known
