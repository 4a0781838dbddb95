"""What a plan says about databases of SQLite that older and newer models have left."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from petra.datamodel import DefinitionError, ModelDefinition, UnknownModel, define
from petra.datamodel.define import read_definition
from petra.datamodel.inspection import look, read_database
from petra.datamodel.plan import Database, Plan, definitions_of, make_plan, transaction
from petra.datamodel.recipes import Refusal
from petra.datamodel.schema import CREATE_MIGRATIONS, create_tables
from petra.sql import Column, Result, Statement, row_type
from tests.datamodel.models import PLAIN, Page

FIELDS: Mapping[str, object] = {"title": "string", "status": "string", "views": "int"}


def model(fields: Mapping[str, object] = FIELDS, **d1: object) -> ModelDefinition:
    return read_definition({"name": "PAGE", "fields": fields, "d1": {"table": "pages", **d1}})


class Fresh:
    """A database in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)

    def look(self, *models: ModelDefinition) -> Database:
        self.connection.execute(CREATE_MIGRATIONS)
        return read_database([self.result(statement) for statement in look(models)])

    def plan(self, *models: ModelDefinition) -> Plan:
        return make_plan(models, self.look(*models))

    def apply(self, *models: ModelDefinition) -> Plan:
        plan = self.plan(*models)
        assert not plan.refusals
        for steps in plan.transactions():
            for statement in transaction(steps):
                self.result(statement)
        return plan

    def result(self, statement: Statement) -> Result:
        cursor = self.connection.execute(statement.sql, statement.params)
        names = tuple(column[0] for column in cursor.description or ())
        rows = [row_type(names)(row) for row in cursor]
        return Result(tuple(Column(name, "") for name in names), rows, 0, 0, 0, 0, 0, None)


@pytest.fixture
def fresh() -> Iterator[Fresh]:
    made = Fresh()
    with closing(made.connection):
        yield made


def only(plan: Plan) -> Refusal:
    (refusal,) = plan.refusals
    assert not plan.is_empty
    return refusal


def test_a_new_model_gets_its_tables_and_indexes_in_one_transaction(fresh: Fresh) -> None:
    plan = fresh.apply(model(indexes=["status"], unique=["title"]))
    assert [(step.kind, step.name) for step in plan.steps] == [
        ("table", "pages"),
        ("index", "pages(status)"),
        ("index", "unique pages(title)"),
    ]
    assert len(plan.transactions()) == 1
    again = fresh.plan(model(indexes=["status"], unique=["title"]))
    assert again.is_empty
    assert {"pages", "pages.title", "pages(status)", "unique pages(title)"} <= set(again.present)


def test_a_new_field_is_a_column_and_a_backfill_in_one_transaction(fresh: Fresh) -> None:
    fresh.apply(model())
    plan = fresh.apply(model({**FIELDS, "owner": "string", "age": {"type": "int", "default": 7}}))
    assert [(step.kind, step.name) for step in plan.steps] == [
        ("column", "pages.owner"),
        ("column", "pages.age"),
        ("backfill", "pages(owner,age)"),
    ]
    assert len(plan.transactions()) == 1
    assert plan.steps[1].sql == ('ALTER TABLE "pages" ADD COLUMN "age" INTEGER DEFAULT 7',)
    pending = fresh.plan(model({**FIELDS, "owner": "string", "age": {"type": "int", "default": 7}}))
    assert not pending.steps
    assert list(pending.pending) == ["backfill:pages(owner,age)"]
    assert not pending.is_empty


@pytest.mark.parametrize(
    ("kind", "default", "stored"),
    [("string", "it's", "it's"), ("float", 1e300, 1e300), ("bool", True, 1), ("json", {"a": "'"}, '{"a":"\'"}')],
)
def test_rows_that_are_there_have_a_constant_default(fresh: Fresh, kind: str, default: object, stored: object) -> None:
    fresh.apply(model())
    fresh.connection.execute("INSERT INTO pages (id, _key) VALUES ('1', 'page:1')")
    fields = {**FIELDS, "more": {"type": kind, "default": default}}
    fresh.apply(model(fields, sync_fields=list(fields)))
    assert fresh.connection.execute("SELECT more FROM pages").fetchall() == [(stored,)]


def test_an_index_on_a_table_that_is_there_is_a_transaction_of_its_own(fresh: Fresh) -> None:
    fresh.apply(model())
    plan = fresh.apply(model({**FIELDS, "owner": "string"}, indexes=["status", "owner"]))
    assert [[step.name for step in steps] for steps in plan.transactions()] == [
        ["pages.owner", "pages(owner)"],
        ["pages(status)"],
        ["pages(owner)"],
    ]


def test_a_step_that_has_to_be_done_again_is_another_run(fresh: Fresh) -> None:
    fresh.apply(model(indexes=["status"]))
    fresh.connection.execute('DROP INDEX "pages(status)"')
    (step,) = fresh.apply(model(indexes=["status"])).steps
    assert (step.name, step.run) == ("pages(status)", 2)
    fresh.connection.execute('DROP INDEX "pages(status)"')
    (step,) = fresh.plan(model(indexes=["status"])).steps
    assert step.run == 3


def test_two_who_do_the_same_step_cannot_both_record_it(fresh: Fresh) -> None:
    plan = fresh.plan(model())
    fresh.apply(model())
    with pytest.raises(sqlite3.IntegrityError, match=r"_petra_migrations\.id"):
        fresh.result(transaction(plan.steps)[1])


def test_dropping_a_column_is_refused_with_the_recipe(fresh: Fresh) -> None:
    fresh.apply(model())
    refusal = only(fresh.plan(model({"title": "string", "status": "string"})))
    assert (refusal.kind, refusal.name) == ("drop", "pages.views")
    assert "Backup" in refusal.recipe[0]
    assert 'ALTER TABLE "pages" DROP COLUMN "views"' in str(refusal)


def test_a_column_that_may_have_a_new_name_is_refused_with_the_recipe(fresh: Fresh) -> None:
    fresh.apply(model())
    plan = fresh.plan(model({"title": "string", "status": "string", "hits": "int"}))
    refusal = only(plan)
    assert (refusal.kind, refusal.name) == ("rename", "pages.views")
    assert "hits" in refusal.message
    assert "in batches" in str(refusal)


def test_another_type_is_refused_with_a_recipe_that_works(fresh: Fresh) -> None:
    fresh.apply(model(indexes=["views"]))
    fresh.connection.execute("INSERT INTO pages (id, _key, views) VALUES ('1', 'page:1', 30), ('2', 'page:2', NULL)")
    newer = model({**FIELDS, "views": "string"}, indexes=["views"])
    refusal = only(fresh.plan(newer))
    assert (refusal.kind, refusal.name) == ("retype", "pages.views")
    text = str(refusal)
    for part in ("Backup: ", "Add a column of the new type: ", "Convert in batches, until nothing changes: "):
        statement = text.partition(part)[2].splitlines()[0].partition(";")[0]
        fresh.connection.execute(statement)
    fresh.connection.execute('DROP INDEX "pages(views)"')
    fresh.connection.executescript(text.partition("then: ")[2].splitlines()[0])
    fresh.apply(newer)
    assert fresh.plan(newer).is_empty
    assert fresh.connection.execute("SELECT views FROM pages ORDER BY id").fetchall() == [("30",), (None,)]
    assert fresh.connection.execute("SELECT count(*) FROM pages_backup").fetchall() == [(2,)]


def test_what_was_unique_is_not_silently_so_for_ever(fresh: Fresh) -> None:
    fresh.apply(model(unique=["title"], indexes=["status"]))
    refusal = only(fresh.plan(model()))
    assert (refusal.kind, refusal.name) == ("index", "unique pages(title)")
    fresh.connection.execute(refusal.recipe[0])
    assert fresh.plan(model()).is_empty


def test_an_index_that_means_something_else_now_is_refused(fresh: Fresh) -> None:
    fresh.apply(model(unique=["title"]))
    hard = read_definition(
        {
            "name": "PAGE",
            "fields": FIELDS,
            "d1": {"table": "pages", "unique": ["title"]},
            "options": {"soft_delete": False},
        }
    )
    kinds = {refusal.kind: refusal.recipe[0] for refusal in fresh.plan(hard).refusals}
    assert kinds["index"] == 'DROP INDEX "unique pages(title)"'
    # The column of deletions is ours, and no field any more.
    assert "drop" in kinds


def test_what_people_have_added_by_hand_is_left_alone(fresh: Fresh) -> None:
    fresh.apply(model())
    fresh.connection.execute("ALTER TABLE pages ADD COLUMN views_new TEXT")
    fresh.connection.execute("CREATE UNIQUE INDEX mine ON pages (status)")
    assert fresh.plan(model()).is_empty


def test_a_table_of_somebody_else_is_refused(fresh: Fresh) -> None:
    fresh.connection.execute("CREATE TABLE Pages (id TEXT)")
    refusal = only(fresh.plan(model()))
    assert (refusal.kind, refusal.name) == ("table", "pages")


def test_two_models_cannot_have_one_table() -> None:
    other = read_definition({"name": "OTHER", "fields": FIELDS, "d1": {"table": "Pages"}})
    with pytest.raises(DefinitionError, match="OTHER"):
        make_plan([model(), other], Database())


def test_models_are_given_by_class_definition_or_name() -> None:
    here = define({"name": "GIVEN_BY_NAME", "fields": FIELDS})
    found = definitions_of([Page, PLAIN, "GIVEN_BY_NAME", here])
    assert [one.name for one in found] == ["Page", "PLAIN_PAGE", "GIVEN_BY_NAME"]
    with pytest.raises(UnknownModel):
        definitions_of(["NOWHERE"])
    with pytest.raises(DefinitionError):
        definitions_of([Fresh])


def test_the_tables_are_those_that_the_documentation_describes(fresh: Fresh) -> None:
    fresh.apply(model())
    texts = [row[0] for row in fresh.connection.execute("SELECT sql FROM sqlite_master WHERE name LIKE 'pages%'")]
    assert texts == list(create_tables(model()))


@pytest.mark.parametrize(("old", "new"), [("int", "bool"), ("string", "timestamp"), ("json", "string")])
def test_another_type_in_the_same_column_is_refused_until_somebody_says_it_is_converted(
    fresh: Fresh, old: str, new: str
) -> None:
    names = ["title", "status", "views"]
    fresh.apply(model({**FIELDS, "views": old}, sync_fields=names))
    newer = model({**FIELDS, "views": new}, sync_fields=names)
    refusal = only(fresh.plan(newer))
    assert (refusal.kind, refusal.name) == ("retype", "pages.views")
    assert f"was made as {old} and is {new}" in str(refusal)
    fresh.connection.execute(str(refusal).partition("Say that it is done: ")[2].splitlines()[0])
    assert fresh.plan(newer).is_empty
    assert only(fresh.plan(model({**FIELDS, "views": old}, sync_fields=names))).kind == "retype"


def test_a_column_that_was_added_keeps_its_type_too(fresh: Fresh) -> None:
    fresh.apply(model())
    fresh.apply(model({**FIELDS, "hidden": "int"}))
    assert only(fresh.plan(model({**FIELDS, "hidden": "bool"}))).name == "pages.hidden"


def test_a_string_may_become_a_text(fresh: Fresh) -> None:
    names = ["title", "status", "views"]
    fresh.apply(model())
    assert fresh.plan(model({**FIELDS, "title": "text"}, sync_fields=names)).is_empty


def test_another_table_of_a_model_is_refused_with_a_recipe_that_works(fresh: Fresh) -> None:
    fresh.apply(model(unique=["title"]))
    fresh.connection.execute("INSERT INTO pages (id, _key) VALUES ('1', 'page:1')")
    newer = model(table="leaves", unique=["title"])
    refusal = only(fresh.plan(newer))
    assert (refusal.kind, refusal.name) == ("rename", "leaves")
    fresh.connection.execute('DROP INDEX "unique pages(title)"')
    fresh.connection.executescript(str(refusal).partition("then: ")[2].splitlines()[0])
    fresh.apply(newer)
    assert fresh.connection.execute("SELECT id FROM leaves").fetchall() == [("1",)]
    assert fresh.plan(newer).is_empty


def test_a_model_may_have_another_table_once_the_old_one_is_gone(fresh: Fresh) -> None:
    fresh.apply(model())
    fresh.connection.execute("DROP TABLE pages")
    assert not fresh.plan(model(table="leaves")).refusals


def test_keys_of_another_pattern_are_refused_until_somebody_says_they_are_moved(fresh: Fresh) -> None:
    fresh.apply(model())
    newer = read_definition(
        {"name": "PAGE", "fields": FIELDS, "kv": {"key_pattern": "it's:{id}"}, "d1": {"table": "pages"}}
    )
    refusal = only(fresh.plan(newer))
    assert "'page:{id}'" in refusal.message
    assert "export the keys that begin with 'page:'" in str(refusal)
    fresh.connection.execute(str(refusal).partition("Say that the pattern is another one: ")[2].splitlines()[0])
    assert fresh.plan(newer).is_empty


def test_another_name_of_a_model_that_makes_other_keys_is_refused(fresh: Fresh) -> None:
    fresh.apply(model())
    other = read_definition({"name": "LEAF", "fields": FIELDS, "d1": {"table": "pages"}})
    assert "'leaf:{id}'" in only(fresh.plan(other)).message
