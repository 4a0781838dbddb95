"""From the fields of requests to operations: every limit and range of the wire is checked here. Pure.

The unary messages and the columns of a pipeline both come through here, so a field means the same in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from petra_server.actor.addresses import Address
from petra_server.actor.operations import Algorithm, Delete, Get, Increment, Set, Throttle, ThrottleAll, Touch
from petra_server.actor.throttle import MAX_BUSY_MS
from petra_server.errors import Reason, Refusal, shortened
from petra_server.storage.records import ENCODING_BYTES, ENCODING_JSON

MAX_TTL_MS = 100 * 366 * 24 * 3_600_000
MAX_PERIOD_MS = 366 * 24 * 3_600_000
# Of one key. A state is read and written whole, and nobody needs a limit for every unit of time.
MAX_LIMITS = 16
MAX_REQUEST_ID_BYTES = 32
DEFAULT_PAGE_ENTRIES = 1_000
# What a response message needs beside the values in it.
MESSAGE_OVERHEAD_BYTES = 4_096

_ENCODINGS = {0: ENCODING_BYTES, 1: ENCODING_BYTES, 2: ENCODING_JSON}
_SYNC = {0: True, 1: True, 2: False}
_SYNC_OF_THROTTLE = {0: False, 1: True, 2: False}
_ALGORITHMS = {0: Algorithm.GCRA, **{int(algorithm): algorithm for algorithm in Algorithm}}

# Algorithm, limit, period_ms and burst of one of several limits.
LimitFields: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of section 4 of the design, in bytes where the name says so; see petra_server.settings."""

    max_namespace_bytes: int
    max_object_bytes: int
    max_key_bytes: int
    max_value_bytes: int
    max_batch_items: int
    max_message_bytes: int
    max_page_entries: int
    max_page_bytes: int
    max_sql_bytes: int
    max_sql_value_bytes: int
    max_sql_rows: int
    max_sql_result_bytes: int


class Checks:
    """Makes operations out of fields. Every method raises Refusal with the field that is wrong."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._max_key_bytes = limits.max_key_bytes
        self._max_value_bytes = limits.max_value_bytes
        # What the values in one answer may come to.
        self.answer_bytes = max(0, limits.max_message_bytes - MESSAGE_OVERHEAD_BYTES)

    # Fields.

    def key(self, key: str, field: str = "key") -> bytes:
        encoded = key.encode()
        if 0 < len(encoded) <= self._max_key_bytes:
            return encoded
        problem = f"has {len(encoded)} bytes" if encoded else "is empty"
        raise Refusal(
            Reason.INVALID_KEY,
            f"A key {problem}; it must have 1 to {self._max_key_bytes} bytes. Use another key.",
            field=field,
        )

    def keys(self, names: Iterable[str]) -> list[bytes]:
        """The keys of a batch."""
        try:
            return [self.key(name) for name in names]
        except Refusal:
            for index, name in enumerate(names):
                self.key(name, f"keys[{index}]")
            raise

    def bound(self, key: str, field: str) -> bytes:
        """A prefix or a bound of a range, which may be empty."""
        encoded = key.encode()
        if len(encoded) > self._max_key_bytes:
            raise Refusal(
                Reason.INVALID_RANGE,
                f"{field} has {len(encoded)} bytes, and no key has more than {self._max_key_bytes}. Use a shorter one.",
                field=field,
            )
        return encoded

    def expiry(self, ttl_ms: int) -> int:
        if 0 <= ttl_ms <= MAX_TTL_MS:
            return ttl_ms
        raise Refusal(
            Reason.INVALID_TTL,
            f"ttl_ms is {ttl_ms}; it must be 0 (no expiry) to {MAX_TTL_MS} (100 years). To remove an entry, delete it.",
            field="ttl_ms",
        )

    def sync(self, durability: int) -> bool:
        return self._sync(_SYNC, durability)

    def sync_of_throttle(self, durability: int) -> bool:
        return self._sync(_SYNC_OF_THROTTLE, durability)

    @staticmethod
    def _sync(table: dict[int, bool], durability: int) -> bool:
        sync = table.get(durability)
        if sync is None:
            raise Refusal(
                Reason.INVALID_DURABILITY,
                f"durability is {durability}; it must be one of petra.v1.Durability: 1 (FSYNC) or 2 (BUFFERED).",
                field="durability",
            )
        return sync

    def request_id(self, request_id: bytes) -> bytes:
        if len(request_id) > MAX_REQUEST_ID_BYTES:
            raise Refusal(
                Reason.INVALID_REQUEST_ID,
                f"The request id has {len(request_id)} bytes, and {MAX_REQUEST_ID_BYTES} are allowed. Use 16.",
                field="request_id",
            )
        return request_id

    def batch(self, count: int, field: str) -> None:
        if count > self.limits.max_batch_items:
            raise Refusal(
                Reason.BATCH_TOO_LARGE,
                f"The request has {count} {field}, and {self.limits.max_batch_items} are allowed. Send several.",
                field=field,
            )

    def distinct(self, keys: Sequence[bytes], field: str) -> None:
        if len(set(keys)) != len(keys):
            second = next(index for index, key in enumerate(keys) if key in keys[:index])
            raise Refusal(
                Reason.DUPLICATE_KEY,
                f"The key {shortened(keys[second].decode())!r} stands in the request twice. Send each key once.",
                field=f"{field}[{second}].key",
            )

    def page_entries(self, limit: int) -> int:
        if limit > self.limits.max_page_entries:
            raise Refusal(
                Reason.INVALID_LIMIT,
                f"limit is {limit}, and a page holds at most {self.limits.max_page_entries}. Ask for several pages.",
                field="limit",
            )
        return limit or min(DEFAULT_PAGE_ENTRIES, self.limits.max_page_entries)

    def sql(self, text: str) -> None:
        """The text of a statement."""
        limit = self.limits.max_sql_bytes
        # It is measured only if it could be too long.
        if 4 * len(text) > limit and len(text.encode()) > limit:
            raise Refusal(
                Reason.SQL_TOO_LARGE,
                f"The text has {len(text.encode())} bytes, and {limit} are allowed."
                " Send values as parameters, and several statements as such.",
                field="sql",
            )
        if "\0" in text:
            raise Refusal(
                Reason.INVALID_STATEMENT,
                "The text has a character of code 0 in it, where SQL ends for SQLite. Send values as parameters.",
                field="sql",
            )

    @staticmethod
    def database(address: Address) -> Address:
        """An address that has a database."""
        if address.owner is None:
            raise Refusal(
                Reason.INVALID_OBJECT,
                "A database belongs to an object: only what is in one object changes together. Name one.",
                field="object",
            )
        return address

    @staticmethod
    def condition_of_many(address: Address) -> None:
        """For an item of SetMany that has a condition."""
        if address.owner is None:
            raise Refusal(
                Reason.INVALID_CONDITION,
                "if_version in SetMany needs an object: flat keys do not change together. Name one or use Set.",
                field="if_version",
            )

    # Operations.

    def get(self, address: Address, key: bytes) -> Get:
        return Get(address.prefix + key)

    def set(
        self,
        address: Address,
        key: bytes,
        value: bytes,
        encoding: int,
        ttl_ms: int,
        if_version: int | None,
        keep_ttl: bool,
    ) -> Set:
        if len(value) > self._max_value_bytes:
            raise Refusal(
                Reason.VALUE_TOO_LARGE,
                f"The value has {len(value)} bytes, and {self._max_value_bytes} are allowed."
                " Store less, or split it over several keys of one object.",
                field="value",
            )
        known = _ENCODINGS.get(encoding)
        if known is None:
            raise Refusal(
                Reason.INVALID_ENCODING,
                f"encoding is {encoding}; it must be one of petra.v1.Encoding: 1 (BYTES) or 2 (JSON).",
                field="encoding",
            )
        if ttl_ms:
            self.expiry(ttl_ms)
            if keep_ttl:
                raise Refusal(
                    Reason.INVALID_TTL,
                    "keep_ttl keeps the expiry that is there. Send no ttl beside it.",
                    field="keep_ttl",
                )
        return Set(address.prefix + key, value, known, ttl_ms, if_version, keep_ttl)

    def delete(self, address: Address, key: bytes, if_version: int | None) -> Delete:
        return Delete(address.prefix + key, if_version)

    def increment(self, address: Address, key: bytes, delta: int, initial: int, ttl_ms: int) -> Increment:
        return Increment(address.prefix + key, delta, initial, self.expiry(ttl_ms))

    def touch(self, address: Address, key: bytes, ttl_ms: int) -> Touch:
        return Touch(address.prefix + key, self.expiry(ttl_ms))

    def throttle(
        self,
        address: Address,
        key: bytes,
        algorithm: int,
        limit: int,
        period_ms: int,
        burst: int,
        cost: int,
        peek: bool,
    ) -> Throttle:
        known = _ALGORITHMS.get(algorithm)
        if known is None:
            raise _bad_throttle(
                "algorithm", f"algorithm is {algorithm}; it must be one of petra.v1.Algorithm: 1, 2 or 3."
            )
        if not limit:
            raise _bad_throttle("limit", "limit is 0; it must be at least 1. To refuse all calls, do not ask.")
        if not 1 <= period_ms <= MAX_PERIOD_MS:
            raise _bad_throttle("period_ms", f"period_ms is {period_ms}; it must be 1 to {MAX_PERIOD_MS} (366 days).")
        if burst and known is not Algorithm.GCRA:
            raise _bad_throttle("burst", "burst is for GCRA only. Leave it out for windows.")
        burst = burst or limit
        if burst * period_ms // limit > MAX_BUSY_MS:
            raise _bad_throttle(
                "burst", "burst is so large that it would take over 100 years to be free again. Use less."
            )
        capacity = burst if known is Algorithm.GCRA else limit
        cost = cost or 1
        if cost > capacity:
            raise _bad_throttle(
                "cost",
                f"cost is {cost}, and no more than {capacity} can be allowed at once. Lower it, or raise the limit.",
            )
        return Throttle(address.prefix + key, known, limit, period_ms, burst, cost, peek)

    def throttle_all(
        self, address: Address, key: bytes, limits: Sequence[LimitFields], cost: int, peek: bool
    ) -> ThrottleAll:
        """`limits` is not empty."""
        if len(limits) > MAX_LIMITS:
            raise _bad_throttle("limits", f"There are {len(limits)} limits, and a key has {MAX_LIMITS} at most.")
        checked = []
        for index, fields in enumerate(limits):
            try:
                checked.append(self.throttle(address, key, *fields, cost, peek))
            except Refusal as refusal:
                # The cost is that of the whole.
                raise refusal if refusal.field == "cost" else refusal.within(f"limits[{index}]") from None
        if len({(limit.algorithm, limit.period_ms) for limit in checked}) < len(checked):
            raise _bad_throttle("limits", "Two limits have the same algorithm and period. Leave the larger one out.")
        return ThrottleAll(address.prefix + key, tuple(checked), peek)


def _bad_throttle(field: str, message: str) -> Refusal:
    return Refusal(Reason.INVALID_THROTTLE, message, field=field)
