# Written by tools/blocking.py from petra/stores/store.py: change that, and run make blocking.
"""The tables of users, clusters and instances in the database of one object.

Nothing is kept here: any number of these, in any number of processes, serve the same rows. Every change is one atomic
step of the object.
"""

from __future__ import annotations

from typing import Final, Self

from petra._layers import own_object
from petra.sync.objects import Object
from petra.sync.stores.clusters import ClusterStore
from petra.sync.stores.execution import Tables
from petra.sync.stores.instances import InstanceStore
from petra.sync.stores.migrate import Migrations
from petra.sync.stores.users import UserStore

_MIGRATIONS: Final = "petra.stores.migrations"


class DatabaseStore:
    """Users, who are members of clusters, which have instances."""

    def __init__(self, db: Object) -> None:
        """`db` is the handle of an object: its database has the tables, and may have others of the application's.

        Nothing is sent yet: `initialize` makes the tables. Raises TypeError for what is no object of this tree.
        """
        self._database = own_object(db, Object, "stores")
        execution = Tables(self._database)
        self.users: Final = UserStore(execution)
        self.clusters: Final = ClusterStore(execution)
        self.instances: Final = InstanceStore(execution)

    @classmethod
    def open(cls, db: Object) -> Self:
        """The stores in an object, with their tables made: see `initialize`."""
        store = cls(db)
        store.initialize()
        return store

    def initialize(self) -> list[str]:
        """Makes the tables, or brings them to what this version of Petra needs; returns the migrations that it ran.

        Call it when your program starts: it is safe when many do at once, and one query when nothing is to be done.
        Raises MigrationFailed when the object has other tables with these names.
        """
        return Migrations(_MIGRATIONS).migrate(self._database)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._database!r}>"
