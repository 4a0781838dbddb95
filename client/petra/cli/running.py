"""How a command runs: against a client that is connected, with every failure as one sentence and an exit code.

A command's function is synchronous and gives its work, a coroutine function of the client, to `run`. What the client
raises passes through `PetraCommand`, the one place that knows exit codes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from petra.cli.group import CannotRun

if TYPE_CHECKING:
    from petra import AsyncClient
    from petra.cli.options import Server

T = TypeVar("T")

NOT_FOUND: Final = 1  # or denied
WRONG_USAGE: Final = 2
CONFLICT: Final = 3
NOT_REACHED: Final = 4  # or not in time, or too busy: what may work later
OTHER_ERROR: Final = 5
_BROKEN_PIPE: Final = 141  # what a shell reports of a program that SIGPIPE has ended


def exit_code(error: Exception) -> int:
    """The exit code for what the client raised."""
    from petra import errors

    match error:
        case errors.InvalidArgument():
            return WRONG_USAGE
        case errors.VersionConflict() | errors.FailedPrecondition():
            return CONFLICT
        case errors.Unavailable() | errors.DeadlineExceeded() | errors.ResourceExhausted():
            return NOT_REACHED
        case _:
            return OTHER_ERROR


class PetraCommand(click.Command):
    """A command of the client."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        from petra.errors import PetraError

        try:
            returned = super().invoke(ctx)
            sys.stdout.flush()
        except PetraError as error:
            raise CannotRun(sentence(str(error)), exit_code(error)) from None
        except BrokenPipeError:
            _leave_quietly()
        except OSError as error:
            raise CannotRun(sentence(_file_error(error)), OTHER_ERROR) from None
        return returned


def run(server: Server, work: Callable[[AsyncClient], Awaitable[T]], **options: Any) -> T:  # noqa: ANN401 - AsyncClient's
    """Connects and does the work. `options` are further ones of AsyncClient.

    A server that is not there is reported after the first attempt.
    """
    import asyncio

    async def session() -> T:
        async with server.client(**options) as client:
            await client.connect()
            return await work(client)

    return asyncio.run(session())


def sentence(text: str) -> str:
    """A message of the client, as it follows upon `petra: `: on one line."""
    return " ".join(text.split())


def stop(code: int) -> NoReturn:
    """Ends the command with an exit code, when everything that there is to say has been said."""
    click.get_current_context().exit(code)


def _file_error(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}." if error.filename else f"{what}."


def _leave_quietly() -> NoReturn:
    """Whoever read the output has gone: nothing is left to be written, not even by the interpreter at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    stop(_BROKEN_PIPE)
