"""What can go wrong, as one hierarchy under PetraError. Each class says what its caller can do next.

Every error can be pickled, so that it survives the way between processes.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ClientClosed",
    "DataLoss",
    "DeadlineExceeded",
    "DecodeError",
    "DiskFull",
    "EncodeError",
    "FailedPrecondition",
    "IntegerOverflow",
    "InternalError",
    "InvalidArgument",
    "NoRow",
    "NotAThrottle",
    "NotAnInteger",
    "NotOneRow",
    "Overloaded",
    "PermissionDenied",
    "PetraError",
    "ResourceExhausted",
    "SeveralRows",
    "SqlConstraint",
    "SqlError",
    "SqlNotAllowed",
    "Unavailable",
    "Unimplemented",
    "VersionConflict",
]


class PetraError(Exception):
    """Everything that Petra raises is one of these.

    `reason` is the name of a petra.v1.ErrorReason, and empty when the client itself or a proxy failed the call.
    `metadata` is what the server adds for programs. `outcome_unknown` is true when the call was a mutation that may or
    may not have been applied: read before you repeat it. The message says so too.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.outcome_unknown = outcome_unknown

    # Beside `args`, all there is of an error stands in its __dict__: so Python's own pickling of exceptions is enough.

    @property
    def message(self) -> str:
        """What happened, and what to do, in a sentence or two. `str(error)` is the same."""
        return str(self)


class InvalidArgument(PetraError, ValueError):
    """The call itself is wrong, and was not done. Change the program; to repeat the call as it is cannot help.

    `field` names the argument, or the field of the request on the wire; it is empty when none in particular is wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, outcome_unknown=outcome_unknown)
        self.field = field


class EncodeError(InvalidArgument):
    """The codec cannot write the value, and nothing was sent. Change the value, or give the client another codec.

    `path` says which part of the value: `value.orders[3].owner`.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "value",
        field: str = "value",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, field=field, reason=reason, metadata=metadata, outcome_unknown=outcome_unknown)
        self.path = path


class DecodeError(PetraError, ValueError):
    """The stored bytes are not what their encoding says: another program wrote them with another codec.

    The entry is as it was. Read it with a codec that returns bytes as they are, or write it anew.
    """


class VersionConflict(PetraError):
    """Somebody else changed the entry since it was read, and the call was not done. Read it again and decide anew.

    `version` is the present version, 0 when the entry is absent. `key` is the entry's key; where the server alone
    knows which one it was, a long key is cut to its first characters and three dots.
    """

    def __init__(
        self,
        message: str,
        *,
        version: int = 0,
        key: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, outcome_unknown=outcome_unknown)
        self.version = version
        self.key = key


class FailedPrecondition(PetraError):
    """What is stored does not allow the call, and it was not done. Use another key, or change the entry first."""


class NotAnInteger(FailedPrecondition):
    """The entry is no JSON integer, so nothing can be added to it. Use another key, or set it to an integer."""


class IntegerOverflow(FailedPrecondition):
    """The sum does not fit into 64 bits, and the entry keeps its value. Add less, or set it anew."""


class NotAThrottle(FailedPrecondition):
    """The entry is no state of a rate limit. Use another key, or delete the entry."""


class SqlError(InvalidArgument):
    """SQLite does not understand the statement, or it does not fit the schema or its parameters. Nothing was changed.

    Correct the statement: the message says what SQLite says, and `field` which one it was (`statements[2].sql`).
    """


class SqlNotAllowed(InvalidArgument):
    """The server does not let this statement run, or it writes where only reading is allowed. Nothing was changed.

    The message says what to do instead.
    """


class SqlConstraint(FailedPrecondition):
    """A constraint of the schema does not hold, and nothing was changed. Write other rows, or change those there first.

    `constraint` is its kind: UNIQUE, PRIMARYKEY, NOTNULL, CHECK, FOREIGNKEY, TRIGGER (RAISE in a trigger), and others
    of SQLite's. `field` says which statement it was (`statements[2].sql`), where it is not all of them together.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, outcome_unknown=outcome_unknown)
        self.field = field

    @property
    def constraint(self) -> str:
        """The kind of the constraint; empty when the server does not say."""
        return self.metadata.get("constraint", "")


class NotOneRow(PetraError):
    """Exactly one row was asked for, and there is another number of them. What the statement changed is changed.

    Look at the WHERE of the statement, or take the rows with `execute`.
    """


class NoRow(NotOneRow):
    """Exactly one row was asked for, and there is none. Handle its absence, or look at the WHERE of the statement."""


class SeveralRows(NotOneRow):
    """Exactly one row was asked for, and there are several. Look at the WHERE of the statement, or add LIMIT 1."""


class ResourceExhausted(PetraError):
    """There is more to do than the server has room for, and the call was not done. Wait, and send less at a time.

    `retry_after` says after how many seconds to try again; None when the server names no time.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, outcome_unknown=outcome_unknown)
        self.retry_after = retry_after


class Overloaded(ResourceExhausted):
    """Too much waits at the server already. Make fewer calls at a time, or try again after `retry_after` seconds.

    The client has tried again until the deadline.
    """


class DiskFull(ResourceExhausted):
    """The server's disk is nearly full. Reads go on; writes resume when there is room on it. Delete, or add space."""


class Unavailable(PetraError):
    """The server cannot be reached, is shutting down, or its storage failed. Try again later.

    The client has tried until the deadline, wherever that was safe.
    """


class ClientClosed(Unavailable):
    """The client was closed before the call was answered, or before it was made. Make a new client."""


class DeadlineExceeded(PetraError, TimeoutError):
    """The time was up. Allow more of it, or do less in one call.

    Unless `outcome_unknown` is true the call was not applied.
    """


class DataLoss(PetraError):
    """A stored record is damaged. To try again cannot help: restore a backup, and look after the server's disk."""


class InternalError(PetraError):
    """A fault of the server or of the client, or an answer that this client does not know.

    The message names the fault's id in the server's log where it has one. Read before you repeat a mutation. A newer
    client may know more about the answer.
    """


class Unimplemented(PetraError):
    """The server does not know the method: it is older than this client, or no Petra server. Look at the address."""


class PermissionDenied(PetraError):
    """The server, or a proxy before it, does not let this client in. Look at the credentials and the address."""
