"""What a checkpointer does with a thread, as plans: see `steps`. Whoever carries them out waits; nothing here does.

A checkpoint and the values that it has brought are written in one atomic step, and so are the writes of a task. What
is no longer needed is removed after the checkpoints that needed it, so whatever is seen is whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from petra.integrations.langgraph import records
from petra.integrations.langgraph.records import CheckpointName
from petra.integrations.langgraph.steps import LastKey, Plan, Read, Remove, Scan, ScanKeys, Write

# Of the number of a channel's version, which is so written that its order as text is that of numbers.
_VERSION_DIGITS: Final = 32
# Half of what a server takes in one step, unless it is set otherwise.
_PORTION_ENTRIES: Final = 500
_PORTION_BYTES: Final = 8 << 20

_RANDOM: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint as it is stored: without the values of its channels."""

    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    parent_id: str

    def blobs(self, namespace: str) -> dict[str, str]:
        """The channels, each with the key of its value."""
        versions = self.checkpoint["channel_versions"]
        return {channel: records.blob_key(namespace, channel, version) for channel, version in versions.items()}


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a checkpointer with this serializer."""

    serde: SerializerProtocol

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new: ChannelVersions
    ) -> Plan[RunnableConfig]:
        """Stores a checkpoint and the new values of its channels; returns its config."""
        namespace = namespace_of(config) or ""
        values = checkpoint["channel_values"]
        items: dict[str, bytes] = {}
        for channel in new.keys() & values.keys():
            key = records.blob_key(namespace, channel, new[channel])
            items |= records.in_pieces(key, self._dump(values[channel]))
        bare = {name: value for name, value in checkpoint.items() if name != "channel_values"}
        known = self._dump(get_checkpoint_metadata(config, metadata))
        record = records.pack(self._dump(bare), known, (get_checkpoint_id(config) or "").encode())
        items |= records.in_pieces(records.checkpoint_key(namespace, checkpoint["id"]), record)
        yield Write(items)
        return config_of(thread_of(config), CheckpointName(checkpoint["id"], namespace))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Plan[None]:
        """Stores the writes of a task. Ordinary ones stay as they were when they are there; special ones are new."""
        namespace, checkpoint_id = namespace_of(config) or "", get_checkpoint_id(config) or ""
        once: dict[str, bytes] = {}
        always: dict[str, bytes] = {}
        for place, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, place)
            key = records.write_key(namespace, checkpoint_id, task_id, index)
            identity = (task_path.encode(), task_id.encode(), str(index).encode(), channel.encode())
            (once if index >= 0 else always).update(records.in_pieces(key, records.pack(*identity, self._dump(value))))
        yield Write(always, once)

    def get_tuple(self, config: RunnableConfig) -> Plan[CheckpointTuple | None]:
        """The checkpoint that a config names, or the newest of its namespace."""
        namespace, checkpoint_id = namespace_of(config) or "", get_checkpoint_id(config)
        if checkpoint_id is None:
            last = LastKey(records.checkpoints_prefix(namespace))
            yield last
            if last.found is None:
                return None
            checkpoint_id = records.checkpoint_names([records.without_piece(last.found)])[0].checkpoint_id
        name = CheckpointName(checkpoint_id, namespace)
        saved = yield from self._saved(name)
        return None if saved is None else (yield from self.complete(thread_of(config), name, saved))

    def complete(self, thread_id: str, name: CheckpointName, saved: Saved) -> Plan[CheckpointTuple]:
        """A checkpoint with the values of its channels and its pending writes."""
        blobs = saved.blobs(name.namespace)
        stored = yield from _read_whole(blobs.values())
        values = {channel: self._load(stored[key]) for channel, key in blobs.items() if key in stored}
        scan = Scan(records.writes_prefix(name.namespace, name.checkpoint_id))
        yield scan
        parent = CheckpointName(saved.parent_id, name.namespace)
        checkpoint = saved.checkpoint.copy()
        checkpoint["channel_values"] = values
        return CheckpointTuple(
            config=config_of(thread_id, name),
            checkpoint=checkpoint,
            metadata=saved.metadata,
            parent_config=config_of(thread_id, parent) if saved.parent_id else None,
            pending_writes=self._writes(scan.found),
        )

    def names(self, config: RunnableConfig | None, before: RunnableConfig | None) -> Plan[list[CheckpointName]]:
        """The checkpoints of a thread that a listing is about, newest first."""
        scan = ScanKeys(records.checkpoints_prefix(namespace_of(config) if config else None))
        yield scan
        wanted = get_checkpoint_id(config) if config else None
        end = get_checkpoint_id(before) if before else None
        return [
            name
            for name in records.checkpoint_names(scan.found)
            if (wanted is None or name.checkpoint_id == wanted) and (end is None or name.checkpoint_id < end)
        ]

    def matching(
        self, thread_id: str, name: CheckpointName, metadata: Mapping[str, Any] | None
    ) -> Plan[CheckpointTuple | None]:
        """A checkpoint whose metadata has these values; None when it has others, or is gone."""
        saved = yield from self._saved(name)
        if saved is None:
            return None
        known: Mapping[str, Any] = dict(saved.metadata)
        if metadata and any(known.get(key) != value for key, value in metadata.items()):
            return None
        return (yield from self.complete(thread_id, name, saved))

    def delete_runs(self, run_ids: Collection[str]) -> Plan[None]:
        """Removes the checkpoints of runs, their writes, and the values that no other checkpoint has."""
        saved = yield from self._all_saved()
        gone = {name for name, each in saved.items() if each.metadata.get("run_id") in run_ids}
        yield from _remove(saved, gone)

    def keep_latest(self) -> Plan[None]:
        """Removes all but the newest checkpoint of each namespace, and what it is rebuilt from."""
        saved = yield from self._all_saved()
        newest: dict[str, CheckpointName] = {}
        for name in sorted(saved):
            newest[name.namespace] = name
        stored = yield from _keys_of("b/")
        kept = {needed for name in newest.values() for needed in _needed(name, saved, stored)}
        yield from _remove(saved, saved.keys() - kept)

    def _saved(self, name: CheckpointName) -> Plan[Saved | None]:
        stored = yield from _read_whole([name.key])
        return self._read_saved(stored[name.key]) if name.key in stored else None

    def _all_saved(self) -> Plan[dict[CheckpointName, Saved]]:
        scan = Scan(records.checkpoints_prefix(None))
        yield scan
        names = {name: records.whole(name.key, scan.found) for name in records.checkpoint_names(scan.found)}
        return {name: self._read_saved(record) for name, record in names.items() if record is not None}

    def _read_saved(self, record: bytes) -> Saved:
        checkpoint, metadata, parent_id = records.unpack(record)
        return Saved(self._load(checkpoint), self._load(metadata), parent_id.decode())

    def _writes(self, stored: Mapping[str, bytes]) -> list[PendingWrite]:
        """Pending writes, in the order in which a running graph applies them."""
        writes = []
        for record in records.whole_values(stored):
            path, task_id, index, channel, value = records.unpack(record)
            order = writes_sort_key(path.decode(), task_id.decode(), int(index))
            writes.append((order, (task_id.decode(), channel.decode(), self._load(value))))
        return [write for _, write in sorted(writes, key=lambda each: each[0])]

    def _dump(self, value: object) -> bytes:
        kind, data = self.serde.dumps_typed(value)
        return records.pack(kind.encode(), data)

    def _load(self, data: bytes) -> Any:  # noqa: ANN401 - whatever the serializer has written
        kind, value = records.unpack(data)
        return self.serde.loads_typed((kind.decode(), value))


def everything() -> Plan[list[dict[str, bytes]]]:
    """All that a thread has, in portions for one step each; its checkpoints come last."""
    scan = Scan("")
    yield scan
    portions: list[dict[str, bytes]] = []
    entries, size = _PORTION_ENTRIES, 0
    for key in sorted(scan.found, key=lambda key: (key.startswith("c/"), key)):
        if entries >= _PORTION_ENTRIES or size >= _PORTION_BYTES:
            portions.append({})
            entries, size = 0, 0
        portions[-1][key] = scan.found[key]
        entries, size = entries + 1, size + len(scan.found[key])
    return portions


def next_version(current: str | int | None) -> str:
    """A version of a channel that is greater than the present one, and no one else's: two forks of a thread differ."""
    number = 0 if current is None else int(str(current).partition(".")[0])
    return f"{number + 1:0{_VERSION_DIGITS}}.{_RANDOM.getrandbits(64):016x}"


# Configs.


def thread_of(config: RunnableConfig) -> str:
    """The id of the thread that a config is about."""
    return str(config["configurable"]["thread_id"])


def namespace_of(config: RunnableConfig) -> str | None:
    """The namespace of checkpoints that a config is about; None when it says nothing."""
    namespace: str | None = config["configurable"].get("checkpoint_ns")
    return namespace


def config_of(thread_id: str, name: CheckpointName) -> RunnableConfig:
    """The config of a checkpoint."""
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": name.namespace,
            "checkpoint_id": name.checkpoint_id,
        }
    }


# Parts of plans.


def _read_whole(keys: Iterable[str]) -> Plan[dict[str, bytes]]:
    """Values of any length. Those that are absent, or were removed meanwhile, are left out."""
    wanted = list(keys)
    first = Read(wanted)
    if wanted:
        yield first
    further = Read([key for start, data in first.found.items() for key in records.further_keys(start, data)])
    if further.keys:
        yield further
    stored = first.found | further.found
    values = {key: records.whole(key, stored) for key in wanted}
    return {key: value for key, value in values.items() if value is not None}


def _keys_of(prefix: str) -> Plan[list[str]]:
    scan = ScanKeys(prefix)
    yield scan
    return scan.found


def _needed(
    name: CheckpointName, saved: Mapping[CheckpointName, Saved], stored: Collection[str]
) -> Iterator[CheckpointName]:
    """A checkpoint, and its ancestors as far as a channel that keeps only changes has to be rebuilt from them."""
    yield name
    counted = saved[name].metadata.get("counters_since_delta_snapshot")
    blobs, present = saved[name].blobs(name.namespace), set(stored)
    missing = {channel for channel in counted or () if blobs.get(channel) not in present}
    while missing:
        name = CheckpointName(saved[name].parent_id, name.namespace)
        if name not in saved:
            return
        yield name
        blobs = saved[name].blobs(name.namespace)
        missing = {channel for channel in missing if blobs.get(channel) not in present}


def _remove(saved: Mapping[CheckpointName, Saved], gone: Collection[CheckpointName]) -> Plan[None]:
    """Removes checkpoints, then their writes, and the values that none of the others has."""
    if not gone:
        return
    kept = {key for name, each in saved.items() if name not in gone for key in each.blobs(name.namespace).values()}
    values = {key for name in gone for key in saved[name].blobs(name.namespace).values()} - kept
    doomed = {name.key for name in gone}
    checkpoints = yield from _keys_of(records.checkpoints_prefix(None))
    blobs = yield from _keys_of("b/")
    yield Remove([key for key in checkpoints if records.without_piece(key) in doomed])
    for name in gone:
        yield Remove((yield from _keys_of(records.writes_prefix(name.namespace, name.checkpoint_id))))
    yield Remove([key for key in blobs if records.without_piece(key) in values])
