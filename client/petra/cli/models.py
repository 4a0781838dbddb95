"""`petra models plan|apply|status`: the tables of the models that a module of the user defines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from petra.cli.group import CannotRun
from petra.cli.options import Output, Server, namespace_option, output_option, server_options
from petra.cli.running import CONFLICT, WRONG_USAGE, PetraCommand, run, stop

if TYPE_CHECKING:
    from petra import AsyncClient
    from petra.datamodel import ModelDefinition, Plan, Progress, Refusal

F = TypeVar("F", bound=Callable[..., object])

# What takes a minute by itself, such as an index on a large table, is no failure.
_TIMEOUT: Final = 60.0
_WORDS: Final = {"table": "create table", "column": "add column", "index": "create index", "backfill": "fill"}


@click.group(short_help="Make and change the tables of models.")
def models() -> None:
    """Make and change the tables of the models of a Python module.

    MODULE is a module that can be imported from here, such as app.models: all models that are in it are meant. With
    app.models:NAME it is what NAME is there: a model, or a list of them.
    """


def _arguments(command: F) -> F:
    decorated: Any = command
    database = click.option("--database", default="main", show_default=True, metavar="NAME", help="The datastore.")
    for option in (output_option, server_options(_TIMEOUT), database, namespace_option, click.argument("module")):
        decorated = option(decorated)
    return cast("F", decorated)


@models.command("plan", cls=PetraCommand, short_help="Print what apply would do.")
@_arguments
def plan_(module: str, namespace: str, database: str, server: Server, output: Output) -> None:
    """Print what apply would do, and do nothing. Seeds are not looked at.

    The exit code is 3 when something would have to be dropped, renamed or converted, which is left to you: the recipe
    is printed.
    """
    definitions = _models(module)
    from petra.datamodel import migration_plan

    async def work(client: AsyncClient) -> Plan:
        return await migration_plan(_datastore(client, namespace, database), definitions, timeout=server.timeout)

    made = run(server, work)
    lines = [{"do": step.kind, "model": step.model, "name": step.name, "sql": list(step.sql)} for step in made.steps]
    lines += [
        {"do": "backfill", "model": record.model, "name": step_id.removeprefix("backfill:"), "sql": []}
        for step_id, record in made.pending.items()
    ]
    _print(lines, output, lambda line: f"{_WORDS[str(line['do'])]} {line['name']}")
    if made.refusals:
        _print_refusals(made.refusals, output)
        stop(CONFLICT)
    if not lines and output == "text":
        click.echo("Nothing to do.")


@models.command("apply", cls=PetraCommand, short_help="Make the tables, columns and indexes, and run the seeds.")
@_arguments
def apply(module: str, namespace: str, database: str, server: Server, output: Output) -> None:
    """Make the tables, columns and indexes that are missing, fill new columns from the objects, and run the seeds.

    It may be run as often as you like and in many places at once; when it is interrupted, it goes on at the next run.
    The exit code is 3 when something is left to you, see plan: nothing was changed then.
    """
    definitions = _models(module)
    from petra.datamodel import MigrationRefused, initialize

    async def work(client: AsyncClient) -> dict[str, list[str] | float]:
        store = _datastore(client, namespace, database)
        done = await initialize(store, definitions, progress=_show_progress, timeout=server.timeout)
        return done.as_dict()

    try:
        done = run(server, work)
    except MigrationRefused as refused:
        _print_refusals(refused.refusals, output)
        stop(CONFLICT)
    if output == "json":
        _print([done], output, str)
        return
    for word in ("tables_created", "columns_added", "indexes_created", "seeds_run"):
        for name in cast("list[str]", done[word]):
            click.echo(f"{word.replace('_', ' ')}: {name}")
    click.echo(f"Done in {done['duration_ms']:.0f} ms; {len(cast('list[str]', done['skipped']))} were there already.")


@models.command("status", cls=PetraCommand, short_help="Print what was done, and whether something is left to do.")
@_arguments
def status(module: str, namespace: str, database: str, server: Server, output: Output) -> None:
    """Print the steps that were done for the models of MODULE, and for each model whether something is left to do."""
    definitions = _models(module)
    from petra.datamodel import migration_history, migration_plan

    async def work(client: AsyncClient) -> tuple[list[dict[str, object]], Plan]:
        store = _datastore(client, namespace, database)
        names = {definition.name for definition in definitions}
        steps = [one for one in await migration_history(store, timeout=server.timeout) if one.model in names]
        lines: list[dict[str, object]] = [
            {"step": one.id, "run": one.run, "model": one.model, "state": one.state, "at": one.at} for one in steps
        ]
        return lines, await migration_plan(store, definitions, timeout=server.timeout)

    lines, made = run(server, work)
    _print(lines, output, lambda line: f"{line['at']}  {line['state']:<7}  {line['step']}")
    _print(
        [_state(definition, made) for definition in definitions], output, lambda line: f"{line['model']}: {line['is']}"
    )


def _state(definition: ModelDefinition, plan: Plan) -> dict[str, object]:
    steps = sum(step.model == definition.name for step in plan.steps)
    steps += sum(record.model == definition.name for record in plan.pending.values())
    refused = [refusal.name for refusal in plan.refusals if refusal.model == definition.name]
    text = f"{steps} to do" if steps else "up to date"
    if refused:
        text = f"left to you: {', '.join(refused)}"
    return {"model": definition.name, "is": text}


def _models(module: str) -> tuple[ModelDefinition, ...]:
    """The models of MODULE. Raises CannotRun."""
    path, _, name = module.partition(":")
    # A command does not look for modules where it is called, as `python -m` does.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = import_module(path)
        from petra.datamodel import ModelDefinition, definitions_of
    except Exception as error:
        raise CannotRun(f"{path} cannot be imported: {type(error).__name__}: {error}.", WRONG_USAGE) from error
    if name:
        given = getattr(found, name, None)
        if given is None:
            raise CannotRun(f"There is no {name} in {path}.", WRONG_USAGE)
        return definitions_of(cast("Iterable[str]", [given] if isinstance(given, type | ModelDefinition) else given))
    values = list(vars(found).values())
    models_found = [
        value
        for value in values
        if isinstance(value, ModelDefinition) or (isinstance(value, type) and "__petra_definition__" in vars(value))
    ]
    if not models_found:
        raise CannotRun(f"There is no model in {path}.", WRONG_USAGE)
    return definitions_of(models_found)


def _datastore(client: AsyncClient, namespace: str, database: str) -> Any:  # noqa: ANN401 - imported when it is needed
    from petra.datastore import Datastore

    return Datastore(client.namespace(namespace), database)


def _show_progress(progress: Progress) -> None:
    fields = ", ".join(progress.fields)
    click.echo(f"{progress.model}: {fields} filled in {progress.done} of {progress.total} rows", err=True)


def _print_refusals(refusals: Iterable[Refusal], output: Output) -> None:
    lines: list[dict[str, object]] = [
        {"refused": one.kind, "model": one.model, "name": one.name, "message": one.message, "recipe": list(one.recipe)}
        for one in refusals
    ]
    if output == "json":
        _print(lines, output, str)
        return
    for one in refusals:
        click.echo(str(one), err=True)


def _print(lines: Iterable[Any], output: Output, text: Callable[[dict[str, object]], str]) -> None:
    from petra.cli import shown

    for line in lines:
        click.echo(shown.as_json(line) if output == "json" else text(line))
