"""Brings a database to where the models are: tables, columns, indexes, backfills and seeds.

It may be run at each start of a program and by any number of processes at once. What it does at once is one transaction
with its records, so whoever is killed leaves all of it or nothing; what takes long (an index on a table that is there,
a backfill, a seed of many records) is a transaction each, and goes on at the next run where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import petra.datamodel.backfill as filling
from petra._waiting import called
from petra.datamodel.backfill import Backfill, Progress
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.faults import explained
from petra.datamodel.inspection import look, read_database, records_are_missing, records_are_taken
from petra.datamodel.outcome import Applied, Initialized, Outcome, applied_of, recorded
from petra.datamodel.plan import Database, GivenModel, Plan, Step, definitions_of, make_plan, transaction
from petra.datamodel.recipes import MigrationRefused
from petra.datamodel.seeding import run_seed
from petra.datamodel.seeds import seed_name
from petra.datastore import Datastore
from petra.errors import InvalidArgument, SqlConstraint, SqlError
from petra.values import Seconds, to_timeout

Watch = Callable[[Progress], object | Awaitable[object]]

# Of each step; an index on a table of millions of rows takes so long.
_TIMEOUT = 60.0


async def initialize(
    datastore: Datastore,
    models: Iterable[GivenModel],
    *,
    progress: Watch | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: Seconds = _TIMEOUT,
) -> Initialized:
    """Makes what the models need and is not there, and says what that was. The second time it does nothing.

    `progress` is called with Progress while columns are filled. `environment` has the variables of seeds, those of the
    process unless given. `timeout` is for each step. Raises MigrationRefused when something would have to be dropped,
    renamed or converted, and changes nothing then; MissingVariable; Duplicate when records that are there have values
    that are to be unique; and ValidationError for a seed.
    """
    began = time.perf_counter()
    check_datastore(datastore)
    definitions = definitions_of(models)
    outcome = Outcome()
    seconds = to_timeout(timeout) or _TIMEOUT
    with datastore.log.operation("initialize", ", ".join(one.name for one in definitions), ""):
        await _apply(datastore, definitions, outcome, seconds)
        database = await _look(datastore, definitions, seconds)
        for definition in definitions:
            for step_id, record in database.pending(definition.name).items():
                backfill = Backfill.of(definition, step_id, record)
                await _fill(datastore, definition, backfill, progress, seconds)
        values = os.environ if environment is None else environment
        for definition in definitions:
            for index in range(len(definition.seeds)):
                ran = await run_seed(
                    datastore, definition, index, database=database, environment=values, timeout=seconds
                )
                outcome.seed(seed_name(definition, index), ran=ran)
    return outcome.result((time.perf_counter() - began) * 1_000)


async def migration_plan(datastore: Datastore, models: Iterable[GivenModel], *, timeout: Seconds = _TIMEOUT) -> Plan:
    """What `initialize` would do, seeds left out. Nothing is changed."""
    check_datastore(datastore)
    definitions = definitions_of(models)
    return make_plan(definitions, await _look(datastore, definitions, to_timeout(timeout) or _TIMEOUT))


async def migration_history(datastore: Datastore, *, timeout: Seconds = _TIMEOUT) -> list[Applied]:
    """All steps that were done in this database, the oldest first."""
    check_datastore(datastore)
    statement = recorded()
    try:
        result = await datastore.database.sql.execute(statement.sql, statement.params, timeout=timeout)
    except SqlError as error:
        if records_are_missing(error):
            return []
        raise
    return [applied_of(row) for row in result]


def check_datastore(datastore: object) -> None:
    """Raises TypeError for what is no datastore of this tree."""
    if not isinstance(datastore, Datastore):
        raise TypeError(
            f"Models are in a Datastore, not in a {type(datastore).__name__}; here that is one of"
            f" {Datastore.__module__.rsplit('.', 1)[0]}."
        )


async def _apply(
    datastore: Datastore, definitions: tuple[ModelDefinition, ...], outcome: Outcome, timeout: float
) -> None:
    """Does the steps of the plan, and makes another one whenever somebody else was faster."""
    while True:
        made = make_plan(definitions, await _look(datastore, definitions, timeout))
        if made.refusals:
            raise MigrationRefused.of(made.refusals)
        outcome.found(made.present)
        for steps in made.transactions():
            if not await _done(datastore, definitions, steps, timeout):
                break
            outcome.did(steps)
        else:
            return


async def _done(
    datastore: Datastore, definitions: tuple[ModelDefinition, ...], steps: list[Step], timeout: float
) -> bool:
    """Does steps that belong together; False when somebody else has done one of them, and nothing was changed."""
    (definition,) = {one for one in definitions if one.name == steps[0].model}
    try:
        with explained(definition):
            await datastore.database.sql.batch(transaction(steps), timeout=timeout)
    except SqlConstraint as error:
        if records_are_taken(error):
            return False
        raise
    return True


async def _look(datastore: Datastore, definitions: tuple[ModelDefinition, ...], timeout: float) -> Database:
    """What the database has of the models, in one moment."""
    statements = look(definitions)
    try:
        results = await datastore.database.sql.batch(statements, timeout=timeout)
    except SqlError as error:
        if not records_are_missing(error):
            raise
        results = await datastore.database.sql.batch(statements[:-1], timeout=timeout)
    return read_database(results)


async def _fill(
    datastore: Datastore, definition: ModelDefinition, backfill: Backfill, progress: Watch | None, timeout: float
) -> None:
    sql = datastore.database.sql
    counted = filling.totals(definition, backfill.position)
    done, total = await sql.one(counted.sql, counted.params, timeout=timeout)
    position, size = backfill.position, filling.BATCH
    while True:
        wanted = filling.batch(definition, position, size)
        try:
            rows = (await sql.execute(wanted.sql, wanted.params, timeout=timeout)).rows
        except InvalidArgument as error:
            if error.reason != "RESULT_TOO_LARGE" or size == 1:
                raise
            size //= 2
            continue
        if not rows:
            break
        statement, expected = filling.fill(definition, backfill, rows)
        with explained(definition):
            if statement is not None and (await sql.batch([statement], timeout=timeout))[0].changes < expected:
                # Somebody has saved one of them since it was read: they are read again.
                continue
        position = str(rows[-1][0])
        moved = filling.advance(backfill, position)
        await sql.execute(moved.sql, moved.params, timeout=timeout)
        done += len(rows)
        if progress is not None:
            await called(progress, Progress(definition.name, backfill.names, done, max(done, total)))
    finished = filling.finish(backfill)
    await sql.execute(finished.sql, finished.params, timeout=timeout)
