"""The checkpointer of LangGraph: a thread of a graph is an object of Petra.

Its methods do what the plans of `plans` say, in threads with one client and in coroutines with the other. Both connect
when they are first used, so that an application which needs one has no more than that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from petra import AsyncObject, Object
from petra.errors import InvalidArgument
from petra.integrations._location import Location, parse_location
from petra.integrations.langgraph.plans import Plans, everything, next_version, thread_of
from petra.integrations.langgraph.steps import carry_out, carry_out_async

_USUAL: Final = Location("langgraph")


class PetraSaver(BaseCheckpointSaver[str]):
    """Keeps the checkpoints of graphs on a Petra server: `builder.compile(checkpointer=PetraSaver("host:7475"))`.

    All checkpoints of a thread live in one object, with its name, in a namespace of their own. A checkpoint is written
    in one atomic step, and is on the disk before the graph goes on. Threads may share a saver; its coroutines belong to
    one running event loop at a time. Its methods raise PetraError.
    """

    def __init__(self, location: str = "", *, serde: SerializerProtocol | None = None) -> None:
        """Makes a saver for `host:port` or `petra://host:port/?namespace=...&timeout=...&durability=...&tls=...`.

        The namespace is `langgraph` unless another is given, and should hold nothing else. Raises InvalidArgument.
        """
        super().__init__(serde=serde)
        where = parse_location(location, _USUAL)
        self._client = where.client()
        self._async_client = where.async_client()

    def close(self) -> None:
        """Ends the connection of the blocking methods."""
        self._client.close()

    async def aclose(self) -> None:
        """Ends both connections."""
        self._client.close()
        await self._async_client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A version that is greater than `current`, and that no other fork of the thread has."""
        return next_version(current)

    # For threads.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the newest one; None when there is none."""
        return carry_out(self._plans.get_tuple(config), self._thread(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the base class's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Iterates over the checkpoints of a thread, newest first, or over those of all threads, one after another.

        `filter` names values of their metadata, `before` a checkpoint than which they are older.
        """
        left = limit
        for thread_id in [thread_of(config)] if config else self._client.objects():
            thread = self._client.object(thread_id)
            for name in carry_out(self._plans.names(config, before), thread):
                if left is not None and left <= 0:
                    return
                found = carry_out(self._plans.matching(thread_id, name, filter), thread)
                if found is not None:
                    left = None if left is None else left - 1
                    yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint, and returns its config."""
        return carry_out(self._plans.put(config, checkpoint, metadata, new_versions), self._thread(config))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task has written after a checkpoint."""
        carry_out(self._plans.put_writes(config, writes, task_id, task_path), self._thread(config))

    def delete_thread(self, thread_id: str) -> None:
        """Removes a thread."""
        self._client.object(str(thread_id)).clear()

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Removes the checkpoints of runs. It looks through all threads."""
        if run_ids:
            for thread_id in self._client.objects():
                carry_out(self._plans.delete_runs(run_ids), self._client.object(thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies all that a thread has. Checkpoints come last, so each is whole when it is seen."""
        source, target = (self._client.object(str(each)) for each in (source_thread_id, target_thread_id))
        for portion in carry_out(everything(), source):
            target.set_many(portion)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Removes all checkpoints of threads ("delete"), or all but the newest of each namespace ("keep_latest").

        What channels that keep only their changes are rebuilt from stays as well.
        """
        _check_strategy(strategy)
        for thread_id in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread_id)
            else:
                carry_out(self._plans.keep_latest(), self._client.object(str(thread_id)))

    # For coroutines.

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return await carry_out_async(self._plans.get_tuple(config), self._async_thread(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the base class's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`."""
        left = limit
        threads = [thread_of(config)] if config else [name async for name in self._async_client.objects()]
        for thread_id in threads:
            thread = self._async_client.object(thread_id)
            for name in await carry_out_async(self._plans.names(config, before), thread):
                if left is not None and left <= 0:
                    return
                found = await carry_out_async(self._plans.matching(thread_id, name, filter), thread)
                if found is not None:
                    left = None if left is None else left - 1
                    yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As `put`."""
        plan = self._plans.put(config, checkpoint, metadata, new_versions)
        return await carry_out_async(plan, self._async_thread(config))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`."""
        plan = self._plans.put_writes(config, writes, task_id, task_path)
        await carry_out_async(plan, self._async_thread(config))

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        await self._async_client.object(str(thread_id)).clear()

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `delete_for_runs`."""
        if run_ids:
            async for thread_id in self._async_client.objects():
                await carry_out_async(self._plans.delete_runs(run_ids), self._async_client.object(thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `copy_thread`."""
        source, target = (self._async_client.object(str(each)) for each in (source_thread_id, target_thread_id))
        for portion in await carry_out_async(everything(), source):
            await target.set_many(portion)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `prune`."""
        _check_strategy(strategy)
        for thread_id in thread_ids:
            if strategy == "delete":
                await self.adelete_thread(thread_id)
            else:
                await carry_out_async(self._plans.keep_latest(), self._async_client.object(str(thread_id)))

    @property
    def _plans(self) -> Plans:
        # Made anew, as LangGraph gives copies of a saver another serializer.
        return Plans(self.serde)

    def _thread(self, config: RunnableConfig) -> Object:
        return self._client.object(thread_of(config))

    def _async_thread(self, config: RunnableConfig) -> AsyncObject:
        return self._async_client.object(thread_of(config))


def _check_strategy(strategy: str) -> None:
    if strategy not in {"keep_latest", "delete"}:
        raise InvalidArgument(f"strategy is keep_latest or delete, not {strategy!r}.", field="strategy")
