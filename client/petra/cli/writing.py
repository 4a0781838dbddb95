"""`petra set`, `delete`, `incr`, `touch` and `clear`."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING

import click

from petra.cli.group import CannotRun
from petra.cli.options import (
    Output,
    Place,
    Server,
    durability_option,
    duration,
    output_option,
    place_options,
    server_options,
    ttl_option,
)
from petra.cli.running import NOT_FOUND, WRONG_USAGE, PetraCommand, run, stop

if TYPE_CHECKING:
    from petra import AsyncClient
    from petra.cli.stored import Stored
    from petra.values import Durability


@click.command("set", cls=PetraCommand)
@click.argument("key")
@click.argument("value", required=False)
@click.option("--file", type=click.File("rb"), metavar="FILE", help="Take the value from a file; - is standard input.")
@click.option("-j", "--json", "kind", flag_value="json", help="The value is JSON, and stored as it is written.")
@click.option("--bytes", "kind", flag_value="bytes", help="The value is bytes, and stored as such.")
@ttl_option("How long it lives: 90, 90s, 15m, 2h, 7d. For ever, unless it is given.")
@click.option("--keep-ttl", is_flag=True, help="Keep the expiry that the entry has.")
@click.option("--if-version", type=click.IntRange(min=0), metavar="NUMBER", help="Only if it has this version.")
@click.option("--if-absent", is_flag=True, help="Only if there is no such key.")
@durability_option
@place_options
@server_options()
@output_option
def set_(
    key: str,
    value: str | None,
    file: IO[bytes] | None,
    kind: str | None,
    ttl: float | None,
    keep_ttl: bool,
    if_version: int | None,
    if_absent: bool,
    durability: Durability | None,
    place: Place,
    server: Server,
    output: Output,
) -> None:
    """Write VALUE, or what a file holds, to KEY.

    It is text, and stored as a JSON string, unless --json or --bytes says otherwise: `petra set n 5` stores the text
    "5", and `petra set --json n 5` the number. The exit code is 3 when --if-version or --if-absent does not hold.
    """
    from petra.cli import shown
    from petra.cli.stored import StoredCodec

    stored = _stored(_given(value, file), kind or "text")

    async def work(client: AsyncClient) -> int:
        return await place.entries(client).set(
            key,
            stored,
            ttl=ttl,
            keep_ttl=keep_ttl,
            if_version=if_version,
            if_absent=if_absent,
            durability=durability,
        )

    version = run(server, work, codec=StoredCodec())
    click.echo(shown.as_json({"key": key, "version": version}) if output == "json" else f"version {version}")


def _given(value: str | None, file: IO[bytes] | None) -> bytes:
    if (value is None) == (file is None):
        raise click.UsageError("Give VALUE or --file, one of them.")
    if file is not None:
        return file.read()
    # An argument may hold bytes that are no text; Python keeps them as halves of surrogate pairs.
    return (value or "").encode(sys.getfilesystemencoding(), "surrogateescape")


def _stored(data: bytes, kind: str) -> Stored:
    """What is to be stored. Raises CannotRun for what is not what it should be."""
    from petra.cli.shown import as_json
    from petra.cli.stored import Stored, parse_json
    from petra.values import Encoding

    if kind == "bytes":
        return Stored(data, Encoding.BYTES)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise CannotRun("the value is no text in UTF-8; --bytes stores it as it is.", WRONG_USAGE) from None
    if kind == "text":
        return Stored(as_json(text).encode(), Encoding.JSON)
    text = text.strip(" \t\r\n")
    try:
        parse_json(text)
    except ValueError as error:
        raise CannotRun(f"the value is no JSON: {error}. Without --json it is text.", WRONG_USAGE) from None
    return Stored(text.encode(), Encoding.JSON)


@click.command(cls=PetraCommand)
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--if-version", type=click.IntRange(min=0), metavar="NUMBER", help="Only if it has this version.")
@durability_option
@place_options
@server_options()
@output_option
def delete(
    keys: tuple[str, ...],
    if_version: int | None,
    durability: Durability | None,
    place: Place,
    server: Server,
    output: Output,
) -> None:
    """Remove the entries of these keys.

    The exit code is 1 when there was none of them.
    """
    from petra.cli import shown

    if if_version is not None and len(keys) > 1:
        raise click.UsageError("--if-version is for one key.")

    async def work(client: AsyncClient) -> int:
        entries = place.entries(client)
        if len(keys) > 1:
            return await entries.delete_many(keys, durability=durability)
        return int(await entries.delete(keys[0], if_version=if_version, durability=durability))

    deleted = run(server, work)
    if output == "json":
        click.echo(shown.as_json({"deleted": deleted}))
    else:
        click.echo(f"deleted {deleted} of {len(set(keys))}")
    if not deleted:
        stop(NOT_FOUND)


@click.command(cls=PetraCommand)
@click.argument("key")
@click.option("--by", type=int, default=1, show_default=True, metavar="NUMBER", help="What to add; may be negative.")
@click.option("--initial", type=int, default=0, show_default=True, metavar="NUMBER", help="Where a new entry begins.")
@ttl_option("How long a new entry lives. One that exists keeps its expiry.")
@durability_option
@place_options
@server_options()
@output_option
def incr(
    key: str,
    by: int,
    initial: int,
    ttl: float | None,
    durability: Durability | None,
    place: Place,
    server: Server,
    output: Output,
) -> None:
    """Add to the integer at KEY and print the sum.

    The exit code is 3 when the entry is no integer, or the sum does not fit into 64 bits.
    """
    from petra.cli import shown

    async def work(client: AsyncClient) -> int:
        return await place.entries(client).increment(key, by, initial=initial, ttl=ttl, durability=durability)

    total = run(server, work)
    click.echo(shown.as_json({"key": key, "value": total}) if output == "json" else str(total))


@click.command(cls=PetraCommand, short_help="Give an entry a new expiry.")
@click.argument("key")
@click.argument("ttl", metavar="TTL")
@place_options
@server_options()
@output_option
def touch(key: str, ttl: str, place: Place, server: Server, output: Output) -> None:
    """Give the entry at KEY a new TTL, such as 15m; `none` lets it live for ever.

    The exit code is 1 when there is no such key.
    """
    from petra.cli import shown

    seconds = None if ttl == "none" else duration(ttl)

    async def work(client: AsyncClient) -> bool:
        return await place.entries(client).touch(key, seconds)

    found = run(server, work)
    if output == "json":
        click.echo(shown.as_json({"key": key, "found": found}))
    elif not found:
        click.echo(f"petra: there is no key {key!r} among {place}.", err=True)
    if not found:
        stop(NOT_FOUND)


@click.command(cls=PetraCommand, short_help="Remove the entries of a namespace or an object.")
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin with it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@durability_option
@place_options
@server_options()
@output_option
def clear(prefix: str, yes: bool, durability: Durability | None, place: Place, server: Server, output: Output) -> None:
    """Remove every entry of an object, or every flat key of a namespace.

    The objects of a namespace stay. Asks before it does so, unless --yes.
    """
    from petra.cli import shown

    what = str(place) + (f" that begin with {prefix!r}" if prefix else "")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: give --yes.")
        if not click.confirm(f"Remove {what} at {server.address}?", err=True):
            stop(NOT_FOUND)

    async def work(client: AsyncClient) -> int:
        return await place.entries(client).clear(prefix=prefix, durability=durability)

    deleted = run(server, work)
    click.echo(shown.as_json({"deleted": deleted}) if output == "json" else f"deleted {deleted}")
