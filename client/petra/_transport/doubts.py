"""The errors of single calls, each with what is known of its outcome. Pure.

A mutation that was sent and not answered may have been applied. Where another attempt cannot decide that, the error
says so: `outcome_unknown` for programs, a sentence for people.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from petra._transport.calls import Call
from petra.errors import ClientClosed, DeadlineExceeded, PetraError, Unavailable

_UNKNOWN = " It is not known whether it was applied."


def own(call: Call[Any], error: PetraError) -> PetraError:
    """An error that ended a connection, as that of one call: each is raised, and changed, for itself."""
    return doubted(call, copy(error))


def doubted(call: Call[Any], error: PetraError) -> PetraError:
    """The error of a call; where an earlier attempt may have been applied, it says so."""
    if call.in_doubt and not error.outcome_unknown:
        error.outcome_unknown = True
        error.args = (f"{error}{_UNKNOWN}",)
    return error


def undecided(call: Call[Any], error: PetraError) -> Unavailable:
    """For a mutation that may have been applied and must not be sent again."""
    message = f"The connection was lost before the {call.name} was answered: {error}{_UNKNOWN}"
    return Unavailable(message, reason=error.reason, outcome_unknown=True)


def unanswered(call: Call[Any], peer: str, seconds: float) -> DeadlineExceeded:
    """For a call that was sent, and whose time is over."""
    message = f"No answer to the {call.name} from {peer} within {seconds:g} s.{_UNKNOWN if call.mutates else ''}"
    return DeadlineExceeded(message, outcome_unknown=call.mutates)


def not_begun(call: Call[Any], peer: str, seconds: float) -> DeadlineExceeded:
    """For a call that never left, and whose time is over."""
    return DeadlineExceeded(f"The {call.name} was not done within {seconds:g} s: {peer} is behind. It was not applied.")


def closed(call: Call[Any], *, sent: bool) -> ClientClosed:
    """For a call that is not answered when its client is closed."""
    doubt = call.in_doubt or (sent and call.mutates)
    message = f"The client was closed before the {call.name} was answered.{_UNKNOWN if doubt else ''}"
    return ClientClosed(message, outcome_unknown=doubt)
