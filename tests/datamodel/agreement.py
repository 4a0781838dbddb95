"""Makes the tables of models, and compares what is stored without the library: objects, rows and access rows."""

from __future__ import annotations

from petra import AsyncObject
from petra.datamodel import ModelDefinition
from petra.datamodel.schema import create_tables, indexes
from petra.datastore import Datastore


async def make_tables(datastore: Datastore, *models: ModelDefinition) -> None:
    """The tables and indexes of models."""
    statements = [sql for model in models for sql in create_tables(model)]
    statements += [index.sql for model in models for index in indexes(model)]
    await datastore.database.sql.batch(statements)


async def stored(database: AsyncObject, model: ModelDefinition) -> dict[str, dict[str, object]]:
    """The objects of a model by their ids. Raises AssertionError where an object, its row and its access disagree."""
    prefix = model.pattern.text.split("{", 1)[0]
    objects = {entry.key: entry.value async for entry in database.list(prefix=prefix)}
    rows = (await database.sql.execute(f'SELECT * FROM "{model.table}"')).mappings()
    access = {
        tuple(row) for row in await database.sql.execute(f'SELECT user_id, record_id FROM "{model.access_table}"')
    }
    by_key = {row["_key"]: row for row in rows}
    assert set(by_key) == set(objects)
    for key, value in objects.items():
        row = by_key[key]
        for column in model.columns:
            want = value[column.name]
            assert row[column.name] == (int(want) if isinstance(want, bool) else want), (key, column.name)
    assert access == {(user, value["id"]) for value in objects.values() for user in value.get("_auth", [])}
    return {value["id"]: value for value in objects.values()}
