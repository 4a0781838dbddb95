"""`petra namespaces`, `petra objects`, `petra databases` and `petra object`: what there is on a server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import click

from petra.cli.options import Output, Server, namespace_option, output_option, server_options
from petra.cli.running import NOT_FOUND, PetraCommand, run, stop

if TYPE_CHECKING:
    from petra import AsyncClient

_limit_option = click.option("--limit", type=click.IntRange(min=0), metavar="NUMBER", help="At most so many names.")


@click.command(cls=PetraCommand, short_help="Print the namespaces.")
@click.argument("prefix", default="")
@_limit_option
@server_options()
@output_option
def namespaces(prefix: str, limit: int | None, server: Server, output: Output) -> None:
    """Print the namespaces that hold something and begin with PREFIX."""
    _print_names(server, lambda client: client.namespaces(prefix=prefix), "namespace", limit, output)


@click.command(cls=PetraCommand, short_help="Print the objects of a namespace.")
@click.argument("prefix", default="")
@_limit_option
@namespace_option
@server_options()
@output_option
def objects(prefix: str, limit: int | None, namespace: str, server: Server, output: Output) -> None:
    """Print the objects of a namespace that hold something and begin with PREFIX."""
    _print_names(server, lambda client: client.namespace(namespace).objects(prefix=prefix), "object", limit, output)


@click.command(cls=PetraCommand, short_help="Print the SQL databases of a namespace.")
@click.argument("prefix", default="")
@_limit_option
@namespace_option
@server_options()
@output_option
def databases(prefix: str, limit: int | None, namespace: str, server: Server, output: Output) -> None:
    """Print the objects whose names begin with PREFIX and that have a SQL database: name, size and tables.

    The columns are parted by tabs. Of the tables there are the first 1,000.
    """
    from petra.cli import shown

    out = sys.stdout.buffer

    async def work(client: AsyncClient) -> None:
        async for database in client.namespace(namespace).databases(prefix=prefix, limit=limit):
            if output == "json":
                line = shown.as_json(database)
            else:
                tables = ", ".join(map(shown.name_text, database.tables))
                line = f"{shown.name_text(database.object)}\t{shown.size_text(database.size_bytes)}\t{tables}"
            out.write(line.encode() + b"\n")

    run(server, work)


def _print_names(
    server: Server,
    names_of: Callable[[AsyncClient], AsyncIterator[str]],
    field: str,
    limit: int | None,
    output: Output,
) -> None:
    from petra.cli import shown

    out = sys.stdout.buffer

    async def work(client: AsyncClient) -> None:
        left = limit
        if left == 0:
            return
        async for name in names_of(client):
            line = shown.as_json({field: name}) if output == "json" else shown.name_text(name)
            out.write(line.encode() + b"\n")
            if left is not None:
                left -= 1
                if left == 0:
                    return

    run(server, work)


@click.command("object", cls=PetraCommand, short_help="Print what an object holds.")
@click.argument("name")
@namespace_option
@server_options()
@output_option
def object_(name: str, namespace: str, server: Server, output: Output) -> None:
    """Print what the object NAME holds: how many entries, their size, its first and last key.

    It reads the whole object. The exit code is 1 when the object holds nothing.
    """
    from petra.cli import shown
    from petra.cli.stored import StoredCodec

    async def work(client: AsyncClient) -> dict[str, object]:
        entries = expiring = key_bytes = value_bytes = newest = 0
        first = last = None
        async for entry in client.namespace(namespace).object(name).list():
            first, last = entry.key if first is None else first, entry.key
            entries += 1
            expiring += entry.expires_at is not None
            key_bytes += len(entry.key.encode())
            value_bytes += len(entry.value.data)
            newest = max(newest, entry.version)
        return {
            "namespace": namespace,
            "object": name,
            "entries": entries,
            "expiring": expiring,
            "key_bytes": key_bytes,
            "value_bytes": value_bytes,
            "newest_version": newest,
            "first_key": first,
            "last_key": last,
        }

    about = run(server, work, codec=StoredCodec())
    if output == "json":
        click.echo(shown.as_json(about))
    else:
        click.echo(shown.table({field.replace("_", " "): _text(value) for field, value in about.items()}))
    if not about["entries"]:
        stop(NOT_FOUND)


def _text(value: object) -> str:
    from petra.cli.shown import name_text

    if value is None:
        return "-"
    return name_text(value) if isinstance(value, str) else f"{value:,}"
