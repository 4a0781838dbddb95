"""The endpoints of keys: from a request to a plan of operations, and from the reply to an answer."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Literal, cast

from msgspec import UNSET, UnsetType

from petra_server.actor import plans
from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.operations import (
    CountReply,
    DeleteReply,
    GetManyReply,
    GetReply,
    Operation,
    Set,
    SetManyReply,
    SetReply,
)
from petra_server.actor.plans import Plan
from petra_server.errors import Reason, Refusal, shortened
from petra_server.http import bodies
from petra_server.http.asked import Ask, Asked
from petra_server.http.status import HttpReason, HttpRefusal
from petra_server.http.values import shown_value, stored_value
from petra_server.intake.checks import Checks
from petra_server.intake.pages import Listing, Pages
from petra_server.storage.records import Record

_VERSIONS = 2**64


class Storage:
    """Answers requests about keys. Every method raises Refusal or HttpRefusal."""

    def __init__(self, addresses: Addresses, checks: Checks, pages: Pages, ask: Ask) -> None:
        self._addresses = addresses
        self._checks = checks
        self._pages = pages
        self._ask = ask

    async def get(self, asked: Asked[bodies.Address, None]) -> bodies.GetAnswer:
        address = self._address(asked.query)
        key = self._checks.key(asked.name)
        operation = self._checks.get(address, key)
        reply = cast(GetReply, await self._ask(_one(address, key, operation), asked))
        record = reply.record
        if record is None:
            raise HttpRefusal(
                HttpReason.KEY_NOT_FOUND, f"There is no key {shortened(asked.name)!r}, or it has expired.", field="key"
            )
        data, encoding = shown_value(record)
        return bodies.GetAnswer(
            data=data, encoding=encoding, version=record.version, expires_at_ms=record.expires_at_ms or None
        )

    async def set(self, asked: Asked[bodies.Address, bodies.SetBody]) -> bodies.SetAnswer:
        address = self._address(asked.query)
        key = self._checks.key(asked.name)
        plan = _one(address, key, self._set(address, key, asked.body))
        reply = cast(SetReply, await self._ask(plan, asked, _sync(asked.body.durability), address.prefix))
        return bodies.SetAnswer(data=bodies.SetData(version=reply.version))

    async def delete(self, asked: Asked[bodies.DeleteQuery, None]) -> bodies.DeleteAnswer:
        address = self._address(asked.query)
        key = self._checks.key(asked.name)
        operation = self._checks.delete(address, key, _condition(asked.query.if_version, absent=False))
        sync = _sync(asked.query.durability)
        reply = cast(DeleteReply, await self._ask(_one(address, key, operation), asked, sync, address.prefix))
        return bodies.DeleteAnswer(data=bodies.DeleteData(deleted=reply.deleted))

    async def get_many(self, asked: Asked[bodies.Address, bodies.BatchKeys]) -> bodies.BatchGetAnswer:
        address, names = self._address(asked.query), asked.body.keys
        self._checks.batch(len(names), "keys")
        plan = plans.get_many(address, self._checks.keys(names), self._checks.answer_bytes)
        reply = cast(GetManyReply, await self._ask(plan, asked))
        found = ((name, record) for name, record in zip(names, reply.records, strict=True) if record is not None)
        return bodies.BatchGetAnswer(data=bodies.EntriesData(entries=_entries(found, keys_only=False)))

    async def set_many(self, asked: Asked[bodies.Address, bodies.BatchSet]) -> bodies.BatchSetAnswer:
        address = self._address(asked.query)
        self._checks.batch(len(asked.body.items), "items")
        keys, items = [], []
        for index, item in enumerate(asked.body.items):
            try:
                key = self._checks.key(item.key)
                items.append(self._set(address, key, item))
                if items[-1].if_version is not None:
                    self._checks.condition_of_many(address)
            except Refusal as refusal:
                raise refusal.within(f"items[{index}]") from None
            keys.append(key)
        self._checks.distinct(keys, "items")
        plan = plans.set_many(address, keys, items)
        reply = cast(SetManyReply, await self._ask(plan, asked, _sync(asked.body.durability), address.prefix))
        return bodies.BatchSetAnswer(data=bodies.VersionsData(versions=list(reply.versions)))

    async def delete_many(self, asked: Asked[bodies.Address, bodies.BatchDelete]) -> bodies.CountAnswer:
        address, names = self._address(asked.query), asked.body.keys
        self._checks.batch(len(names), "keys")
        plan = plans.delete_many(address, self._checks.keys(names))
        return await self._count(plan, asked, asked.body.durability, address)

    async def clear(self, asked: Asked[bodies.Address, bodies.ClearBody]) -> bodies.CountAnswer:
        address = self._address(asked.query)
        plan = plans.clear(address, self._checks.bound(asked.body.prefix, "prefix"))
        return await self._count(plan, asked, asked.body.durability, address)

    async def list(self, asked: Asked[bodies.ListQuery, None]) -> bodies.ListAnswer:
        query = asked.query
        if query.limit < 0:
            raise Refusal(Reason.INVALID_LIMIT, "limit must not be negative. Leave it out for 1,000.", field="limit")
        listing = Listing(
            namespace=query.namespace,
            object_name=query.object,
            prefix=query.prefix,
            start=query.start,
            start_after=query.start_after,
            end=query.end,
            limit=query.limit,
            reverse=query.reverse,
            keys_only=query.keys_only,
            page_token=_token_of(query.cursor),
        )
        try:
            page, token = await self._pages.page(listing, deadline=asked.deadline)
        except Refusal as refusal:
            if refusal.reason is Reason.INVALID_PAGE_TOKEN:
                raise _foreign_cursor() from None
            raise
        found = ((key.decode(), record) for key, record in page.entries)
        data = bodies.PageData(entries=_entries(found, keys_only=query.keys_only), cursor=_cursor_of(token))
        return bodies.ListAnswer(data=data)

    def _address(self, query: bodies.Address) -> Address:
        return self._addresses.find(query.namespace, query.object)

    def _set(self, address: Address, key: bytes, item: bodies.SetBody | bodies.BatchItem) -> Set:
        value, encoding = stored_value(item.value, item.encoding)
        condition = _condition(item.if_version, absent=item.if_absent)
        return self._checks.set(address, key, value, encoding, item.ttl_ms, condition, item.keep_ttl)

    async def _count(
        self,
        plan: Plan,
        asked: Asked[bodies.Address, bodies.BatchDelete] | Asked[bodies.Address, bodies.ClearBody],
        durability: bodies.Durability,
        address: Address,
    ) -> bodies.CountAnswer:
        reply = cast(CountReply, await self._ask(plan, asked, _sync(durability), address.prefix))
        return bodies.CountAnswer(data=bodies.CountData(deleted=reply.total))


def _one(address: Address, key: bytes, operation: Operation) -> Plan:
    return Plan([(address.actor_of(key), operation)])


def _sync(durability: Literal["fsync", "buffered"]) -> bool:
    return durability == "fsync"


def _condition(version: int | UnsetType, *, absent: bool) -> int | None:
    if isinstance(version, UnsetType):
        return 0 if absent else None
    if absent and version:
        raise Refusal(
            Reason.INVALID_CONDITION, "ifVersion and ifAbsent exclude each other. Send one of them.", field="ifAbsent"
        )
    if not 0 <= version < _VERSIONS:
        raise Refusal(
            Reason.INVALID_CONDITION,
            f"ifVersion must be a version, or 0 for no entry, and is {version}.",
            field="ifVersion",
        )
    return version


def _entries(found: Iterable[tuple[str, Record]], *, keys_only: bool) -> list[bodies.EntryData]:
    entries = []
    for key, record in found:
        value, encoding = (UNSET, UNSET) if keys_only else shown_value(record)
        entries.append(
            bodies.EntryData(
                key=key,
                version=record.version,
                expires_at_ms=record.expires_at_ms or None,
                value=value,
                encoding=encoding,
            )
        )
    return entries


def _cursor_of(token: bytes) -> str | None:
    return urlsafe_b64encode(token).decode().rstrip("=") if token else None


def _token_of(cursor: str) -> bytes:
    if not cursor:
        return b""
    try:
        token = b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        token = b""
    if not token:
        raise _foreign_cursor()
    return token


def _foreign_cursor() -> Refusal:
    return Refusal(
        Reason.INVALID_PAGE_TOKEN,
        "The cursor is none of this listing. Send that of the page before with the same other parameters, or none.",
        field="cursor",
    )
