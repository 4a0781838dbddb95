"""What each operation does in a turn. Plain functions: (turn, operation) -> answer, or a Refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from petra_server.actor.operations import (
    ENTRY_MESSAGE_BYTES,
    AnswerBudget,
    Clear,
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Execute,
    ExecuteReply,
    Get,
    GetMany,
    GetManyReply,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Query,
    QueryReply,
    Scan,
    ScanNames,
    ScanNamesReply,
    ScanReply,
    Set,
    SetMany,
    SetManyReply,
    SetReply,
    Step,
    StepReply,
    Sweep,
    SweepReply,
    Throttle,
    ThrottleAll,
    ThrottleAllReply,
    ThrottleReply,
    Touch,
    TouchReply,
    Transact,
    TransactReply,
)
from petra_server.actor.throttle import NewState, throttle, throttle_all
from petra_server.actor.turn import NeedsSql, Turn
from petra_server.errors import Reason, Refusal, StorageCorrupt, shortened
from petra_server.sql.statements import NO_RESULT, Outcome, Statement, StatementResult
from petra_server.storage.keys import (
    KIND_PAGE,
    expiry_bounds,
    part,
    prefix_end,
    read_part,
    request_bounds,
    request_bucket,
    split_entry,
    split_expiry,
)
from petra_server.storage.records import ENCODING_BYTES, ENCODING_JSON, Record, unpack_record

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

# How many stored entries one turn looks at: at about a microsecond each, other actors wait for some milliseconds.
SCAN_STEPS = 10_000
# The same for the bytes of what it looks at, whether or not it keeps them.
SCAN_BYTES = 8 << 20
# A clear of more entries goes on in slices; see LongTurn.
CLEAR_STEPS = 2_000

# An integer as JSON writes it (RFC 8259), between JSON's white space.
_JSON_INTEGER = re.compile(rb"[ \t\r\n]*(-?(?:0|[1-9][0-9]*))[ \t\r\n]*")
# Nothing longer is an int64; keeps int() from working on megabytes.
_LONGEST_INTEGER_BYTES = 64


class LongTurn(Exception):
    """The operation needs more than one turn may take. Its actor does nothing else until it is done."""


class VersionConflict(Refusal):
    """The entry does not have the expected version."""

    def __init__(self, key: bytes, present: Record | None, expected: int) -> None:
        version = 0 if present is None else present.version
        name = shortened(split_entry(key)[2].decode())
        has = f"has version {version}" if version else "is absent"
        wants = f"version {expected}" if expected else "an absent key"
        super().__init__(
            Reason.VERSION_CONFLICT,
            f"The entry {name!r} {has}, and the request asks for {wants}. Read it and try again.",
            field="if_version",
            metadata={"version": str(version), "key": name},
        )
        self.key = key


def _check_version(key: bytes, present: Record | None, expected: int | None) -> None:
    if expected is not None and (0 if present is None else present.version) != expected:
        raise VersionConflict(key, present, expected)


def _get(turn: Turn, operation: Get) -> GetReply:
    return GetReply(turn.read(operation.key))


def _get_many(turn: Turn, operation: GetMany) -> GetManyReply:
    records = []
    take = operation.budget.take
    for key in operation.keys:
        record = turn.read(key)
        take(key, record)
        records.append(record)
    return GetManyReply(tuple(records))


def _set(turn: Turn, operation: Set) -> SetReply:
    key, value, encoding, ttl_ms, if_version, keep_ttl = operation
    expires_at_ms = turn.now_ms + ttl_ms if ttl_ms else 0
    if keep_ttl or if_version is not None:
        present = turn.read(key)
        _check_version(key, present, if_version)
        if keep_ttl and present is not None:
            expires_at_ms = present.expires_at_ms
    version = turn.next_version()
    turn.write(key, Record(version, expires_at_ms, encoding, value))
    return SetReply(version)


def _set_many(turn: Turn, operation: SetMany) -> SetManyReply:
    for item in operation.items:
        if item.if_version is not None:
            _check_version(item.key, turn.read(item.key), item.if_version)
    turn.begin()
    return SetManyReply(tuple(_set(turn, item).version for item in operation.items))


def _delete(turn: Turn, operation: Delete) -> DeleteReply:
    present = turn.read(operation.key)
    _check_version(operation.key, present, operation.if_version)
    if present is None:
        turn.wait_for_earlier_writes()
        return DeleteReply(False)
    turn.write(operation.key, None)
    return DeleteReply(True)


def _delete_many(turn: Turn, operation: DeleteMany) -> CountReply:
    turn.begin()
    return CountReply(sum(_delete(turn, Delete(key)).deleted for key in operation.keys))


def _increment(turn: Turn, operation: Increment) -> IncrementReply:
    present = turn.read(operation.key)
    if present is None:
        value, expires_at_ms = operation.initial, turn.expiry(operation.ttl_ms)
    else:
        value, expires_at_ms = _integer(present), present.expires_at_ms
    value += operation.delta
    if not INT64_MIN <= value <= INT64_MAX:
        raise _overflow()
    version = turn.next_version()
    turn.write(operation.key, Record(version, expires_at_ms, ENCODING_JSON, b"%d" % value))
    return IncrementReply(value, version)


def _integer(record: Record) -> int:
    match = _JSON_INTEGER.fullmatch(record.value) if len(record.value) <= _LONGEST_INTEGER_BYTES else None
    if match is None:
        raise Refusal(
            Reason.NOT_AN_INTEGER,
            "The entry is not a JSON integer, so nothing can be added to it. Use another key, or set it to an integer.",
            field="key",
        )
    value = int(match[1])
    if not INT64_MIN <= value <= INT64_MAX:
        raise _overflow()
    return value


def _overflow() -> Refusal:
    return Refusal(
        Reason.INTEGER_OVERFLOW,
        "The sum does not fit into 64 bits, and the entry is unchanged. Use a smaller delta, or reset the counter.",
        field="delta",
    )


def _touch(turn: Turn, operation: Touch) -> TouchReply:
    present = turn.read(operation.key)
    if present is None:
        return TouchReply(False, 0)
    expires_at_ms = turn.expiry(operation.ttl_ms)
    if expires_at_ms != present.expires_at_ms:
        turn.write(operation.key, present._replace(expires_at_ms=expires_at_ms))
    return TouchReply(True, expires_at_ms)


def _throttle(turn: Turn, operation: Throttle) -> ThrottleReply:
    present = turn.read(operation.key)
    reply, state = throttle(None if present is None else present.value, operation, turn.now_ms)
    _charge(turn, operation.key, state)
    return reply


def _throttle_all(turn: Turn, operation: ThrottleAll) -> ThrottleAllReply:
    present = turn.read(operation.key)
    reply, state = throttle_all(None if present is None else present.value, operation, turn.now_ms)
    _charge(turn, operation.key, state)
    return reply


def _charge(turn: Turn, key: bytes, state: NewState | None) -> None:
    if state is None:
        turn.applied = False
    else:
        turn.write(key, Record(turn.next_version(), state.expires_at_ms, ENCODING_BYTES, state.value))


def _transact(turn: Turn, operation: Transact) -> TransactReply:
    statements = operation.statements
    outcome = turn.take_sql() if statements else None
    present = [turn.read(condition.key) for condition in operation.conditions]
    conflicts = tuple(
        (condition.key, record)
        for condition, record in zip(operation.conditions, present, strict=True)
        if (0 if record is None else record.version) != condition.version
    )
    if conflicts:
        turn.applied = False
        return TransactReply(False, (), conflicts)
    turn.begin()
    done = iter(outcome.results if outcome is not None else (None,) * len(statements))
    try:
        results = tuple([_step(turn, index, step, done) for index, step in enumerate(operation.steps)])
    except VersionConflict as conflict:
        turn.undo()
        turn.applied = False
        # What is there now, not what an earlier step of this transaction had made of it.
        return TransactReply(False, (), ((conflict.key, turn.read(conflict.key)),))
    budget = AnswerBudget(operation.limit_bytes - (0 if outcome is None else outcome.size_bytes))
    for step, result in zip(operation.steps, results, strict=True):
        if not isinstance(step, Statement):
            budget.take(step.key, result.record if isinstance(result, GetReply) else None)
    if statements:
        # Only now: whatever may refuse the transaction has been looked at, before the statements run.
        _keep_sql(turn, operation.database, outcome)
    turn.wait_for_earlier_writes()
    # A throttle may have said otherwise of itself; the transaction as a whole is applied.
    turn.applied = True
    return TransactReply(True, results, ())


def _step(turn: Turn, index: int, step: Step, done: Iterator[StatementResult | None]) -> StepReply:
    """`done` are the results of the statements, None when they have not run yet; then nobody looks at the reply."""
    if isinstance(step, Statement):
        return next(done) or NO_RESULT
    try:
        reply: StepReply = HANDLERS[type(step)](turn, step)
    except VersionConflict:
        raise
    except Refusal as refusal:
        message = f"Operation {index} of the transaction: {refusal.message} Nothing of the transaction was done."
        kind = type(step).__name__.lower()
        raise refusal.within(f"operations[{index}].{kind}", message) from None
    return reply


def _execute(turn: Turn, operation: Execute) -> ExecuteReply:
    outcome = _keep_sql(turn, operation.database, turn.take_sql())
    turn.applied = not outcome.read_only
    return ExecuteReply(outcome.results, outcome.database_bytes)


def _query(turn: Turn, operation: Query) -> QueryReply:
    outcome = _keep_sql(turn, operation.database, turn.take_sql())
    result = outcome.results[0] if outcome.results else None
    return QueryReply(result, outcome.database_bytes, None, turn.now_ms)


def _keep_sql(turn: Turn, database: bytes, outcome: Outcome | None) -> Outcome:
    if outcome is None:
        raise NeedsSql
    turn.keep_sql(database, outcome)
    return outcome


def _scan(turn: Turn, operation: Scan) -> ScanReply:
    entries: list[tuple[bytes, Record]] = []
    size = read = 0
    now_ms = turn.now_ms
    for seen, (key, data) in enumerate(turn.scan(operation.lower, operation.upper, reverse=operation.reverse), start=1):
        record = unpack_record(data)
        read += len(data)
        if not 0 < record.expires_at_ms <= now_ms:
            if operation.keys_only:
                record = record._replace(value=b"")
            size += len(key) + len(record.value) + ENTRY_MESSAGE_BYTES
            if size > operation.limit_bytes and entries:
                return ScanReply(entries, entries[-1][0])
            entries.append((key, record))
        if len(entries) == operation.limit or seen == SCAN_STEPS or read > SCAN_BYTES:
            return ScanReply(entries, key)
    return ScanReply(entries, None)


def _scan_names(turn: Turn, operation: ScanNames) -> ScanNamesReply:
    parent, lower, upper, limit = operation
    names: list[bytes] = []
    seen = 0
    while len(names) < limit and seen < SCAN_STEPS:
        for key, data in turn.scan(lower, upper):
            seen += 1
            lower = key + b"\x00"
            name, _ = read_part(key, len(parent))
            if name and (parent[:1] == KIND_PAGE or not 0 < unpack_record(data).expires_at_ms <= turn.now_ms):
                names.append(name)
                # One entry that is not expired is enough: on to the next name.
                lower = prefix_end(parent + part(name))
                break
            if not name or seen == SCAN_STEPS:
                lower = lower if name else prefix_end(parent + part(name))
                break
        else:
            return ScanNamesReply(names, None)
    return ScanNamesReply(names, lower)


def _clear(turn: Turn, operation: Clear) -> CountReply:
    found: list[tuple[bytes, int]] = []
    size = 0
    for key, data in turn.scan(operation.lower, operation.upper):
        size += len(data)
        if len(found) == CLEAR_STEPS or size > SCAN_BYTES:
            raise LongTurn
        found.append((key, unpack_record(data).expires_at_ms))
    turn.wait_for_earlier_writes()
    turn.begin()
    if operation.database:
        turn.clear_database(operation.database)
    for key, expires_at_ms in found:
        turn.remove(key, expires_at_ms)
    return CountReply(sum([not 0 < expires_at_ms <= turn.now_ms for _, expires_at_ms in found]))


def _sweep(turn: Turn, operation: Sweep) -> SweepReply:
    first, end = request_bounds(request_bucket(turn.now_ms) - 1)
    forgotten = next(turn.scan(first, end), None) is not None
    turn.begin()
    lower, upper = expiry_bounds(0, turn.now_ms)
    resume = operation.resume
    seen = read = 0
    stale: list[bytes] = []
    swept: list[bytes] = []
    for seen, (index_key, _) in enumerate(turn.scan(max(lower, resume), upper), start=1):
        resume = index_key + b"\x00"
        read += _sweep_entry(turn, index_key, swept, stale)
        if seen == operation.limit or read > SCAN_BYTES:
            break
    if forgotten:
        turn.delete_range(first, end)
    turn.forget(swept)
    turn.delete_index(stale)
    return SweepReply(len(swept), seen == operation.limit or read > SCAN_BYTES, resume)


def _sweep_entry(turn: Turn, index_key: bytes, swept: list[bytes], stale: list[bytes]) -> int:
    """Returns how many bytes it read."""
    expires_at_ms, key = split_expiry(index_key)
    try:
        record = turn.stored(key)
    except StorageCorrupt:
        # Left for whoever reads it; the others need not wait for that.
        return 0
    if record is not None and record.expires_at_ms == expires_at_ms:
        turn.write(key, None)
        swept.append(key)
    else:
        # Left behind by a clear.
        stale.append(index_key)
    return 0 if record is None else len(record.value)


HANDLERS: dict[type[Operation], Callable[[Turn, Any], Any]] = {
    Get: _get,
    GetMany: _get_many,
    Set: _set,
    SetMany: _set_many,
    Delete: _delete,
    DeleteMany: _delete_many,
    Increment: _increment,
    Touch: _touch,
    Throttle: _throttle,
    ThrottleAll: _throttle_all,
    Transact: _transact,
    Execute: _execute,
    Query: _query,
    Scan: _scan,
    ScanNames: _scan_names,
    Clear: _clear,
    Sweep: _sweep,
}
