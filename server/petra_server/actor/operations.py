"""What an actor can be asked, and what it answers: plain values, without addresses and without gRPC.

Keys are whole entry keys (petra_server.storage.keys). A `ttl_ms` of 0 means no expiry, an `if_version` of None no
condition and of 0 that the key must be absent. Limits and ranges are checked before an operation is made.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from petra_server.errors import Reason, Refusal
from petra_server.sql.statements import Statement, StatementResult
from petra_server.storage.engine import Snapshot
from petra_server.storage.records import Record


class Algorithm(IntEnum):
    """How a rate limit counts; the numbers are those on the wire and on disk."""

    GCRA = 1
    FIXED_WINDOW = 2
    SLIDING_WINDOW = 3


class Get(NamedTuple):
    key: bytes


class Set(NamedTuple):
    key: bytes
    value: bytes
    encoding: int
    ttl_ms: int = 0
    if_version: int | None = None
    keep_ttl: bool = False


class Delete(NamedTuple):
    key: bytes
    if_version: int | None = None


class Increment(NamedTuple):
    key: bytes
    delta: int
    initial: int = 0
    ttl_ms: int = 0


class Touch(NamedTuple):
    key: bytes
    ttl_ms: int


class Throttle(NamedTuple):
    """`burst` and `cost` are the real ones: their defaults are filled in already."""

    key: bytes
    algorithm: Algorithm
    limit: int
    period_ms: int
    burst: int
    cost: int
    peek: bool = False


class ThrottleAll(NamedTuple):
    """Several limits under one key, charged together or not at all. They agree in key, cost and peek.

    No two have the same algorithm and period.
    """

    key: bytes
    limits: tuple[Throttle, ...]
    peek: bool = False


# What an entry takes of a message beside its key and value (tags, lengths, encoding, version and expiry), and the most
# that an answer without one takes.
ENTRY_MESSAGE_BYTES = 64


class AnswerBudget:
    """What one answer may hold, shared by the parts of a request. Counts down."""

    __slots__ = ("_left_bytes", "_limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = self._left_bytes = limit_bytes

    def take(self, key: bytes, record: Record | None) -> None:
        """Counts what is said of a key. Raises Refusal RESPONSE_TOO_LARGE when there is no room for it."""
        self._left_bytes -= ENTRY_MESSAGE_BYTES + len(key) + (0 if record is None else len(record.value))
        if self._left_bytes < 0:
            raise Refusal(
                Reason.RESPONSE_TOO_LARGE,
                f"The answer would not fit into the {self._limit_bytes} bytes that a message may have."
                " Nothing was done. Ask for less at a time.",
            )


class GetMany(NamedTuple):
    keys: tuple[bytes, ...]
    budget: AnswerBudget


class SetMany(NamedTuple):
    items: tuple[Set, ...]


class DeleteMany(NamedTuple):
    keys: tuple[bytes, ...]


class Condition(NamedTuple):
    key: bytes
    version: int


KeyStep: TypeAlias = Set | Delete | Increment | Touch | Throttle | Get
Step: TypeAlias = KeyStep | Statement


class Transact(NamedTuple):
    """Refused when what its steps read does not fit into an answer of `limit_bytes`.

    `database` is the page prefix of its object, for the statements among the steps.
    """

    conditions: tuple[Condition, ...]
    steps: tuple[Step, ...]
    limit_bytes: int
    database: bytes = b""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Those among the steps."""
        return tuple([step for step in self.steps if type(step) is Statement])


class Execute(NamedTuple):
    """Runs statements on a database, given by the prefix of its pages, all or none."""

    database: bytes
    statements: tuple[Statement, ...]


class Query(NamedTuple):
    """Runs a statement that only reads."""

    database: bytes
    statement: Statement


class Scan(NamedTuple):
    """A part of a listing: entries from `lower` to before `upper`, in order or from the end.

    Ends after `limit` entries, or `limit_bytes` of keys and values, or a bounded number of expired ones.
    """

    lower: bytes
    upper: bytes
    limit: int
    limit_bytes: int
    reverse: bool = False
    keys_only: bool = False


class ScanNames(NamedTuple):
    """The names that keys have as the part after `parent`: namespaces, or the objects of a namespace.

    The keys are those of entries or those of pages, as `parent` begins. From `lower` to before `upper`; only names
    with an entry that is not expired or with a page, and not the empty one of flat keys.
    """

    parent: bytes
    lower: bytes
    upper: bytes
    limit: int


class Clear(NamedTuple):
    """Removes all entries from `lower` to before `upper`, and the database whose pages have the prefix `database`."""

    lower: bytes
    upper: bytes
    database: bytes = b""


class Sweep(NamedTuple):
    """Removes up to `limit` expired entries, and requests that nobody may replay any more.

    `resume` is where the sweep before ended in the expiry index: all before it is gone, and need not be passed again.
    """

    limit: int
    resume: bytes = b""


Operation: TypeAlias = (
    KeyStep
    | ThrottleAll
    | GetMany
    | SetMany
    | DeleteMany
    | Transact
    | Execute
    | Query
    | Scan
    | ScanNames
    | Clear
    | Sweep
)

_MUTATIONS: frozenset[type[Operation]] = frozenset(
    (Set, Delete, Increment, Touch, Throttle, ThrottleAll, SetMany, DeleteMany, Transact, Clear)
)


def mutates(operation: Operation) -> bool:
    """Whether a client asks for a change. The sweeper's changes are nobody's wish; what SQL does shows as it runs."""
    return type(operation) in _MUTATIONS and not (isinstance(operation, Throttle | ThrottleAll) and operation.peek)


def weight(operation: Operation) -> int:
    """How much work an operation is, in single steps, about."""
    match operation:
        case GetMany() | DeleteMany():
            return 1 + len(operation.keys)
        case SetMany():
            return 1 + len(operation.items)
        case Transact():
            return 1 + len(operation.conditions) + len(operation.steps)
        case Execute():
            return 1 + len(operation.statements)
        case Scan():
            return 1 + operation.limit
        case _:
            return 1


# What reads stored ranges and so depends on everything that its actor has written. A clear that finds nothing shows
# that as well.
RANGE_READS: frozenset[type[Operation]] = frozenset((Scan, ScanNames, Clear))


class GetReply(NamedTuple):
    record: Record | None


class SetReply(NamedTuple):
    version: int


class DeleteReply(NamedTuple):
    deleted: bool


class IncrementReply(NamedTuple):
    value: int
    version: int


class TouchReply(NamedTuple):
    found: bool
    expires_at_ms: int


class ThrottleReply(NamedTuple):
    allowed: bool
    limit: int
    remaining: int
    retry_after_ms: int
    reset_after_ms: int


class ThrottleAllReply(NamedTuple):
    """One for each limit, in order. The call may go on when all of them allow it."""

    each: tuple[ThrottleReply, ...]


class GetManyReply(NamedTuple):
    """One for each key, in order."""

    records: tuple[Record | None, ...]


class SetManyReply(NamedTuple):
    versions: tuple[int, ...]


class CountReply(NamedTuple):
    """How many entries DeleteMany or Clear removed."""

    total: int


class SweepReply(NamedTuple):
    """How many entries were removed, whether there may be more to remove, and where to go on."""

    swept: int
    more: bool
    resume: bytes


KeyStepReply: TypeAlias = SetReply | DeleteReply | IncrementReply | TouchReply | ThrottleReply | GetReply
StepReply: TypeAlias = KeyStepReply | StatementResult


class TransactReply(NamedTuple):
    """`conflicts` are keys with what is there now, when a condition did not hold; then there are no results."""

    committed: bool
    results: tuple[StepReply, ...]
    conflicts: tuple[tuple[bytes, Record | None], ...]


class ExecuteReply(NamedTuple):
    """One result for each statement."""

    results: tuple[StatementResult, ...]
    database_bytes: int


class QueryReply(NamedTuple):
    """The result when it is small; else None, and a snapshot of the family for another run, as of then."""

    result: StatementResult | None
    database_bytes: int
    snapshot: Snapshot | None
    now_ms: int


class ScanReply(NamedTuple):
    """`resume` is the last key looked at when there may be more, None at the end of the range."""

    entries: list[tuple[bytes, Record]]
    resume: bytes | None


class ScanNamesReply(NamedTuple):
    """`resume` is the lower bound of what was not looked at, None at the end of the range."""

    names: list[bytes]
    resume: bytes | None


Reply: TypeAlias = (
    KeyStepReply
    | ThrottleAllReply
    | GetManyReply
    | SetManyReply
    | CountReply
    | SweepReply
    | TransactReply
    | ExecuteReply
    | QueryReply
    | ScanReply
    | ScanNamesReply
)
