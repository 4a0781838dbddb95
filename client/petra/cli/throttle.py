"""`petra throttle`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from petra.cli.options import (
    Output,
    Place,
    Server,
    durability_option,
    duration,
    output_option,
    place_options,
    server_options,
)
from petra.cli.running import NOT_FOUND, PetraCommand, run, stop

if TYPE_CHECKING:
    from petra import AsyncClient, Throttled
    from petra.values import Algorithm, Durability


@click.command(cls=PetraCommand, short_help="Check a rate limit and take from it.")
@click.argument("key")
@click.argument("limit", type=click.IntRange(min=1))
@click.argument("period", type=duration)
@click.option(
    "--algorithm",
    type=click.Choice(["gcra", "fixed_window", "sliding_window"]),
    default="gcra",
    show_default=True,
    help="How it counts.",
)
@click.option("--burst", type=click.IntRange(min=1), metavar="NUMBER", help="What gcra allows at once.")
@click.option("--cost", type=click.IntRange(min=1), default=1, show_default=True, help="What to take.")
@click.option("--peek", is_flag=True, help="Look, and take nothing.")
@durability_option
@place_options
@server_options()
@output_option
def throttle(
    key: str,
    limit: int,
    period: float,
    algorithm: Algorithm,
    burst: int | None,
    cost: int,
    peek: bool,
    durability: Durability | None,
    place: Place,
    server: Server,
    output: Output,
) -> None:
    """Check the rate limit at KEY, of LIMIT in each PERIOD (10s, 1m), and take from it.

    The exit code is 1 when it is denied. Denied calls take nothing.
    """
    from petra.cli import shown

    async def work(client: AsyncClient) -> Throttled:
        return await place.entries(client).throttle(
            key, limit, period, algorithm=algorithm, burst=burst, cost=cost, peek=peek, durability=durability
        )

    verdict = run(server, work)
    if output == "json":
        # The command checks one limit, so there are no others to tell of.
        click.echo(shown.as_json({name: value for name, value in asdict(verdict).items() if name != "each"}))
    else:
        click.echo(_sentence(verdict))
    if not verdict.allowed:
        stop(NOT_FOUND)


def _sentence(verdict: Throttled) -> str:
    from petra.cli.shown import duration_text

    left = f"{verdict.remaining} of {verdict.limit} left"
    if verdict.allowed:
        return f"allowed, {left}, as new in {duration_text(verdict.reset_after)}"
    return f"denied, {left}, try again in {duration_text(verdict.retry_after)}"
