"""`petra info` and `petra ping`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from petra.cli.options import Output, Server, duration, output_option, server_options
from petra.cli.running import PetraCommand, run

if TYPE_CHECKING:
    from petra import AsyncClient, ServerInfo


@click.command(cls=PetraCommand, short_help="Print what the server is.")
@server_options()
@output_option
def info(server: Server, output: Output) -> None:
    """Print what the server is, how it is doing, and its limits."""
    from petra.cli import shown

    async def work(client: AsyncClient) -> ServerInfo:
        return await client.info()

    about = run(server, work)
    click.echo(shown.as_json(about) if output == "json" else shown.table(_rows(about)))


def _rows(about: ServerInfo) -> dict[str, str]:
    from petra.cli.shown import duration_text, moment, size_text

    up = duration_text((about.now - about.started_at).total_seconds())
    return {
        "version": about.version,
        "data id": about.data_id,
        "data format": str(about.format_version),
        "created": moment(about.created_at),
        "started": f"{moment(about.started_at)} ({up} ago)",
        "clock": moment(about.now),
        "actors": str(about.actors),
        "disk free": f"{size_text(about.disk_free_bytes)} (reserve {size_text(about.disk_reserve_bytes)})",
        "writable": "yes" if about.writable else "no: the disk is nearly full",
    } | {f"limit of {name.replace('_', ' ')}": f"{getattr(about.limits, name):,}" for name in about.limits.__slots__}


@click.command(cls=PetraCommand, short_help="Print how long the server takes to answer.")
@click.option("-c", "--count", type=click.IntRange(min=1), default=4, show_default=True, help="How many.")
@click.option("-i", "--interval", type=duration, default=1.0, show_default="1s", metavar="TIME", help="Between two.")
@server_options()
@output_option
def ping(count: int, interval: float, server: Server, output: Output) -> None:
    """Print how long the server takes to answer: it is asked what it is, over a connection that stands."""
    import asyncio

    from petra.cli import shown

    times: list[float] = []

    async def work(client: AsyncClient) -> None:
        for number in range(1, count + 1):
            if times:
                await asyncio.sleep(interval)
            began = time.perf_counter()
            await client.info()
            times.append((time.perf_counter() - began) * 1_000)
            if output == "json":
                click.echo(shown.as_json({"ping": number, "ms": round(times[-1], 3)}))
            else:
                click.echo(f"{server.address}: ping {number} took {times[-1]:.3f} ms")

    run(server, work)
    if output == "text" and count > 1:
        ordered = sorted(times)
        middle = ordered[(len(ordered) - 1) // 2]
        click.echo(f"least {ordered[0]:.3f} ms, median {middle:.3f} ms, most {ordered[-1]:.3f} ms")
