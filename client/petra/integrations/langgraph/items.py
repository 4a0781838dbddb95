"""Items of a LangGraph store, as keys and values of Petra, and what a search asks of them. Pure.

    users/ann/:theme        the item "theme" of the namespace ("users", "ann")

Labels and keys are quoted as in a URL: `/` ends a label, and `:` comes before the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

from langgraph.store.base import Item, ListNamespacesOp, MatchCondition, PutOp, SearchItem

from petra import Entry

Labels: TypeAlias = tuple[str, ...]
Record: TypeAlias = dict[str, Any]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$eq": eq,
    "$ne": ne,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}


def item_key(namespace: Labels, key: str) -> str:
    """The key of Petra of an item."""
    return f"{namespace_prefix(namespace)}:{quote(key, safe='')}"


def namespace_prefix(namespace: Labels) -> str:
    """Before the keys of all items in a namespace and in those below it."""
    return "".join(f"{quote(label, safe='')}/" for label in namespace)


def split_key(key: str) -> tuple[Labels, str]:
    """The namespace and the key of an item."""
    *labels, name = key.split("/")
    return tuple(unquote(label) for label in labels), unquote(name.removeprefix(":"))


def changed(entry: Entry | None, op: PutOp, now: datetime) -> tuple[Record, int]:
    """What a put stores, and the version that it replaces; `entry` is what is there."""
    created = now.isoformat() if entry is None else entry.value["created_at"]
    record = {"value": op.value, "created_at": created, "updated_at": now.isoformat(), "ttl": op.ttl}
    return record, 0 if entry is None else entry.version


def ttl_seconds(minutes: float | None) -> float | None:
    """LangGraph counts the life of an item in minutes."""
    return None if minutes is None else minutes * 60


def read_item(entry: Entry) -> Item:
    """The item that is stored in an entry."""
    namespace, key = split_key(entry.key)
    created, updated = _moments(entry.value)
    return Item(value=entry.value["value"], key=key, namespace=namespace, created_at=created, updated_at=updated)


def read_found(entry: Entry) -> SearchItem:
    """The item that is stored in an entry, as a result of a search."""
    namespace, key = split_key(entry.key)
    created, updated = _moments(entry.value)
    return SearchItem(namespace, key, entry.value["value"], created, updated)


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether the fields of an item are as a search wants them: equal, or as its operators say."""
    return all(_compare(value.get(name), want) for name, want in (wanted or {}).items())


def namespaces(keys: Iterable[str], op: ListNamespacesOp) -> list[Labels]:
    """The namespaces of items with these keys, as an operation wants them."""
    found = {split_key(key)[0] for key in keys}
    fitting = {labels for labels in found if all(_fits(labels, each) for each in op.match_conditions or ())}
    cut = sorted({labels[: op.max_depth] for labels in fitting})
    return cut[op.offset : op.offset + op.limit]


def utc_now() -> datetime:
    """The present moment, by the caller's clock."""
    return datetime.now(UTC)


def _moments(record: Record) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(record["created_at"]), datetime.fromisoformat(record["updated_at"])


def _compare(value: Any, want: Any) -> bool:  # noqa: ANN401 - values of JSON
    if isinstance(want, Mapping) and any(str(name).startswith("$") for name in want):
        return all(_apply(name, value, limit) for name, limit in want.items())
    if isinstance(want, Mapping):
        return isinstance(value, Mapping) and all(_compare(value.get(name), each) for name, each in want.items())
    return bool(value == want)


def _apply(name: str, value: Any, limit: Any) -> bool:  # noqa: ANN401 - values of JSON
    if name not in _COMPARISONS:
        raise ValueError(f"{name} is no operator of a filter; there are {', '.join(_COMPARISONS)}.")
    if value is None and name not in {"$eq", "$ne"}:
        return False
    return _COMPARISONS[name](value, limit)


def _fits(labels: Labels, condition: MatchCondition) -> bool:
    path = tuple(condition.path)
    if len(labels) < len(path):
        return False
    part = labels[: len(path)] if condition.match_type == "prefix" else labels[len(labels) - len(path) :]
    return all(wanted in {"*", label} for wanted, label in zip(path, part, strict=True))
