"""`petra get`, `petra list` and `petra ttl`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from petra.cli.options import Output, Place, Server, output_option, place_options, server_options
from petra.cli.running import NOT_FOUND, PetraCommand, run, stop

if TYPE_CHECKING:
    from petra import AsyncClient, Entry


@click.command(cls=PetraCommand)
@click.argument("key")
@place_options
@server_options()
@output_option
def get(key: str, place: Place, server: Server, output: Output) -> None:
    """Print the value of KEY.

    A string is printed as its text and bytes as they are; other values as JSON. With `-o json` also version and expiry.
    The exit code is 1 when there is no such key.
    """
    from petra.cli import shown
    from petra.cli.stored import StoredCodec

    async def work(client: AsyncClient) -> Entry | None:
        return await place.entries(client).get_entry(key)

    entry = run(server, work, codec=StoredCodec())
    if output == "json":
        click.echo(shown.no_entry_json(key) if entry is None else shown.entry_json(entry))
    elif entry is not None:
        click.echo(shown.value_text(entry.value, terminal=sys.stdout.isatty()), nl=False)
    if entry is None:
        if output == "text":
            _say_missing(key, place)
        stop(NOT_FOUND)


@click.command("list", cls=PetraCommand, short_help="Print entries in the order of their keys.")
@click.argument("prefix", default="")
@click.option("--start", default="", metavar="KEY", help="From this key on.")
@click.option("--start-after", default="", metavar="KEY", help="From the key after this one on.")
@click.option("--end", default="", metavar="KEY", help="Up to the key before this one.")
@click.option("--reverse", is_flag=True, help="From the last key to the first.")
@click.option("--limit", type=click.IntRange(min=0), metavar="NUMBER", help="At most so many entries.")
@click.option("--keys", "keys_only", is_flag=True, help="The keys alone: values do not leave the server.")
@click.option("-l", "--long", is_flag=True, help="Versions and expiries too.")
@place_options
@server_options()
@output_option
def list_(
    prefix: str,
    start: str,
    start_after: str,
    end: str,
    reverse: bool,
    limit: int | None,
    keys_only: bool,
    long: bool,
    place: Place,
    server: Server,
    output: Output,
) -> None:
    """Print the entries whose keys begin with PREFIX, in the order of their keys.

    Key and value are parted by a tab, and values are JSON on one line.
    """
    from petra.cli import shown
    from petra.cli.stored import StoredCodec

    out = sys.stdout.buffer

    def write(line: str) -> None:
        out.write(line.encode() + b"\n")

    async def work(client: AsyncClient) -> None:
        entries = place.entries(client)
        if keys_only:
            async for key in entries.list_keys(
                prefix=prefix, start=start, start_after=start_after, end=end, reverse=reverse, limit=limit
            ):
                write(shown.as_json({"key": key}) if output == "json" else shown.name_text(key))
            return
        async for entry in entries.list(
            prefix=prefix, start=start, start_after=start_after, end=end, reverse=reverse, limit=limit
        ):
            write(shown.entry_json(entry) if output == "json" else shown.entry_text(entry, long=long))

    if keys_only and long:
        raise click.UsageError("Give --keys or --long, not both.")
    run(server, work, codec=StoredCodec())


@click.command(cls=PetraCommand, short_help="Print how long an entry has left.")
@click.argument("key")
@place_options
@server_options()
@output_option
def ttl(key: str, place: Place, server: Server, output: Output) -> None:
    """Print how many seconds KEY has left, by the server's clock; `none` when it does not expire.

    The exit code is 1 when there is no such key.
    """
    from petra.cli import shown
    from petra.cli.stored import StoredCodec

    async def work(client: AsyncClient) -> tuple[Entry | None, float | None]:
        entry = await place.entries(client).get_entry(key)
        if entry is None or entry.expires_at is None:
            return entry, None
        now = (await client.info()).now
        return entry, max(0.0, (entry.expires_at - now).total_seconds())

    entry, seconds = run(server, work, codec=StoredCodec())
    if output == "json":
        expires_at = None if entry is None else entry.expires_at
        click.echo(shown.as_json({"key": key, "found": entry is not None, "ttl": seconds, "expires_at": expires_at}))
    elif entry is not None:
        click.echo("none" if seconds is None else f"{seconds:.3f}")
    if entry is None:
        if output == "text":
            _say_missing(key, place)
        stop(NOT_FOUND)


def _say_missing(key: str, place: Place) -> None:
    click.echo(f"petra: there is no key {key!r} among {place}.", err=True)
