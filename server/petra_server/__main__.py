"""`python -m petra_server serve ...`: the server's commands without the installed `petra` script."""

from __future__ import annotations

import click

from petra_server.cli import config, serve


@click.group(commands={"serve": serve, "config": config})
def main() -> None:
    """Petra, an actor-based, consistent storage server."""


if __name__ == "__main__":
    main(prog_name="python -m petra_server")
