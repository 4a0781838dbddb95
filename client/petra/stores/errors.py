"""What the stores and migrations refuse, under PetraError. Whatever is refused has changed nothing."""

from __future__ import annotations

from petra.errors import FailedPrecondition


class NotFound(FailedPrecondition):
    """There is no such user, cluster, instance or membership any more, or there never was. Look at the ids."""


class AlreadyExists(FailedPrecondition):
    """There is something with this id, or this membership, already. Take another id, or change what is there."""


class EmailTaken(AlreadyExists):
    """Another user has this e-mail address: find them with `get_by_email`. `email` is the address as it is kept."""

    def __init__(self, message: str, *, email: str = "") -> None:
        super().__init__(message)
        self.email = email


class NotInitialized(FailedPrecondition):
    """The tables of the stores are not there. Call `initialize()` when your program starts."""


class MigrationConflict(FailedPrecondition):
    """The package and what was applied to the database do not fit together. The message says what to do.

    `name` is the migration, and `state` what is wrong with it: "edited", "missing" or "out_of_order".
    """

    def __init__(self, message: str, *, name: str = "", state: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.state = state


class MigrationFailed(FailedPrecondition):
    """The server refused a statement of a migration, and nothing of that migration was done. Correct it.

    `name` is the migration, `statement` the text of the statement, or empty when it is all of them together, and the
    error's `__cause__` what the server said.
    """

    def __init__(self, message: str, *, name: str = "", statement: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.statement = statement
