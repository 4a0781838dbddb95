"""Definitions: what becomes of a plain one, which built-in fields there are, and what is refused with which words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from petra.datamodel import (
    DefinitionError,
    FieldDefinition,
    IndexDefinition,
    KvPlacement,
    ModelDefinition,
    Models,
    Options,
    Rules,
    SeedDefinition,
    TablePlacement,
    UnknownField,
    UnknownModel,
    define,
)

BUILT_IN = ("id", "user_id", "created_at", "updated_at", "deleted_at", "_auth")


def defined(**parts: object) -> ModelDefinition:
    return define({"name": "PAGE", "fields": {"title": "string"}, **parts}, registry=Models())


def test_a_dictionary_and_a_dataclass_make_the_same_model() -> None:
    def hook(record: object, event: object) -> None: ...

    plain = define(
        {
            "name": "PAGE",
            "options": {"soft_delete": False, "primary": "uuid7"},
            "fields": {
                "title": {"type": "string", "required": True, "validation": {"min": 1, "max": 80}},
                "status": {"type": "string", "default": "pending", "validation": ["pending", "done"]},
                "mail": {"type": "string", "validation": "email"},
                "body": "text",
            },
            "kv": {"namespace": "site", "key_pattern": "page:{title}:{id}"},
            "d1": {
                "table": "pages",
                "sync_fields": ["title", "status"],
                "indexes": ["status", ["title", "-created_at"]],
                "unique": [["title", "status"]],
            },
            "hooks": {"before_create": hook},
            "seeds": {"strategy": "if_empty", "data": [{"title": "Home"}]},
        },
        registry=Models(),
    )
    made = ModelDefinition(
        "PAGE",
        (
            FieldDefinition("title", required=True, validation=Rules(min=1, max=80)),
            FieldDefinition("status", default="pending", validation=Rules(values=("pending", "done"))),
            FieldDefinition("mail", validation=Rules(email=True)),
            FieldDefinition("body", "text"),
        ),
        options=Options(soft_delete=False, primary="uuid7"),
        kv=KvPlacement("page:{title}:{id}", namespace="site"),
        d1=TablePlacement(
            "pages",
            sync_fields=("title", "status"),
            indexes=(IndexDefinition(("status",)), IndexDefinition(("title", "-created_at"))),
            unique=(("title", "status"),),
        ),
        hooks={"before_create": (hook,)},
        seeds=(SeedDefinition(({"title": "Home"},), strategy="if_empty"),),
    )
    assert plain == made
    assert plain.table == "pages"
    assert plain.access_table == "pages__auth"
    assert plain.synced_names == ("id", "title", "status", "user_id", "created_at", "updated_at")
    assert plain.pattern.key({"title": "home", "id": "1"}) == "site:page:home:1"


def test_without_placements_a_model_has_its_name_and_all_short_fields() -> None:
    model = defined(fields={"title": "string", "body": "text", "tags": "array", "extra": "json", "n": "int"})
    assert model.table == "page"
    assert model.pattern.key({"id": "1"}) == "page:1"
    assert model.synced_names == ("id", "title", "n", "user_id", "created_at", "updated_at", "deleted_at")


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, set()),
        ({"timestamps": False}, {"created_at", "updated_at"}),
        ({"created_at": False}, {"created_at"}),
        ({"updated_at": False}, {"updated_at"}),
        ({"soft_delete": False}, {"deleted_at"}),
        ({"user_tracking": False}, {"user_id"}),
        ({"auth": False}, {"_auth"}),
    ],
)
def test_each_built_in_field_can_be_switched_off(options: Mapping[str, object], missing: set[str]) -> None:
    model = defined(options=options)
    assert {name for name in BUILT_IN if not model.has(name)} == missing
    assert not missing.intersection(model.synced_names)


def test_a_field_of_the_model_can_be_the_primary_one() -> None:
    model = defined(options={"primary": None}, fields={"code": {"type": "string", "primary": True}, "n": "int"})
    assert model.primary.name == "code"
    assert not model.has("id")
    assert model.synced_names[0] == "code"
    assert model.pattern.key({"code": "nl"}) == "page:nl"


def test_a_field_that_was_switched_off_may_be_the_models_own() -> None:
    model = defined(options={"timestamps": False}, fields={"created_at": "int"})
    assert model.field("created_at") == FieldDefinition("created_at", "int")


# A part of a definition that is wrong, the part that the error names, and words of its message.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": None}, "name", "is no name"),
    "a name with a quote": ({"name": 'PAGE"; DROP TABLE x'}, "name", "is no name"),
    "a name with a digit first": ({"name": "1page"}, "name", "is no name"),
    "a long name": ({"name": "p" * 65}, "name", "more than 64"),
    "an unknown part": ({"filds": {}}, "The definition of a model", "has no 'filds'"),
    "fields as a list of names": ({"fields": ["title"]}, "fields", "is a mapping"),
    "a field with a bad name": ({"fields": {"a b": "string"}}, "fields", "is no name"),
    "a field that SQL would splice": ({"fields": {'x"--': "string"}}, "fields", "is no name"),
    "a field with an unknown type": ({"fields": {"a": "varchar"}}, "type", "string, text, int"),
    "a field with an unknown word": ({"fields": {"a": {"typ": "int"}}}, "The field 'a'", "has no 'typ'"),
    "a field of Petra's": ({"fields": {"created_at": "int"}}, "fields", "Petra's own"),
    "an id of one's own": ({"fields": {"ID": "string"}}, "fields", "Petra's own"),
    "a field with an underscore": ({"fields": {"_key": "string"}}, "fields", "Petra's own"),
    "fields alike but for case": ({"fields": {"a": "int", "A": "int"}}, "fields", "two fields"),
    "a primary field beside the id": ({"fields": {"a": {"primary": True}}}, "primary", "must be None"),
    "no primary field": ({"options": {"primary": None}}, "primary", "exactly one"),
    "a primary number": (
        {"options": {"primary": None}, "fields": {"n": {"type": "int", "primary": True}}},
        "primary",
        "must be a string",
    ),
    "required is no bool": ({"fields": {"a": {"required": "yes"}}}, "required", "true or false"),
    "a default of another type": ({"fields": {"n": {"type": "int", "default": "x"}}}, "default", "whole number"),
    "an unknown option": ({"options": {"timestamp": True}}, "options", "has no 'timestamp'"),
    "an unknown rule": ({"fields": {"a": {"validation": {"maximum": 3}}}}, "validation", "has no 'maximum'"),
    "a rule that is none": ({"fields": {"a": {"validation": 7}}}, "validation", "a function, or a mapping"),
    "a pattern that is none": ({"fields": {"a": {"validation": {"regex": "("}}}}, "regex", "no regular expression"),
    "a bound that is none": ({"fields": {"a": {"validation": {"min": "1"}}}}, "min", "is a number"),
    "a table with a space": ({"d1": {"table": "my pages"}}, "table", "is no name"),
    "a table of SQLite's": ({"d1": {"table": "sqlite_master"}}, "table", "SQLite's own"),
    "a table like that of access": ({"d1": {"table": "pages__auth"}}, "table", "own"),
    "an unknown sync field": ({"d1": {"sync_fields": ["titel"]}}, "sync_fields", "'titel'"),
    "a synced _auth": ({"d1": {"sync_fields": ["_auth"]}}, "sync_fields", "'_auth'"),
    "an index on a field not synced": (
        {"d1": {"sync_fields": [], "indexes": ["title"]}},
        "indexes",
        "synced fields are id",
    ),
    "unique twice on one field": ({"d1": {"unique": [["title", "title"]]}}, "unique", "once"),
    "unique on nothing": ({"d1": {"unique": [[]]}}, "unique", "one at least"),
    "a key without fields": ({"kv": {"key_pattern": "page"}}, "key_pattern", "all records had one key"),
    "a key with an unknown field": ({"kv": {"key_pattern": "page:{slug}"}}, "key_pattern", "'slug'"),
    "a key with two fields in a part": ({"kv": {"key_pattern": "page:{title}{id}"}}, "key_pattern", "one field"),
    "a key with an empty part": ({"kv": {"key_pattern": "page::{id}"}}, "key_pattern", "empty"),
    "a key that changes by itself": ({"kv": {"key_pattern": "page:{updated_at}"}}, "key_pattern", "'updated_at'"),
    "an unknown hook": ({"hooks": {"on_save": print}}, "hooks", "'on_save'"),
    "a hook that cannot be called": ({"hooks": {"after_create": 7}}, "hooks", "a function"),
    "an unknown seed strategy": ({"seeds": {"strategy": "once", "data": []}}, "seeds", "always, if_empty"),
    "check is no function": ({"check": "yes"}, "check", "function"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    parts, field, words = WRONG[case]
    with pytest.raises(DefinitionError, match=re.escape(words)) as raised:
        defined(**parts)
    assert raised.value.field == field


def test_seeds_name_fields_of_the_model() -> None:
    with pytest.raises(UnknownField, match="'titel'"):
        defined(seeds={"data": [{"titel": "x"}]})


def test_unknown_fields_are_told_with_those_there_are() -> None:
    model = defined(fields={"title": "string", "body": "text"})
    with pytest.raises(UnknownField, match="no field 'titel'; it has id, title, body, user_id"):
        model.field("titel")
    with pytest.raises(UnknownField, match=r"'body' is not synced to the rows of PAGE.* it can use id, title, user_id"):
        model.column("body")
    with pytest.raises(UnknownField, match="'_auth' is no field"):
        model.column("_auth")


def test_a_registry_has_one_model_of_a_name() -> None:
    models = Models()
    page = define({"name": "PAGE", "fields": {"title": "string"}}, registry=models)
    same = define({"name": "PAGE", "fields": {"title": "string"}}, registry=models)
    assert models["PAGE"] is page
    assert same == page
    with pytest.raises(DefinitionError, match="another model 'PAGE'"):
        define({"name": "PAGE", "fields": {"title": "int"}}, registry=models)
    assert models["PAGE"] is page
    other = define({"name": "PAGE", "fields": {"title": "int"}}, registry=models, replace=True)
    assert list(models) == [other]
    assert len(models) == 1
    with pytest.raises(UnknownModel, match="no model 'NOTE'; defined are PAGE"):
        models["NOTE"]
