# Written by tools/blocking.py from petra/datamodel/seeding.py: change that, and run make blocking.
"""Runs the seeds of a model. Each portion of records is one transaction, so seeds may be run by many at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from petra.contention import Contention
from petra.datamodel.definition import ModelDefinition, SeedDefinition
from petra.datamodel.errors import Duplicate
from petra.datamodel.faults import explained
from petra.datamodel.lookups import found_in
from petra.datamodel.plan import Database
from petra.datamodel.seeds import find_seeded, is_empty, portions, reseeded, seed_name, seed_record, seed_rows, seeded
from petra.datamodel.writes import record_save
from petra.errors import VersionConflict
from petra.sync._waiting import pause
from petra.sync.datastore import Datastore
from petra.sync.transaction import Transaction

Rows = list[dict[str, object]]


def run_seed(
    datastore: Datastore,
    definition: ModelDefinition,
    index: int,
    *,
    database: Database,
    environment: Mapping[str, str],
    timeout: float,
) -> bool:
    """Runs one of a model's seeds; returns whether it had to. Raises MissingVariable and ValidationError.

    A seed of many records that was interrupted goes on where it was, also one for an empty table.
    """
    seed = definition.seeds[index]
    record = database.records.get(f"seed:{seed_name(definition, index)}")
    begun = record is not None and record.state == "pending"
    if seed.strategy == "if_empty" and not begun:
        (row,) = datastore.database.sql.execute(is_empty(definition).sql, timeout=timeout)
        if not row[0]:
            return False
    written = 0
    for part in portions(seed_rows(definition, seed, environment)):
        written += _run_portion(datastore, definition, index, part, timeout)
    if written or begun:
        statement = seed_record(definition, index, "done")
        datastore.database.sql.execute(statement.sql, statement.params, timeout=timeout)
    return bool(written) or begun or seed.strategy == "always"


def _run_portion(datastore: Datastore, definition: ModelDefinition, index: int, rows: Rows, timeout: float) -> int:
    """Writes those records of a portion that have to be; returns how many those were."""
    contention = Contention(timeout)
    while True:
        try:
            with explained(definition):
                return _attempt(datastore, definition, index, rows, contention.left())
        except VersionConflict as conflict:
            pause(contention.pause(conflict))
        except Duplicate as duplicate:
            # Somebody has made the same record meanwhile, and the next attempt finds it; or the seed is not unique.
            if definition.primary.name not in duplicate.fields:
                raise
            pause(contention.pause(VersionConflict(str(duplicate))))


def _attempt(datastore: Datastore, definition: ModelDefinition, index: int, rows: Rows, timeout: float) -> int:
    seed = definition.seeds[index]
    keys = _present(datastore, definition, seed, rows, timeout)
    now = datetime.now(UTC)

    def attempt(transaction: Transaction) -> int:
        written = 0
        for row, key in zip(rows, keys, strict=True):
            if key is None:
                save = seeded(definition, row, now)
            elif seed.strategy == "always":
                entry = transaction.get_entry(key)
                found = None if entry is None else found_in(definition, None, key, entry.version, entry.value)
                again = None if found is None else reseeded(definition, row, found, now)
                if again is None:
                    continue
                save = again
            else:
                continue
            record_save(transaction, save)
            written += 1
        if written:
            statement = seed_record(definition, index, "pending")
            transaction.sql.execute(statement.sql, statement.params)
        return written

    return datastore.database.transact(attempt, timeout=timeout)


def _present(
    datastore: Datastore, definition: ModelDefinition, seed: SeedDefinition, rows: Rows, timeout: float
) -> list[str | None]:
    """The keys of the records that are there already."""
    statements = [find_seeded(definition, seed, row) for row in rows]
    results = datastore.database.sql.batch(statements, timeout=timeout)
    return [result.rows[0][0] if result.rows else None for result in results]
