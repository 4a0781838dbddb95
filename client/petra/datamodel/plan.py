"""What is to be done so that a database fits the models: (definitions, database) -> plan. Pure.

A plan adds: tables, columns and indexes. What would take something away, or change what is there, is refused with a
recipe for doing it by hand. A column or an index counts as ours when the migrations table says that we made it; what
somebody has added by hand is left alone.

Each step is done in one transaction with its record, whose key (id, run) is there once: of two who do the same step at
the same time one fails on that key, and nothing of its transaction stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.errors import DefinitionError
from petra.datamodel.making import Made, is_another_meaning, made_of, read_made
from petra.datamodel.recipes import (
    Refusal,
    changed_index,
    dropped_column,
    dropped_unique,
    foreign_table,
    reinterpreted,
    rekeyed,
    renamed_table,
    retyped,
)
from petra.datamodel.registry import MODELS
from petra.datamodel.schema import (
    CREATE_MIGRATIONS,
    MIGRATIONS,
    Index,
    add_column,
    belongs,
    columns,
    create_tables,
    indexes,
)
from petra.sql import SqlValue, Statement

# A model's name, its definition, or its class.
GivenModel: TypeAlias = str | ModelDefinition | type
StepKind: TypeAlias = Literal["table", "column", "index", "backfill", "seed"]

# A step has up to three statements, and the server takes 1,024 of them at once.
_TOGETHER: Final = 300

RECORD: Final = (
    f'INSERT INTO "{MIGRATIONS}" (id, run, kind, model, detail, state)'
    " VALUES (:id, :run, :kind, :model, :detail, :state)"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the migrations table: the newest run of a step."""

    run: int
    kind: str
    model: str
    detail: str
    state: str
    position: str
    # Of the making of a table: whether there is a table of that name now.
    is_there: bool = False


@dataclass(frozen=True, slots=True)
class Database:
    """What a database has: tables with the types of their columns, indexes with their texts, and records of steps."""

    # By the names in small letters: SQLite does not tell them apart by their case.
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # The text of each index, by its table and its name.
    indexes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)

    def run(self, step_id: str) -> int:
        """The number of the next run of a step."""
        record = self.records.get(step_id)
        return 1 if record is None else record.run + 1

    def pending(self, model: str) -> dict[str, Record]:
        """The backfills of a model that have not come to their end."""
        return {
            step: record
            for step, record in self.records.items()
            if record.kind == "backfill" and record.model == model and record.state == "pending"
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done. `name` says it in a word, such as pages.title; `sql` is empty for a mere record."""

    id: str
    run: int
    kind: StepKind
    model: str
    name: str
    sql: tuple[str, ...] = ()
    detail: str = ""
    state: str = "done"
    # Whether it takes time in proportion to the rows that are there.
    long: bool = False

    def statements(self) -> list[Statement]:
        """The step and its record."""
        values: dict[str, SqlValue] = {
            "id": self.id,
            "run": self.run,
            "kind": self.kind,
            "model": self.model,
            "detail": self.detail,
            "state": self.state,
        }
        return [Statement(RECORD, values), *(Statement(text) for text in self.sql)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, what is there already, and what is refused. With a refusal nothing of it is done."""

    steps: tuple[Step, ...]
    # The names of what is there already.
    present: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    # Backfills that were begun before, by their ids.
    pending: Mapping[str, Record]

    def transactions(self) -> list[list[Step]]:
        """The steps as they are done together: all that is done at once, and then each that takes long by itself."""
        quick = [step for step in self.steps if not step.long]
        together = [quick[start : start + _TOGETHER] for start in range(0, len(quick), _TOGETHER)]
        return [*together, *([step] for step in self.steps if step.long)]

    @property
    def is_empty(self) -> bool:
        """Whether the database fits the models, but for seeds."""
        return not self.steps and not self.refusals and not self.pending


def definitions_of(models: Iterable[GivenModel]) -> tuple[ModelDefinition, ...]:
    """The definitions of models that are given by their names, as classes, or as definitions; each once.

    Raises UnknownModel and DefinitionError.
    """
    given = [models] if isinstance(models, str | type | ModelDefinition) else models
    return tuple(dict.fromkeys(_definition(model) for model in given))


def make_plan(definitions: Iterable[ModelDefinition], database: Database) -> Plan:
    """Compares models with a database. Raises DefinitionError when two models have one table."""
    definitions = tuple(definitions)
    _check_tables(definitions)
    plans = [_plan(definition, database) for definition in definitions]
    return Plan(
        tuple(step for plan in plans for step in plan.steps),
        tuple(name for plan in plans for name in plan.present),
        tuple(refusal for plan in plans for refusal in plan.refusals),
        {step: record for plan in plans for step, record in plan.pending.items()},
    )


def transaction(steps: Iterable[Step]) -> list[Statement]:
    """The statements of steps that are done together."""
    return [Statement(CREATE_MIGRATIONS), *(statement for step in steps for statement in step.statements())]


def _definition(model: GivenModel) -> ModelDefinition:
    if isinstance(model, str):
        return MODELS[model]
    # Of a model class; to ask the class itself would need pydantic.
    found = vars(model).get("__petra_definition__") if isinstance(model, type) else model
    if not isinstance(found, ModelDefinition):
        raise DefinitionError(f"{model!r} is no model: give its class, its definition or its name.", field="models")
    return found


def _plan(definition: ModelDefinition, database: Database) -> Plan:
    table = definition.table
    present = database.tables.get(table.lower())
    if present is None:
        others = _other_tables(definition, database)
        if others:
            return Plan((), (), tuple(renamed_table(definition, other) for other in others), {})
        step = Step(
            f"table:{table}",
            database.run(f"table:{table}"),
            "table",
            definition.name,
            table,
            create_tables(definition),
            made_of(definition),
        )
        new = [_index_step(definition, index, database, long=False) for index in indexes(definition)]
        return Plan((step, *new), (), (), {})
    if definition.access_table.lower() not in database.tables or not {"_key", definition.primary.name} <= set(present):
        return Plan((), (), (foreign_table(definition),), {})
    added, refusals = _columns(definition, present, database)
    index_steps, index_refusals, index_names = _indexes(definition, database)
    refusals += _meanings(definition, present, database)
    names = [table, *(f"{table}.{name}" for name in columns(definition) if name in present), *index_names]
    return Plan((*added, *index_steps), tuple(names), (*refusals, *index_refusals), database.pending(definition.name))


def _columns(
    definition: ModelDefinition, present: Mapping[str, str], database: Database
) -> tuple[list[Step], list[Refusal]]:
    wanted = columns(definition)
    missing = [one for one in definition.columns if one.name not in present]
    gone = [name for name in _ours(definition, database) if name in present and name not in wanted]
    refusals = [
        retyped(definition, name, present[name], declared)
        for name, declared in wanted.items()
        if name in present and present[name].upper() != declared
    ]
    refusals += [
        dropped_column(definition, name, [one.name for one in missing if wanted[one.name] == present[name].upper()])
        for name in gone
    ]
    steps = []
    for one in missing:
        step_id = f"column:{definition.table}.{one.name}"
        name = f"{definition.table}.{one.name}"
        sql = (add_column(definition, one),)
        steps.append(Step(step_id, database.run(step_id), "column", definition.name, name, sql, one.type))
    if missing:
        names = [one.name for one in missing]
        step_id = f"backfill:{definition.table}({','.join(names)})"
        steps.append(
            Step(
                step_id,
                database.run(step_id),
                "backfill",
                definition.name,
                step_id.removeprefix("backfill:"),
                detail=json.dumps(names),
                state="pending",
            )
        )
    return steps, refusals


def _ours(definition: ModelDefinition, database: Database) -> list[str]:
    """The columns of a table that we made."""
    record = database.records.get(f"table:{definition.table}")
    made = Made() if record is None else read_made(record.detail)
    prefix = f"column:{definition.table}."
    return [*made.types, *(step.removeprefix(prefix) for step in database.records if step.startswith(prefix))]


def _other_tables(definition: ModelDefinition, database: Database) -> list[str]:
    """The tables that a model had under other names, and that are still there."""
    return [
        step.removeprefix("table:")
        for step, record in database.records.items()
        if step.startswith("table:") and record.model == definition.name and record.is_there
    ]


def _meanings(definition: ModelDefinition, present: Mapping[str, str], database: Database) -> list[Refusal]:
    """What the columns do not tell: fields of another type that has the same column, and keys of another pattern."""
    record = database.records.get(f"table:{definition.table}")
    made = Made() if record is None else read_made(record.detail)
    refusals = []
    for one in definition.columns:
        step_id = f"column:{definition.table}.{one.name}"
        column = database.records.get(step_id)
        was = made.types.get(one.name, "") if column is None else column.detail
        if one.name in present and is_another_meaning(was, one.type):
            refusals.append(reinterpreted(definition, one.name, was, one.type, database.run(step_id)))
    step_id = f"key:{definition.table}"
    moved = database.records.get(step_id)
    pattern = made.key if moved is None else moved.detail
    if pattern and pattern != definition.pattern.text:
        refusals.append(rekeyed(definition, pattern, database.run(step_id)))
    return refusals


def _indexes(definition: ModelDefinition, database: Database) -> tuple[list[Step], list[Refusal], list[str]]:
    present = database.indexes.get(definition.table.lower(), {})
    wanted = {index.name: index for index in indexes(definition)}
    steps = [_index_step(definition, one, database, long=True) for one in wanted.values() if one.name not in present]
    refusals = [
        changed_index(definition, one)
        for one in wanted.values()
        if one.name in present and present[one.name] != one.sql
    ]
    # One that is not unique does no harm when nobody wants it any more.
    refusals += [
        dropped_unique(definition, name)
        for name in present
        if name not in wanted and name.startswith("unique ") and belongs(name, definition.table)
    ]
    return steps, refusals, [name for name in wanted if name in present]


def _index_step(definition: ModelDefinition, index: Index, database: Database, *, long: bool) -> Step:
    step_id = f"index:{index.name}"
    run = database.run(step_id)
    return Step(step_id, run, "index", definition.name, index.name, (index.sql,), index.sql, long=long)


def _check_tables(definitions: Iterable[ModelDefinition]) -> None:
    seen: dict[str, str] = {}
    for one in definitions:
        for table in (one.table.lower(), one.access_table.lower()):
            other = seen.setdefault(table, one.name)
            if other != one.name:
                raise DefinitionError(f"{other} and {one.name} have the same table {table!r}.", field="table")
