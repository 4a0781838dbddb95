"""Proves that the rows and the access rows of a model agree with its full objects, or makes them agree.

Models write the three in one transaction, so there is nothing to find unless somebody has written them by other means,
such as raw SQL. It may run beside everything else: what it compares is of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from petra._waiting import called
from petra.datamodel.definition import ModelDefinition
from petra.datamodel.differences import (
    Difference,
    Reconciliation,
    access_after,
    judge_access,
    judge_object,
    judge_row,
    objects_without_row,
    rows_after,
)
from petra.datamodel.faults import explained
from petra.datamodel.migrate import check_datastore
from petra.datamodel.plan import GivenModel, definitions_of
from petra.datastore import Datastore
from petra.errors import InvalidArgument, SqlConstraint
from petra.sql import Row, Statement
from petra.values import Seconds

# Rows, objects or access rows looked at together: some hundred kilobytes of objects.
_PORTION = 200
# Of what is found, so much is told; all of it is counted.
_SHOWN = 1_000
_TIMEOUT = 60.0


async def reconcile(
    datastore: Datastore,
    model: GivenModel,
    *,
    repair: bool = False,
    progress: Callable[[int], object | Awaitable[object]] | None = None,
    timeout: Seconds = _TIMEOUT,
) -> Reconciliation:
    """Compares all records of a model, and with `repair` mends what can be mended: the full objects are right.

    `progress` is called with the number of rows compared so far. `timeout` is for each step. An object whose values
    are not of the model's types, and a row that something else makes impossible (another one has the same unique
    values), are left to people. Raises NotInitialized.
    """
    check_datastore(datastore)
    (definition,) = definitions_of([model])
    counts: Counter[str] = Counter()
    shown: list[Difference] = []
    rows = repaired = 0
    with datastore.log.operation("reconcile", definition.name, ""), explained(definition):
        async for compared, found in _differences(datastore, definition, timeout):
            rows += compared
            for difference in found:
                counts[difference.kind] += 1
                shown += [difference] if len(shown) < _SHOWN else []
                repaired += repair and await _mended(datastore, difference, timeout)
            if progress is not None and compared:
                await called(progress, rows)
    return Reconciliation(definition.name, rows, dict(counts), tuple(shown), repaired)


async def _differences(
    datastore: Datastore, definition: ModelDefinition, timeout: Seconds
) -> AsyncIterator[tuple[int, list[Difference]]]:
    """What is wrong, portion by portion, with the number of rows in each."""
    position = ""
    while rows := await _rows(datastore, lambda size: rows_after(definition, position, size), timeout):  # noqa: B023
        yield len(rows), [one for row in rows for one in judge_row(definition, row)]
        position = str(rows[-1][definition.primary.name])
    prefix = definition.pattern.text.partition("{")[0]
    keys: list[str] = []
    async for key in datastore.database.list_keys(prefix=prefix, timeout=timeout):
        keys.append(key)
        if len(keys) == _PORTION:
            yield 0, await _lost(datastore, definition, keys, timeout)
            keys = []
    yield 0, await _lost(datastore, definition, keys, timeout)
    if not definition.options.auth:
        return
    last = ("", "")
    while access := await _rows(datastore, lambda size: access_after(definition, last, size), timeout):  # noqa: B023
        yield 0, _found(judge_access(definition, row) for row in access)
        last = (access[-1][0], access[-1][1])


async def _lost(
    datastore: Datastore, definition: ModelDefinition, keys: list[str], timeout: Seconds
) -> list[Difference]:
    """The objects without a row."""
    found: list[Difference] = []
    while keys:
        statement = objects_without_row(definition, keys)
        rows = (await datastore.database.sql.execute(statement.sql, statement.params, timeout=timeout)).rows
        return _found(judge_object(definition, row) for row in rows)
    return found


async def _rows(datastore: Datastore, statement: Callable[[int], Statement], timeout: Seconds) -> list[Row]:
    """The rows of a portion; of a smaller one when their objects are too large for an answer."""
    size = _PORTION
    while True:
        wanted = statement(size)
        try:
            return (await datastore.database.sql.execute(wanted.sql, wanted.params, timeout=timeout)).rows
        except InvalidArgument as error:
            if error.reason != "RESULT_TOO_LARGE" or size == 1:
                raise
            size //= 2


def _found(judged: Iterable[Difference | None]) -> list[Difference]:
    return [difference for difference in judged if difference is not None]


async def _mended(datastore: Datastore, difference: Difference, timeout: Seconds) -> bool:
    """Mends a difference; False where it cannot be, or where somebody has written the record meanwhile."""
    if not difference.repair:
        return False
    try:
        results = await datastore.database.sql.batch(difference.repair, timeout=timeout)
    except SqlConstraint:
        return False
    return any(result.changes for result in results)
