"""What the database says about a model's tables, in the words of the model. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from petra.datamodel.definition import KEY_COLUMN, ModelDefinition
from petra.datamodel.errors import Duplicate, NotInitialized, names_shown
from petra.errors import SqlConstraint, SqlError

_MISSING = re.compile(r"no such (?:table|column)|has no column named|no such function")
_COLUMN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)")
_UNIQUE = frozenset({"UNIQUE", "PRIMARYKEY"})


@contextmanager
def explained(definition: ModelDefinition) -> Iterator[None]:
    """Raises Duplicate for a constraint that does not hold, and NotInitialized for what is not in the schema."""
    try:
        yield
    except SqlConstraint as error:
        duplicate = _duplicate(definition, error)
        if duplicate is None:
            raise
        raise duplicate from error
    except SqlError as error:
        if not _MISSING.search(error.message):
            raise
        raise NotInitialized(
            f"The tables of {definition.name} are not there, or not as it is defined: {error.message} Run initialize"
            " with this model."
        ) from error


def duplicate_key(definition: ModelDefinition) -> Duplicate:
    """The error for a record whose key another one has that its user sees."""
    return _of(definition, definition.pattern.fields)


def _duplicate(definition: ModelDefinition, error: SqlConstraint) -> Duplicate | None:
    columns = [column for table, column in _COLUMN.findall(error.message) if table == definition.table]
    if error.constraint in _UNIQUE and columns and KEY_COLUMN not in columns:
        return _of(definition, tuple(columns))
    if error.constraint in _UNIQUE and KEY_COLUMN in columns:
        return duplicate_key(definition)
    # That is how the upsert of a row that belongs to another object fails.
    if error.constraint == "NOTNULL" and KEY_COLUMN in columns:
        return _of(definition, (definition.primary.name,))
    return None


def _of(definition: ModelDefinition, fields: tuple[str, ...]) -> Duplicate:
    return Duplicate(f"There is another {definition.name} with the same {names_shown(fields)}.", fields=fields)
