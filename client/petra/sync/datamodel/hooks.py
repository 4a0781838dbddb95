# Written by tools/blocking.py from petra/datamodel/hooks.py: change that, and run make blocking.
"""Hooks: functions of a model that are called around the writes of its records.

A hook is called with the record and the Event, and may be a coroutine function. `before_*` run before anything is
validated or written: they may set fields of the record, and whatever they raise ends the operation. `after_*` run when
the write is on the disk; what they raise is logged, and the operation has succeeded all the same. Several hooks of one
name are called in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from petra.datamodel.definition import HookName, ModelDefinition
from petra.datamodel.errors import HookRefused
from petra.datamodel.state import Change
from petra.sync._waiting import called
from petra.sync.datastore import Store
from petra.values import Durability


@dataclass(frozen=True, slots=True)
class Event:
    """What a hook is told: which one it is, for whom it is called, and what changes.

    `changes` are by field. Of a creation they are all that is set; of a deletion and a restoration that is
    `deleted_at`, which is known afterwards.
    """

    name: HookName
    model: str
    store: Store
    changes: Mapping[str, Change]

    @property
    def user_id(self) -> str | None:
        """For whom the operation is done; None is the system."""
        return self.store.user_id

    def refuse(self, reason: str) -> NoReturn:
        """Ends the operation with HookRefused, whose message is the reason. For `before_*` alone."""
        raise HookRefused(reason)


def run_before(
    definition: ModelDefinition, name: HookName, record: object, store: Store, changes: Mapping[str, Change]
) -> None:
    """Runs the hooks of that name. What they raise is raised."""
    for hook in definition.hooks.get(name, ()):
        called(hook, record, Event(name, definition.name, store, changes))


def run_after(
    definition: ModelDefinition, name: HookName, record: object, store: Store, changes: Mapping[str, Change]
) -> None:
    """Runs the hooks of that name. What they raise is logged, and the next one runs."""
    for hook in definition.hooks.get(name, ()):
        try:
            called(hook, record, Event(name, definition.name, store, changes))
        except Exception as error:  # noqa: BLE001 - any error of a hook is logged, and fails nothing
            store.log.failure(f"hook.{name}", definition.name, error)


def durability(definition: ModelDefinition, after: HookName) -> Durability | None:
    """How the write before those hooks is acknowledged: on the disk where there are any, else as the client says."""
    return "fsync" if definition.hooks.get(after) else None
