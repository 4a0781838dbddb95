"""`petra models`: what it prints, does and refuses, and its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from petra import Client
from petra.datamodel.define import read_definition
from petra.sync.datamodel import DataModel
from petra.sync.datastore import Datastore
from petra.testing import TestServer
from tests.cli.runner import Cli

ITEM = """
from petra.datamodel import Model, Models, define

REGISTRY = Models()


class Page(Model, table="pages", indexes=["title"], registry=REGISTRY):
    title: str


ITEM = define(
    {"name": "ITEM", "fields": {FIELDS}, "d1": {"table": "items"}, "seeds": {"data": [{"title": "${ITEM_TITLE}"}]}},
    registry=REGISTRY,
)
BOTH = [Page, ITEM]
"""


@pytest.fixture
def cli(server: TestServer, namespace: str) -> Cli:
    return Cli(server.address, namespace)


class Module:
    """A module of models in the current directory, which can be changed as a program's models are."""

    def __init__(self, folder: Path) -> None:
        self.name = f"models_{uuid4().hex}"
        self._path = folder / f"{self.name}.py"
        self.write('{"title": "string"}')

    def write(self, fields: str) -> None:
        self._path.write_text(ITEM.replace("{FIELDS}", fields))
        sys.modules.pop(self.name, None)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITEM_TITLE", "seeded")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Module(tmp_path)
    yield made
    sys.modules.pop(made.name, None)


def test_plan_apply_and_status(cli: Cli, module: Module) -> None:
    assert cli.out("models", "plan", module.name).splitlines() == [
        "create table pages",
        "create index pages(title)",
        "create table items",
    ]
    assert "Page: 2 to do" in cli.out("models", "status", module.name)
    applied = cli.out("models", "apply", module.name)
    assert "tables created: pages" in applied
    assert "indexes created: pages(title)" in applied
    assert "seeds run: ITEM[0]" in applied
    assert cli.out("models", "plan", module.name) == "Nothing to do.\n"
    status = cli.out("models", "status", module.name)
    assert "done     table:pages" in status
    assert status.splitlines()[-2:] == ["Page: up to date", "ITEM: up to date"]


def test_a_new_field_is_filled_and_the_progress_shown(cli: Cli, module: Module) -> None:
    cli.out("models", "apply", module.name)
    module.write('{"title": "string", "age": {"type": "int", "default": 7}}')
    assert cli.out("models", "plan", module.name).splitlines() == ["add column items.age", "fill items(age)"]
    result = cli("models", "apply", module.name)
    assert result.exit_code == 0
    assert "columns added: items.age" in result.stdout
    assert "ITEM: age filled in 1 of 1 rows" in result.stderr


def test_json(cli: Cli, module: Module) -> None:
    first, *_ = cli.json_lines("models", "plan", module.name)
    assert (first["do"], first["model"], first["name"]) == ("table", "Page", "pages")
    assert first["sql"][0].startswith('CREATE TABLE "pages"')
    done = cli.json("models", "apply", module.name)
    assert done["tables_created"] == ["pages", "items"]
    assert {"model": "Page", "is": "up to date"} in cli.json_lines("models", "status", module.name)


def test_what_is_left_to_people_is_told_with_its_recipe(cli: Cli, module: Module) -> None:
    cli.out("models", "apply", module.name)
    module.write('{"title": "int"}')
    for action in ("plan", "apply"):
        result = cli("models", action, module.name)
        assert result.exit_code == 3
        assert "items.title is TEXT in the table and INTEGER in ITEM" in result.stderr
        assert "  1. Backup: " in result.stderr
    refused = [
        line for line in cli("models", "plan", module.name, "-o", "json").stdout.splitlines() if "retype" in line
    ]
    assert len(refused) == 1
    assert "ITEM: left to you: items.title" in cli.out("models", "status", module.name)


def test_one_model_or_a_list_of_a_module(cli: Cli, module: Module) -> None:
    assert cli.out("models", "plan", f"{module.name}:ITEM") == "create table items\n"
    assert cli.out("models", "plan", f"{module.name}:Page").splitlines()[0] == "create table pages"
    assert len(cli.out("models", "plan", f"{module.name}:BOTH").splitlines()) == 3
    assert len(cli.out("models", "plan", f"{module.name}:REGISTRY").splitlines()) == 3


def test_another_database_and_namespace(cli: Cli, module: Module, server: TestServer) -> None:
    namespace = uuid4().hex
    cli.out("models", "apply", module.name, "--database", "other", "-n", namespace)
    item = read_definition({"name": "ITEM", "fields": {"title": "string"}, "d1": {"table": "items"}})
    with Client(server.address, namespace=namespace) as client:
        (row,) = DataModel.query(item, Datastore(client, "other").system()).list()
    assert row["title"] == "seeded"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("no_such_module_here", "no_such_module_here cannot be imported: ModuleNotFoundError"),
        ("json", "There is no model in json."),
        ("json:nothing", "There is no nothing in json."),
        ("json:JSONDecoder", "is no model"),
    ],
)
def test_what_is_no_module_of_models(cli: Cli, module: Module, argument: str, sentence: str) -> None:
    result = cli("models", "plan", argument)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_missing_variable_is_named(cli: Cli, module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ITEM_TITLE")
    result = cli("models", "apply", module.name)
    assert result.exit_code == 2
    assert "ITEM_TITLE" in result.stderr


def test_without_a_server(module: Module) -> None:
    result = Cli("127.0.0.1:1")("models", "plan", module.name)
    assert result.exit_code == 4
