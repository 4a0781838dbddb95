"""What a migration does not do by itself, and how it is done by hand. Pure.

Each of these changes takes something away, or means something that only people know: whether a field that is gone was
renamed, or what becomes of a text that is to be a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from petra.datamodel.definition import ACCESS_SUFFIX, ModelDefinition, quoted
from petra.datamodel.schema import MIGRATIONS, Index, literal_name
from petra.errors import FailedPrecondition

RefusalKind: TypeAlias = Literal["drop", "rename", "retype", "index", "table"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that is not made. `name` is what it is about, such as pages.title; `recipe` has the steps by hand."""

    kind: RefusalKind
    model: str
    name: str
    message: str
    recipe: tuple[str, ...]

    def __str__(self) -> str:
        steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(self.recipe, 1))
        return f"{self.message}\n{steps}"


class MigrationRefused(FailedPrecondition):
    """The database has what the models do not want any more, or in another type; nothing was changed.

    `refusals` say what it is, and how to do it by hand.
    """

    def __init__(self, message: str, *, refusals: tuple[Refusal, ...] = ()) -> None:
        super().__init__(message)
        self.refusals = refusals

    @classmethod
    def of(cls, refusals: tuple[Refusal, ...]) -> MigrationRefused:
        """The error for what was found."""
        return cls("\n".join(str(refusal) for refusal in refusals), refusals=refusals)


_DROPPED: Final = """\
Backup: {backup}
Drop the indexes that name the column ({find}), then: ALTER TABLE {table} DROP COLUMN {column}
Verify: run initialize again, and reconcile the model.
"""
_RENAMED: Final = """\
Backup: {backup}
Renamed? Have both fields in the model, run initialize, and in batches set {new} to {name} in each record and save it.
Verify: SELECT count(*) FROM {table} WHERE {new} IS NOT {column} is 0, and reconcile finds nothing.
Take {name} out of the model, drop the indexes that name it ({find}), then: ALTER TABLE {table} DROP COLUMN {column}
Not renamed? Begin with that last step, and run initialize, which adds {new}.
"""
_RETYPED: Final = """\
Backup: {backup}
Add a column of the new type: ALTER TABLE {table} ADD COLUMN {other} {wanted}
Convert in batches, until nothing changes: UPDATE {table} SET {other} = CAST({column} AS {wanted}) WHERE {primary} IN \
(SELECT {primary} FROM {table} WHERE {column} IS NOT NULL AND {other} IS NULL LIMIT 1000)
Verify: SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {other} IS NULL is 0, and the values are right.
Drop the indexes that name the column ({find}), then: ALTER TABLE {table} DROP COLUMN {column}; \
ALTER TABLE {table} RENAME COLUMN {other} TO {column}
Convert the objects: load each record, set {name} to the value of the new type, and save it.
Verify: run initialize, which makes the indexes again, and reconcile the model.
"""

_REINTERPRETED: Final = """\
Backup: {backup}
Convert the objects: in batches, load each record with a model that has {name} as {was} and the new type as a field \
{other} beside it, set {other}, and save it; or write the objects by other means.
Convert the column in batches, so that it says what the objects say, and verify it.
Say that it is done: {done}
Verify: run initialize, and reconcile the model.
"""
_REKEYED: Final = """\
Keep the keys: give the model the pattern {was!r}.
Or move them. Backup: {backup}
Say that the pattern is another one: {done}
Move the objects: with the new model, in batches, query all records of the system's store with include_deleted and \
with_data, and save(force=True) each. Until it has been moved, get by its id may not find a record.
Verify: run initialize, and reconcile the model.
"""
_RENAMED_TABLE: Final = """\
Backup: export the keys that begin with {prefix!r}, where the full objects are.
Renamed? Drop the indexes of the old table (SELECT name, sql FROM sqlite_master WHERE tbl_name = '{old}'), then: \
ALTER TABLE {old_table} RENAME TO {table}; ALTER TABLE {old_access} RENAME TO {access}
Not renamed? Give the model another name, or drop the old tables.
Verify: run initialize, which makes the indexes again, and reconcile the model.
"""


def dropped_column(definition: ModelDefinition, name: str, candidates: Sequence[str]) -> Refusal:
    """A column that we made, and that no field of the model is any more. `candidates` are new ones of its type."""
    place = f"{definition.table}.{name}"
    message = f"{place} is in the table and no synced field of {definition.name}"
    if not candidates:
        message += ": dropping it is left to you."
        return Refusal("drop", definition.name, place, message, _recipe(_DROPPED, definition, name))
    message += f", which has {' and '.join(candidates)} new: whether that is a new name of it is left to you."
    return Refusal(
        "rename", definition.name, place, message, _recipe(_RENAMED, definition, name, new=quoted(candidates[0]))
    )


def retyped(definition: ModelDefinition, name: str, present: str, wanted: str) -> Refusal:
    """A column whose type is another one than that of its field."""
    place = f"{definition.table}.{name}"
    message = f"{place} is {present} in the table and {wanted} in {definition.name}: converting it is left to you."
    recipe = _recipe(_RETYPED, definition, name, wanted=wanted, other=quoted(f"{name}_new"))
    return Refusal("retype", definition.name, place, message, recipe)


def reinterpreted(definition: ModelDefinition, name: str, was: str, wanted: str, run: int) -> Refusal:
    """A field of another type, whose column has the same type. `run` is that of the record which says it is done."""
    place = f"{definition.table}.{name}"
    message = f"{place} was made as {was} and is {wanted} in {definition.name}: converting it is left to you."
    done = _record(definition, f"column:{place}", "column", wanted, run)
    recipe = _recipe(_REINTERPRETED, definition, name, was=was, other=quoted(f"{name}_new"), done=done)
    return Refusal("retype", definition.name, place, message, recipe)


def rekeyed(definition: ModelDefinition, was: str, run: int) -> Refusal:
    """A model whose keys have another pattern than those that are there."""
    text = definition.pattern.text
    message = f"The keys of {definition.table} are {was!r}, and {text!r} in {definition.name}: moving is left to you."
    done = _record(definition, f"key:{definition.table}", "key", text, run)
    old = was.partition("{")[0]
    recipe = _recipe(_REKEYED, definition, definition.primary.name, prefix=old, was=was, done=done)
    return Refusal("rename", definition.name, f"{definition.table} keys", message, recipe)


def renamed_table(definition: ModelDefinition, old: str) -> Refusal:
    """A model whose table is not there, while one that was made for it under another name is."""
    message = f"{definition.name} has the table {old!r}, and wants {definition.table!r}: renaming it is left to you."
    text = _RENAMED_TABLE.format(
        prefix=definition.pattern.text.partition("{")[0],
        old=old,
        old_table=quoted(old),
        old_access=quoted(old + ACCESS_SUFFIX),
        table=quoted(definition.table),
        access=quoted(definition.access_table),
    )
    return Refusal("rename", definition.name, definition.table, message, tuple(text.splitlines()))


def _record(definition: ModelDefinition, step_id: str, kind: str, detail: str, run: int) -> str:
    """The statement that records what was done by hand. Names and types hold no quotes; a pattern may."""
    text = detail.replace("'", "''")
    return (
        f'INSERT INTO "{MIGRATIONS}" (id, run, kind, model, detail, state)'
        f" VALUES ('{step_id}', {run}, '{kind}', '{definition.name}', '{text}', 'done')"
    )


def dropped_unique(definition: ModelDefinition, name: str) -> Refusal:
    """Something that was unique, and need not be any more."""
    message = f"{name} is in the database and not in {definition.name} any more: it still refuses what is there twice."
    return Refusal("index", definition.name, name, message, (f"DROP INDEX {literal_name(name)}", "Run initialize."))


def changed_index(definition: ModelDefinition, index: Index) -> Refusal:
    """An index whose name is the same, and whose text is not."""
    message = f"{index.name} is another index in the database than the one that {definition.name} asks for."
    recipe = (f"DROP INDEX {literal_name(index.name)}", f"Run initialize, which makes it anew: {index.sql}")
    return Refusal("index", definition.name, index.name, message, recipe)


def foreign_table(definition: ModelDefinition) -> Refusal:
    """A table of the model's name that was made by somebody else."""
    table = definition.table
    message = f"There is a table {table!r} that is not one of {definition.name}: it has no key, or no access table."
    moved = f"ALTER TABLE {quoted(table)} RENAME TO {quoted(table + '_old')}"
    return Refusal(
        "table",
        definition.name,
        table,
        message,
        ("Give the model another table,", f"or move the other one away: {moved}", "Run initialize."),
    )


def _recipe(
    template: str, definition: ModelDefinition, name: str, *, prefix: str | None = None, **names: str
) -> tuple[str, ...]:
    table = quoted(definition.table)
    prefix = definition.pattern.text.partition("{")[0] if prefix is None else prefix
    kept = f"CREATE TABLE {quoted(f'{definition.table}_backup')} AS SELECT * FROM {table}"
    text = template.format(
        table=table,
        column=quoted(name),
        name=name,
        primary=quoted(definition.primary.name),
        find=f"SELECT name, sql FROM sqlite_master WHERE tbl_name = '{definition.table}'",
        backup=f"{kept}; and export the keys that begin with {prefix!r}, where the full objects are.",
        **names,
    )
    return tuple(text.splitlines())
