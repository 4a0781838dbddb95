"""The command `petra top`."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from petra.cli.options import Output, Server, duration, output_option, server_options
from petra.cli.running import PetraCommand, run

if TYPE_CHECKING:
    from petra import AsyncClient


@click.command(cls=PetraCommand, short_help="Show live what a server does.")
@click.option("-i", "--interval", type=duration, default=2.0, show_default="2s", metavar="TIME", help="Between frames.")
@click.option("--actors", "most_actors", type=click.IntRange(min=1), default=20, show_default=True, help="At most.")
@click.option("--once", is_flag=True, help="Print one frame, of what happened in one interval, and end.")
@server_options()
@output_option
def top(interval: float, most_actors: int, once: bool, server: Server, output: Output) -> None:
    """Show what a server does: operations, waiting calls, cache, disk, its busiest actors, and how fast it answers.

    q or Ctrl-C ends it. With `-o json` one object is printed for each interval.
    """
    if output == "json":
        _print_json(server, interval, most_actors, once=once)
    elif once or not sys.stdout.isatty():
        _print_once(server, interval, most_actors)
    else:
        from petra.cli.top.screen import Screen

        async def show(client: AsyncClient) -> None:
            await Screen(server.address, interval=interval, most_actors=most_actors).run(client)

        run(server, show)


def _print_json(server: Server, interval: float, most_actors: int, *, once: bool) -> None:
    import asyncio

    from petra.cli.shown import as_json
    from petra.cli.top.watch import Watch

    async def work(client: AsyncClient) -> None:
        watch = Watch(client)
        await watch.sample()
        async with watch.probing():
            while True:
                await asyncio.sleep(interval)
                shown = await watch.figures()
                click.echo(as_json(dataclasses.replace(shown, actors=shown.actors[:most_actors])))
                if once:
                    return

    run(server, work)


def _print_once(server: Server, interval: float, most_actors: int) -> None:
    import asyncio

    from rich.console import Console

    from petra.cli.top.view import frame
    from petra.cli.top.watch import Watch

    async def work(client: AsyncClient) -> None:
        watch = Watch(client)
        await watch.sample()
        async with watch.probing():
            await asyncio.sleep(interval)
        shown = await watch.figures()
        Console(highlight=False).print(frame(server.address, shown, history=(), rows=most_actors))

    run(server, work)
