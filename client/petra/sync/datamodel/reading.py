# Written by tools/blocking.py from petra/datamodel/reading.py: change that, and run make blocking.
"""Reads of records by their ids."""

from __future__ import annotations

from collections.abc import Iterable

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.faults import explained
from petra.datamodel.lookups import Found, found_entry, found_in, key_of_id, lookup
from petra.datastore.keys import checked_text
from petra.errors import InvalidArgument
from petra.sync.datastore import Store


def fetch(definition: ModelDefinition, store: Store, record_id: str) -> Found | None:
    """The record of that id, deleted or not; None when there is none, or it does not name the user.

    It takes one round trip, whether the key can be told from the id or not.
    """
    checked_text(record_id, definition.primary.name)
    with store.log.operation("load", definition.name, record_id) as outcome:
        if definition.pattern.fields == (definition.primary.name,):
            key = key_of_id(definition, record_id)
            try:
                entry = None if key is None else store.database.get_entry(key)
            except InvalidArgument:
                # No key is such, so there is no record either: that it is too long, the server alone can tell.
                entry = None
            found = found_entry(definition, store.user_id, entry)
        else:
            found = (_by_rows(definition, store, [record_id])).get(record_id)
        if found is None:
            outcome.text = "absent"
        return found


def fetch_many(definition: ModelDefinition, store: Store, record_ids: Iterable[str]) -> dict[str, Found]:
    """The records of many ids, deleted or not, without those that are not there or do not name the user.

    They are one snapshot. As many full objects as fit into one answer of the server can be read at once.
    """
    wanted = [checked_text(record_id, definition.primary.name) for record_id in dict.fromkeys(record_ids)]
    with store.log.operation("load", definition.name, f"{len(wanted)} records"):
        return _by_rows(definition, store, wanted) if wanted else {}


def _by_rows(definition: ModelDefinition, store: Store, record_ids: list[str]) -> dict[str, Found]:
    sql, params = lookup(definition, record_ids)
    with explained(definition):
        result = store.database.sql.execute(sql, params)
    found = {
        record_id: found_in(definition, store.user_id, key, version, value) for record_id, key, version, value in result
    }
    return {record_id: one for record_id, one in found.items() if one is not None}
