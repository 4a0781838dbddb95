"""What the datastore refuses, under PetraError. Whatever is refused has changed nothing."""

from __future__ import annotations

from collections.abc import Iterable

from petra.errors import FailedPrecondition, InvalidArgument, PermissionDenied


class NotFoundOrNoAccess(PermissionDenied):
    """There is no such object, or it does not name this user: which of the two, nobody is told.

    `storage_class` and `key` are those of the call.
    """

    def __init__(self, storage_class: str = "", key: str = "") -> None:
        super().__init__("Not found or no access")
        self.storage_class = storage_class
        self.key = key

    def __reduce__(self) -> tuple[type[NotFoundOrNoAccess], tuple[str, str]]:
        return type(self), (self.storage_class, self.key)


class LastOwner(FailedPrecondition):
    """The object names this user alone, so that nobody would see it any more. Delete it instead."""


class UnknownClass(InvalidArgument):
    """No storage class has that name. Use one of those that the message names, or register your own."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"There is no storage class {name!r}; there are {', '.join(self.known)}.", field="cls")

    def __reduce__(self) -> tuple[type[UnknownClass], tuple[str, tuple[str, ...]]]:
        return type(self), (self.name, self.known)
