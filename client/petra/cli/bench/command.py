"""The command `petra bench`."""

from __future__ import annotations

import click

from petra.cli.options import Output, Server, durability_option, duration, output_option, server_options
from petra.cli.running import NOT_REACHED, PetraCommand, run, stop

_SECONDS = 10.0


def parse_mix(text: str) -> tuple[int, int]:
    """Gets and sets, from their ratio: 80/20, 1:0. Raises click.BadParameter."""
    gets, _, sets = text.replace(":", "/").partition("/")
    if not (gets.isdecimal() and sets.isdecimal() and int(gets) + int(sets)):
        raise click.BadParameter(f"{text!r} is no ratio of gets to sets: write 80/20, 1/0 or the like.")
    return int(gets), int(sets)


@click.command(cls=PetraCommand, short_help="Put a quick load on a running server.")
@click.option("--tasks", type=click.IntRange(1, 8_192), default=64, show_default=True, help="Calls at the same time.")
@click.option("--clients", type=click.IntRange(1, 256), default=1, show_default=True, help="Connections they share.")
@click.option("--duration", "seconds", type=duration, metavar="TIME", help=f"How long. [default: {_SECONDS:g}s]")
@click.option("--count", type=click.IntRange(min=1), metavar="NUMBER", help="How many calls, instead of --duration.")
@click.option("--keys", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True, help="Different keys.")
@click.option(
    "--value-size",
    type=click.IntRange(0, 64 << 20),
    default=256,
    show_default=True,
    metavar="BYTES",
    help="Of a value.",
)
@click.option("--mix", type=parse_mix, default="50/50", show_default=True, metavar="GET/SET", help="Gets to sets.")
@click.option("--no-progress", is_flag=True, help="No progress bar, on a terminal either.")
@durability_option
@server_options(30.0)
@output_option
def bench(
    tasks: int,
    clients: int,
    seconds: float | None,
    count: int | None,
    keys: int,
    value_size: int,
    mix: tuple[int, int],
    no_progress: bool,
    durability: str | None,
    server: Server,
    output: Output,
) -> None:
    """Put a quick load on a running server and print operations a second and latencies.

    Each task makes one call at a time, of a random one of the keys, which are written first. All is in a namespace of
    its own, which is cleared at the end. One Python process makes the load: it may be slower than the server.
    """
    if count is not None and seconds is not None:
        raise click.UsageError("Give --duration or --count, not both.")
    if tasks < clients:
        raise click.BadParameter(f"{tasks} tasks cannot use {clients} clients.")
    from petra.cli.bench.load import Load, Plan
    from petra.cli.bench.report import json_lines, text_table
    from petra.cli.transfer.progress import progress

    plan = Plan(
        tasks=tasks,
        clients=clients,
        seconds=_SECONDS if count is None and seconds is None else seconds,
        count=count,
        keys=keys,
        value_bytes=value_size,
        gets=mix[0],
        sets=mix[1],
    )
    with progress("bench", plan.count or plan.seconds, wanted=not no_progress) as shown:
        load = Load(plan, lambda: server.client(durability=durability), shown.show)
        run(server, load.run)
    rows = load.results()
    click.echo("\n".join(json_lines(rows)) if output == "json" else text_table(rows))
    for message, times in load.failures.most_common(3):
        click.echo(f"petra: {times:,} times: {message}", err=True)
    if load.failures:
        stop(NOT_REACHED)
