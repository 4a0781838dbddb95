"""The entries of one namespace and object in the reference.

Every method takes an operation (a request, or a transaction's item: the fields have the same names), what the server
answered, and the time. It raises Refused before anything changes when the operation has to be refused; it fails when
the answer is wrong; and it makes the change. With None for the answer it makes the change without knowing the version.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from petra.v1 import storage_pb2 as pb
from tests.model import throttles

if TYPE_CHECKING:
    from collections.abc import Iterable

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_JSON_INTEGER = re.compile(rb"-?(0|[1-9][0-9]*)")

SetLike = pb.SetRequest | pb.SetItem
DeleteLike = pb.DeleteRequest | pb.DeleteItem
IncrementLike = pb.IncrementRequest | pb.IncrementItem
TouchLike = pb.TouchRequest | pb.TouchItem
ThrottleLike = pb.ThrottleRequest | pb.ThrottleItem
GetLike = pb.GetRequest | pb.GetItem


class Refused(Exception):
    """The operation has to be refused for this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Cell:
    """An entry. What is None is known to the server alone until it is first seen."""

    value: bytes | None
    encoding: pb.Encoding
    version: int | None
    expires_at_ms: int | None
    limit: throttles.State | None = None
    # The state of a rate limit has to last at least until then.
    needed_until_ms: int = 0


class Conflict(Refused):
    """A version is not the expected one. `present` is the entry instead, None for none."""

    def __init__(self, shelf: Shelf, key: str, present: Cell | None) -> None:
        super().__init__("VERSION_CONFLICT")
        self.shelf = shelf
        self.key = key
        self.present = present

    def check_version(self, version: int) -> None:
        """Fails when the server names another present version."""
        if self.present is None:
            assert version == 0, f"{self.key!r} is absent, and the conflict says it has version {version}"
        else:
            self.shelf.observe_version(self.key, self.present, version)


@dataclass(slots=True)
class Shelf:
    """The entries, expired ones included until something takes their place, and the newest version seen of each key."""

    cells: dict[str, Cell] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)

    def live(self, key: str, now_ms: int) -> Cell | None:
        cell = self.cells.get(key)
        if cell is None or (cell.expires_at_ms and cell.expires_at_ms <= now_ms):
            return None
        return cell

    def live_keys(self, now_ms: int) -> list[str]:
        return sorted((key for key in self.cells if self.live(key, now_ms)), key=str.encode)

    def expiries(self) -> Iterable[int]:
        return (cell.expires_at_ms for cell in self.cells.values() if cell.expires_at_ms)

    def unknown_keys(self) -> list[str]:
        """The keys of which something is known to the server alone."""
        return [key for key, cell in self.cells.items() if None in (cell.value, cell.version, cell.expires_at_ms)]

    def present_version(self, key: str, now_ms: int) -> int:
        """0 for an absent key. Everything must be known."""
        present = self.live(key, now_ms)
        if present is None:
            return 0
        assert present.version is not None
        return present.version

    def observe(self, entry: pb.Entry, now_ms: int, *, keys_only: bool = False) -> None:
        """Fails unless the entry shown is the one that is there."""
        cell = self.live(entry.key, now_ms)
        assert cell is not None, f"{entry.key!r} should be absent, and is {entry}"
        self.observe_version(entry.key, cell, entry.version)
        if cell.expires_at_ms is None:
            assert entry.expires_at_ms >= cell.needed_until_ms, f"the limit {entry.key!r} is forgotten too early"
            cell.expires_at_ms = entry.expires_at_ms
        assert entry.expires_at_ms == cell.expires_at_ms
        if keys_only:
            assert not entry.value
            return
        if cell.value is None:
            cell.value, cell.encoding = entry.value, entry.encoding
        assert (entry.value, entry.encoding) == (cell.value, cell.encoding)

    def observe_version(self, key: str, cell: Cell, version: int) -> None:
        """Fails unless the version is that of the cell, or, when that is not known, a newer one than ever before."""
        if cell.version is None:
            assert version > self.newest.get(key, 0), f"the version of {key!r} did not grow: {version}"
            cell.version = self.newest[key] = version
        assert version == cell.version

    def get(self, operation: GetLike, seen: pb.GetResponse | None, now_ms: int) -> None:
        if seen is not None and seen.HasField("entry"):
            assert seen.entry.key == operation.key
            self.observe(seen.entry, now_ms)
        elif seen is not None:
            assert self.live(operation.key, now_ms) is None, f"{operation.key!r} is missing"

    def get_many(self, request: pb.GetManyRequest, seen: pb.GetManyResponse | None, now_ms: int) -> None:
        if seen is not None:
            assert [entry.key for entry in seen.entries] == [key for key in request.keys if self.live(key, now_ms)]
            for entry in seen.entries:
                self.observe(entry, now_ms)

    def set(self, operation: SetLike, seen: pb.SetResponse | None, now_ms: int) -> None:
        present = self._checked(operation, now_ms)
        kept = (present.expires_at_ms if present else 0) if operation.keep_ttl else _expiry(operation.ttl_ms, now_ms)
        cell = Cell(operation.value, operation.encoding or pb.ENCODING_BYTES, None, kept)
        self._put(operation.key, cell, None if seen is None else seen.version)

    def set_many(self, request: pb.SetManyRequest, seen: pb.SetManyResponse | None, now_ms: int) -> None:
        for item in request.items:
            self._checked(item, now_ms)
        assert seen is None or len(seen.versions) == len(request.items)
        for position, item in enumerate(request.items):
            answer = None if seen is None else pb.SetResponse(version=seen.versions[position])
            self.set(item, answer, now_ms)

    def delete(self, operation: DeleteLike, seen: pb.DeleteResponse | None, now_ms: int) -> None:
        present = self._checked(operation, now_ms)
        self.cells.pop(operation.key, None)
        assert seen is None or seen.deleted == (present is not None)

    def delete_many(self, request: pb.DeleteManyRequest, seen: pb.DeleteManyResponse | None, now_ms: int) -> None:
        deleted = sum(self.live(key, now_ms) is not None for key in request.keys)
        for key in request.keys:
            self.cells.pop(key, None)
        assert seen is None or seen.deleted == deleted

    def clear(self, request: pb.ClearRequest, seen: pb.ClearResponse | None, now_ms: int) -> None:
        cleared = [key for key in self.live_keys(now_ms) if key.startswith(request.prefix)]
        for key in cleared:
            del self.cells[key]
        assert seen is None or seen.deleted == len(cleared)

    def listing(self, request: pb.ListRequest, now_ms: int) -> list[str]:
        """The keys of all pages, in order."""
        lowest, highest = request.start.encode(), request.end.encode()
        after = request.start_after.encode()
        keys = [
            key
            for key in self.live_keys(now_ms)
            if key.startswith(request.prefix)
            and key.encode() >= lowest
            and (not after or key.encode() > after)
            and (not highest or key.encode() < highest)
        ]
        return keys[::-1] if request.reverse else keys

    def increment(self, operation: IncrementLike, seen: pb.IncrementResponse | None, now_ms: int) -> None:
        present = self.live(operation.key, now_ms)
        total = (operation.initial if present is None else _integer(present)) + operation.delta
        if not INT64_MIN <= total <= INT64_MAX:
            raise Refused("INTEGER_OVERFLOW")
        expires_at_ms = present.expires_at_ms if present else _expiry(operation.ttl_ms, now_ms)
        cell = Cell(str(total).encode(), pb.ENCODING_JSON, None, expires_at_ms)
        if seen is not None:
            assert seen.value == total
        if present is not None and operation.delta == 0 and seen is not None and seen.version == present.version:
            return  # adding nothing need not count as a change
        self._put(operation.key, cell, None if seen is None else seen.version)

    def touch(self, operation: TouchLike, seen: pb.TouchResponse | None, now_ms: int) -> None:
        present = self.live(operation.key, now_ms)
        if present is not None:
            present.expires_at_ms = _expiry(operation.ttl_ms, now_ms)
        if seen is not None:
            expires_at_ms = present.expires_at_ms if present else 0
            assert (seen.found, seen.expires_at_ms) == (present is not None, expires_at_ms)

    def throttle(self, operation: ThrottleLike, seen: pb.ThrottleResponse | None, now_ms: int) -> bool:
        """Whether it charged."""
        present = self.live(operation.key, now_ms)
        if present is not None and present.limit is None:
            raise Refused("NOT_A_THROTTLE")
        charged, answer = throttles.decide(present.limit if present else None, operation, now_ms)
        assert seen is None or seen == answer, f"{operation} is answered with {seen}, and should be with {answer}"
        if charged is not None:
            needed_ms = max(each.reset_after_ms for each in (answer, *answer.each))
            cell = Cell(None, pb.ENCODING_BYTES, None, None, charged, now_ms + needed_ms)
            self._put(operation.key, cell, None)
        return charged is not None

    def transact(self, request: pb.TransactRequest, seen: pb.TransactResponse | None, now_ms: int) -> list[Conflict]:
        """The conflicts, none when it commits."""
        conflicts = [
            Conflict(self, each.key, self.live(each.key, now_ms))
            for each in request.conditions
            if not self._matches(each.key, each.version, now_ms)
        ]
        conflicts = conflicts or self._operation_conflicts(request, now_ms)
        if seen is None:
            if not conflicts:
                self._apply(request, None, now_ms)
            return conflicts
        assert seen.committed == (not conflicts)
        if conflicts:
            assert not seen.results
            self._check_conflicts(conflicts, seen, now_ms)
        else:
            assert not seen.conflicts
            self._apply(request, seen, now_ms)
        return conflicts

    def _apply(self, request: pb.TransactRequest, seen: pb.TransactResponse | None, now_ms: int) -> None:
        assert seen is None or len(seen.results) == len(request.operations)
        for position, operation in enumerate(request.operations):
            kind = operation.WhichOneof("kind")
            assert kind is not None
            result = seen.results[position] if seen is not None else None
            assert result is None or result.WhichOneof("kind") == kind
            getattr(self, kind)(getattr(operation, kind), result and getattr(result, kind), now_ms)

    def _operation_conflicts(self, request: pb.TransactRequest, now_ms: int) -> list[Conflict]:
        """The first if_version that does not hold where the operations are done one after the other.

        Its entry is the one that stays: what the operations before it did is as if it had never been.
        """
        scratch = copy.deepcopy(self)
        try:
            scratch._apply(request, None, now_ms)
        except Conflict as conflict:
            return [Conflict(self, conflict.key, self.live(conflict.key, now_ms))]
        return []

    def _check_conflicts(self, conflicts: list[Conflict], seen: pb.TransactResponse, now_ms: int) -> None:
        assert [entry.key for entry in seen.conflicts] == [conflict.key for conflict in conflicts]
        for entry, conflict in zip(seen.conflicts, conflicts, strict=True):
            conflict.check_version(entry.version)
            if conflict.present is not None:
                self.observe(entry, now_ms)
            else:
                assert entry == pb.Entry(key=conflict.key)

    def _matches(self, key: str, version: int, now_ms: int) -> bool:
        present = self.live(key, now_ms)
        return version == (0 if present is None else present.version)

    def _checked(self, operation: SetLike | DeleteLike, now_ms: int) -> Cell | None:
        """The present entry, when the operation's condition allows to change it."""
        present = self.live(operation.key, now_ms)
        if operation.HasField("if_version") and not self._matches(operation.key, operation.if_version, now_ms):
            raise Conflict(self, operation.key, present)
        return present

    def _put(self, key: str, cell: Cell, version: int | None) -> None:
        self.cells[key] = cell
        if version is not None:
            self.observe_version(key, cell, version)


def _expiry(ttl_ms: int, now_ms: int) -> int:
    return now_ms + ttl_ms if ttl_ms else 0


def _integer(cell: Cell) -> int:
    if cell.value is None or not _JSON_INTEGER.fullmatch(cell.value):
        raise Refused("NOT_AN_INTEGER")
    return int(cell.value)
