"""Records that belong to a model, and how they are found and made. Pure.

A seed's texts may hold `${NAME}`, which stands for a variable of the environment; `$${` stands for `${`. A record that
is given no primary key gets one that follows from the model and the record as it is written, before variables are
replaced: so each run, and each process, means the same record. Seeds are data: no hooks are called for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol, cast
from uuid import NAMESPACE_OID, uuid5

from petra.datamodel.checks import checked
from petra.datamodel.decisions import planned, prepared
from petra.datamodel.definition import KEY_COLUMN, USER_ID, ModelDefinition, SeedDefinition, quoted
from petra.datamodel.encoding import column_value
from petra.datamodel.errors import ValidationError
from petra.datamodel.lookups import Found
from petra.datamodel.schema import MIGRATIONS
from petra.datamodel.state import State, changes, new_data
from petra.datamodel.writes import Save
from petra.errors import InvalidArgument
from petra.sql import Statement
from petra.values import Value

# A transaction of so many records is far below what a request may hold.
PORTION: Final = 100

_VARIABLE: Final = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_RECORD: Final = (
    f'INSERT INTO "{MIGRATIONS}" (id, run, kind, model, detail, state)'
    " VALUES (:id, 1, 'seed', :model, :detail, :state)"
    " ON CONFLICT (id, run) DO UPDATE SET state = excluded.state, at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
)


class MissingVariable(InvalidArgument):
    """A seed names a variable that the environment does not have; `field` is its name. Set it, and run it again."""


class _Typed(Protocol):
    """What seeds need of a class of records."""

    def _fit(self) -> dict[str, Value]: ...


def seed_name(definition: ModelDefinition, index: int) -> str:
    """The name of one of a model's seeds."""
    return f"{definition.name}[{index}]"


def seed_rows(
    definition: ModelDefinition, seed: SeedDefinition, environment: Mapping[str, str]
) -> list[dict[str, object]]:
    """The records of a seed with variables replaced and primary keys. Raises MissingVariable, InvalidArgument."""
    primary = definition.primary.name
    made: list[dict[str, object]] = []
    for written in seed.data:
        row = {name: _replaced(value, environment, definition) for name, value in written.items()}
        for name in row:
            if definition.by_name[name].built_in and name not in {primary, USER_ID}:
                raise InvalidArgument(f"A seed of {definition.name} sets {name}, which is kept by Petra.", field=name)
        # A primary field of the model's own has to be there.
        made.append(row if definition.options.primary is None else {primary: _stable_id(definition, written), **row})
    _check_once(definition, seed, made)
    return made


def _check_once(definition: ModelDefinition, seed: SeedDefinition, rows: list[dict[str, object]]) -> None:
    """Raises InvalidArgument when two records of a seed mean the same one."""
    names = seed.match or (definition.primary.name,)
    seen: set[str] = set()
    for row in rows:
        meant = repr([row.get(name) for name in names])
        if meant in seen:
            raise InvalidArgument(
                f"A seed of {definition.name} has a record twice: two have the {', '.join(names)} {meant[1:-1]}. A"
                " primary key that is not given follows from the rest of the record.",
                field="seeds",
            )
        seen.add(meant)


def find_seeded(definition: ModelDefinition, seed: SeedDefinition, row: Mapping[str, object]) -> Statement:
    """Finds the key of the record that a seed means, deleted or not."""
    names = seed.match or (definition.primary.name,)
    values = [column_value(definition.by_name[name], row.get(name)) for name in names]
    # IS, so that no value is found by no value.
    where = " AND ".join(f"{quoted(name)} IS ?" for name in names)
    return Statement(f"SELECT {quoted(KEY_COLUMN)} FROM {quoted(definition.table)} WHERE {where} LIMIT 1", values)


def is_empty(definition: ModelDefinition) -> Statement:
    """Finds whether there is any record."""
    return Statement(f"SELECT NOT EXISTS (SELECT 1 FROM {quoted(definition.table)})")


def seeded(definition: ModelDefinition, row: Mapping[str, object], now: datetime) -> Save:
    """The save of a new record. `user_id` in a seed makes it that user's. Raises ValidationError."""
    user_id = cast("str | None", row.get(USER_ID)) if USER_ID in definition.by_name else None
    data = prepared(definition, State(), fitting(definition, _settable(row)), user_id, now)
    return planned(definition, State(), data, user_id)


def reseeded(definition: ModelDefinition, row: Mapping[str, object], found: Found, now: datetime) -> Save | None:
    """The save of a record that is there, None when it is as the seed has it. Raises ValidationError."""
    given = {name: value for name, value in _settable(row).items() if name != definition.primary.name}
    fit = fitting(definition, found.data | given, new=False)
    data = prepared(definition, found.state, fit, None, now)
    if not changes(definition, found.state.saved, data):
        return None
    return planned(definition, found.state, data, None)


def fitting(definition: ModelDefinition, fields: Mapping[str, object], *, new: bool = True) -> dict[str, Value]:
    """Data as a record of the model holds it. Raises ValidationError."""
    if definition.typed is None:
        return checked(definition, {**new_data(definition), **fields} if new else fields)
    # Who has a typed model has pydantic.
    import pydantic

    from petra.datamodel.typed_data import errors_of

    try:
        validated = cast("type[pydantic.BaseModel]", definition.typed).model_validate(dict(fields), by_name=True)
    except pydantic.ValidationError as error:
        raise ValidationError.of(definition.name, errors_of(error)) from None
    return cast("_Typed", validated)._fit()


def seed_record(definition: ModelDefinition, index: int, state: str) -> Statement:
    """Records how far a seed has come: "pending", or "done"."""
    name = seed_name(definition, index)
    values = {"id": f"seed:{name}", "model": definition.name, "detail": name, "state": state}
    return Statement(_RECORD, values)


def portions(rows: list[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    """The records as they are written together."""
    return (rows[start : start + PORTION] for start in range(0, len(rows), PORTION))


def _settable(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != USER_ID}


def _stable_id(definition: ModelDefinition, written: Mapping[str, object]) -> str:
    text = json.dumps([definition.name, written], sort_keys=True, default=str)
    return str(uuid5(NAMESPACE_OID, text))


def _replaced(value: object, environment: Mapping[str, str], definition: ModelDefinition) -> object:
    match value:
        case str():
            return _VARIABLE.sub(lambda match: match[1] or _variable(match[2], environment, definition), value)
        case list() | tuple():
            return [_replaced(item, environment, definition) for item in value]
        case Mapping():
            return {name: _replaced(item, environment, definition) for name, item in value.items()}
        case _:
            return value


def _variable(name: str, environment: Mapping[str, str], definition: ModelDefinition) -> str:
    if name not in environment:
        raise MissingVariable(
            f"A seed of {definition.name} needs the variable {name}, which is not set in the environment.", field=name
        )
    return environment[name]
