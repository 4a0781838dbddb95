"""What the rows of a query become: fields, records and figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from petra.datamodel.compile import DATA, VERSION
from petra.datamodel.definition import KEY_COLUMN, ModelDefinition
from petra.datamodel.encoding import from_column
from petra.datamodel.expressions import Aggregate, Ordering
from petra.datamodel.lookups import Found, found_in
from petra.datastore.access import UserId
from petra.errors import DataLoss
from petra.sql import Row
from petra.values import Value


def decode_row(definition: ModelDefinition, fields: Sequence[str], row: Row) -> dict[str, Value]:
    """The fields asked for, or all synced ones, by their names."""
    return {name: from_column(definition.by_name[name].type, row[name]) for name in fields or definition.synced_names}


def found_in_row(definition: ModelDefinition, reader: UserId, row: Row) -> Found:
    """The record of a row. Raises DataLoss when its object is not there, or says that the reader may not see it."""
    found = found_in(definition, reader, row[KEY_COLUMN], row[VERSION], row[DATA])
    if found is None:
        raise DataLoss(
            f"A row of {definition.name} has no object that belongs to it at {row[KEY_COLUMN]!r}: somebody has written"
            " one without the other. reconcile(model, repair=True) mends that."
        )
    return found


def decode_figures(
    definition: ModelDefinition, groups: Sequence[str], figures: Mapping[str, Aggregate], row: Row
) -> dict[str, Value]:
    """The fields of a group and its figures, by their names."""
    values = iter(row)
    made = {name: from_column(definition.by_name[name].type, next(values)) for name in groups}
    return made | {name: _figure(definition, figure, next(values)) for name, figure in figures.items()}


def scope(definition: ModelDefinition, order: Sequence[Ordering]) -> str:
    """What a cursor belongs to: a model and an order."""
    return " ".join([definition.name, *(f"{'-' if one.descending else ''}{one.field}" for one in order)])


def _figure(definition: ModelDefinition, figure: Aggregate, value: Value) -> Value:
    match figure.function:
        case "sum":
            # SQL has no sum of nothing.
            return 0 if value is None else value
        case "min" | "max":
            return from_column(definition.by_name[figure.field].type, value)
        case _:
            return value
