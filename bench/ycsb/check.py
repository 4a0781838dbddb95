"""Holds what a store has at the end against what its clients were told. Pure.

Every write carries an id of its own and is answered with a version. So for each record the store must hold the write
with the greatest version that anybody was told of, or one whose outcome nobody was told (it failed on the way).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """A write that was acknowledged: of which record, with which version, under which id."""

    number: int
    version: int
    write: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A write whose outcome the client was not told."""

    number: int
    write: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as the store holds it at the end."""

    version: int
    write: int
    counter: int


def violations(
    written: Iterable[Written], unknown: Iterable[Unknown], stored: Mapping[int, Stored], *, counted: bool
) -> list[str]:
    """A sentence for each record that is not as it must be; empty when all is well.

    `counted`: each write but the first of a record added one to its counter, as in read-modify-write.
    """
    acknowledged: dict[int, dict[int, int]] = defaultdict(dict)
    open_writes: dict[int, set[int]] = defaultdict(set)
    wrong: list[str] = []
    for one in written:
        other = acknowledged[one.number].setdefault(one.version, one.write)
        if other != one.write:
            wrong.append(f"record {one.number}: two writes were told version {one.version}")
    for lost in unknown:
        open_writes[lost.number].add(lost.write)
    for number, writes in acknowledged.items():
        wrong.extend(_of_record(number, writes, open_writes[number], stored.get(number), counted=counted))
    unheard = stored.keys() - acknowledged.keys()
    invented = [number for number in unheard if stored[number].write not in open_writes[number]]
    return wrong + [f"record {number}: nobody wrote it" for number in invented]


def _of_record(
    number: int, writes: Mapping[int, int], open_writes: set[int], stored: Stored | None, *, counted: bool
) -> Iterator[str]:
    newest = max(writes)
    if stored is None:
        yield f"record {number}: version {newest} was acknowledged, and it is gone"
        return
    if stored.version < newest:
        yield f"record {number}: version {newest} was acknowledged, and version {stored.version} is there"
    elif stored.version == newest and stored.write != writes[newest]:
        yield f"record {number}: version {newest} holds another write"
    elif stored.version > newest and stored.write not in open_writes:
        yield f"record {number}: version {stored.version} is there, and nobody was told of it"
    increments = len(writes) - 1
    if counted and not increments <= stored.counter <= increments + len(open_writes):
        yield f"record {number}: {increments} increments were committed, and its counter is {stored.counter}"
