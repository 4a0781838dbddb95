"""How one request becomes operations of actors, and how their answers become one. Pure.

A request about one object is one operation. Flat keys may belong to many actors: each gets its part, and the parts
are put together in the order of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Address
from petra_server.actor.operations import (
    AnswerBudget,
    Clear,
    CountReply,
    DeleteMany,
    GetMany,
    GetManyReply,
    Operation,
    Reply,
    Set,
    SetMany,
    SetManyReply,
)
from petra_server.storage.keys import page_prefix, prefix_end


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations for actors, and what makes their replies one; `combine` is None for a single operation."""

    parts: Sequence[tuple[Actor, Operation]]
    combine: Callable[[list[Any]], Reply] | None = None


def get_many(address: Address, keys: Sequence[bytes], limit_bytes: int) -> Plan:
    """`keys` as the user wrote them; the answer may have `limit_bytes`."""
    prefix = address.prefix
    budget = AnswerBudget(limit_bytes)
    if address.owner is not None:
        return Plan([(address.owner, GetMany(tuple([prefix + key for key in keys]), budget))])
    positions = _by_actor(address, keys)

    def combine(replies: list[GetManyReply]) -> Reply:
        records: list[Any] = [None] * len(keys)
        for reply, at in zip(replies, positions.values(), strict=True):
            for position, record in zip(at, reply.records, strict=True):
                records[position] = record
        return GetManyReply(tuple(records))

    parts = [(actor, GetMany(tuple([prefix + keys[at] for at in where]), budget)) for actor, where in positions.items()]
    return Plan(parts, combine)


def set_many(address: Address, keys: Sequence[bytes], items: Sequence[Set]) -> Plan:
    """`keys` as the user wrote them; `items` in the same order, with entry keys."""
    if address.owner is not None:
        return Plan([(address.owner, SetMany(tuple(items)))])
    positions = _by_actor(address, keys)

    def combine(replies: list[SetManyReply]) -> Reply:
        versions = [0] * len(keys)
        for reply, at in zip(replies, positions.values(), strict=True):
            for position, version in zip(at, reply.versions, strict=True):
                versions[position] = version
        return SetManyReply(tuple(versions))

    return Plan([(actor, SetMany(tuple([items[at] for at in where]))) for actor, where in positions.items()], combine)


def delete_many(address: Address, keys: Sequence[bytes]) -> Plan:
    """`keys` as the user wrote them."""
    prefix = address.prefix
    if address.owner is not None:
        return Plan([(address.owner, DeleteMany(tuple([prefix + key for key in keys])))])
    positions = _by_actor(address, keys)
    parts = [(actor, DeleteMany(tuple([prefix + keys[at] for at in where]))) for actor, where in positions.items()]
    return Plan(parts, _sum)


def clear(address: Address, prefix: bytes) -> Plan:
    """`prefix` as the user wrote it. Without one it clears the whole of an object, its database too."""
    lower = address.prefix + prefix
    database = page_prefix(address.prefix) if address.owner is not None and not prefix else b""
    operation = Clear(lower, prefix_end(lower), database)
    return Plan([(actor, operation) for actor in address.actors()], _sum)


def _sum(replies: list[CountReply]) -> Reply:
    return CountReply(sum(reply.total for reply in replies))


def _by_actor(address: Address, keys: Sequence[bytes]) -> dict[Actor, list[int]]:
    positions: dict[Actor, list[int]] = {}
    actor_of = address.actor_of
    for position, key in enumerate(keys):
        actor = actor_of(key)
        if actor in positions:
            positions[actor].append(position)
        else:
            positions[actor] = [position]
    return positions
