"""The router: from an address to its actor, and from calls to turns, one stored batch, and answers through the gate.

One `submit` is one step: the operations for idle actors run in one turn, what they write is stored in one batch, and
then every answer goes to the output gate. Calls for a busy actor wait in its mailbox. When the batch cannot be stored
it is as if the actors with writes had not been asked, and their calls are refused.

Loop thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeAlias

from petra_server.actor.actor import Actor, Family
from petra_server.actor.call import Call
from petra_server.actor.clearing import SlicedClear
from petra_server.actor.gate import Answer, OutputGate
from petra_server.actor.handlers import HANDLERS, LongTurn
from petra_server.actor.operations import RANGE_READS, Clear, CountReply, Reply, mutates, weight
from petra_server.actor.recent import RecentRequests
from petra_server.actor.sql_turns import SqlOptions, SqlTurns
from petra_server.actor.turn import NeedsSql, NeedsWrites, Turn, load
from petra_server.clock import Clock
from petra_server.errors import Reason, Refusal, StorageFailed, deadline_passed
from petra_server.faults import internal_error
from petra_server.figures import LATENCY_BOUNDS, SIZE_BOUNDS, Histogram
from petra_server.storage.batch import Batch
from petra_server.storage.cache import MISSING, Missing
from petra_server.storage.engine import EngineStalled
from petra_server.storage.partition import Partition
from petra_server.storage.records import Record

# The weight of what is taken out of a mailbox at once; then other actors have their turn.
_DRAIN_WEIGHT = 1_024
_STALL_RETRY_MS = 200
_FULL_DISK_RETRY_MS = 5_000
_MAILBOX_RETRY_MS = 50


# What a key shows: a record, None for nothing, MISSING when that cannot be said at once.
Reader: TypeAlias = Callable[[Actor, bytes], Record | Missing | None]


def _read_nothing(actor: Actor, key: bytes) -> Missing:
    return MISSING


class Router:
    """All actors of a partition."""

    def __init__(
        self,
        partition: Partition,
        clock: Clock,
        *,
        max_mailbox_items: int,
        sql: SqlOptions,
        on_failure: Callable[[StorageFailed], None],
    ) -> None:
        """Starts the partition's committer; `on_failure` is called once, when a write or flush has failed."""
        # Set once.
        self._partition = partition
        self._clock = clock
        self._max_mailbox_items = max_mailbox_items
        self._loop = asyncio.get_running_loop()
        self.gate = OutputGate(partition.committer, on_failure)
        partition.committer.start(self.gate)
        count = partition.meta.actors
        recent = RecentRequests()
        self.actors = [
            Actor(
                index, count, Family(partition.engine, index), partition.cache.view(), recent, partition.counts[index]
            )
            for index in range(count)
        ]
        self.sql = SqlTurns(self, partition, clock, sql)
        # Figures: operations of each turn, and how long those that had to wait were in a mailbox.
        self.turn_operations = Histogram(SIZE_BOUNDS)
        self.wait_seconds = Histogram(LATENCY_BOUNDS)
        # Owned by the loop.
        self._closed: Refusal | None = None
        self._long_turns: set[asyncio.Task[None]] = set()

    def submit(self, calls: Sequence[Call]) -> None:
        """Has each call answered, now or later."""
        ready: list[Call] = []
        for call in calls:
            actor = call.actor
            if actor.busy or actor.mailbox:
                self._enqueue(call)
            else:
                ready.append(call)
        if ready:
            self._step(ready)

    def reader(self) -> Reader:
        """Reads for Gets without the machinery of a turn; to be used at once, before anything is submitted.

        It says MISSING of a key that needs more than to look, whose Get is to be submitted: the actor is not idle, or
        what the key shows is not durable yet, or operations are being refused.
        """
        if self._refusing:
            return _read_nothing
        open_keys, flushing_keys = self.gate.open_keys, self.gate.flushing_keys
        durable_generation = self._partition.committer.durable_generation
        now_ms = self._clock.now_ms()

        def read(actor: Actor, key: bytes) -> Record | Missing | None:
            if (
                actor.busy
                or actor.mailbox
                or key in open_keys
                or key in flushing_keys
                or actor.barrier_generation > durable_generation
            ):
                return MISSING
            actor.turns += 1
            actor.operations += 1
            record = load(actor, key)
            return None if record is not None and 0 < record.expires_at_ms <= now_ms else record

        return read

    def hold(self, actor: Actor) -> None:
        """Makes an actor busy: its calls wait in the mailbox until `release`."""
        actor.busy = True

    def release(self, actor: Actor) -> None:
        """Ends what `hold` began."""
        actor.busy = False
        self._drain(actor)

    async def finish(self) -> None:
        """Waits for the long turns and the statements that are under way."""
        while self._long_turns:
            await asyncio.wait(self._long_turns)
        await self.sql.finish()

    async def close(self, refusal: Refusal) -> None:
        """Begins nothing more: what waits, and whatever comes, is refused. Waits for the long turns under way."""
        self._closed = refusal
        while self._long_turns:
            await asyncio.wait(self._long_turns)
        await self.sql.stop(refusal)
        self.sql.close()
        for actor in self.actors:
            while actor.mailbox:
                actor.mailbox.popleft().answer(refusal)

    def _enqueue(self, call: Call) -> None:
        mailbox = call.actor.mailbox
        if len(mailbox) >= self._max_mailbox_items:
            call.answer(
                Refusal(
                    Reason.OVERLOADED,
                    "Too many operations wait for this actor. Try again, with fewer at a time.",
                    retry_after_ms=_MAILBOX_RETRY_MS,
                )
            )
        else:
            call.queued_at = self._loop.time()
            mailbox.append(call)

    def _step(self, calls: Sequence[Call]) -> None:
        """Does operations of actors that are not busy."""
        self.turn_operations.observe(len(calls))
        turn = self.turn(self._clock.now_ms())
        self.conclude(turn, self._run(turn, calls))
        for actor in {call.actor for call in calls}:
            actor.turns += 1
            if actor.mailbox:
                self._loop.call_soon(self._drain, actor)

    def turn(self, now_ms: int) -> Turn:
        """A turn that is yet to run."""
        return Turn(self.gate, self._partition.next_version, now_ms)

    def _run(self, turn: Turn, calls: Sequence[Call]) -> list[Answer]:
        """Runs a turn. What has to wait is put back into the mailboxes."""
        refusing = self._refusing
        answers: list[Answer] = []
        waiting: dict[Actor, list[Call]] = {}
        beside: list[tuple[Call, NeedsSql | LongTurn]] = []
        for call in calls:
            actor, kind = call.actor, type(call.operation)
            outcome: Reply | Refusal
            if waiting and actor in waiting:
                waiting[actor].append(call)
                continue
            try:
                if refusing or call.deadline is not None or call.withdrawn:
                    self.check(call)
                outcome = turn.run(HANDLERS[kind], call)
            except Refusal as error:
                outcome = error
            except NeedsWrites:
                # The rest goes on in the next turn, when this one's writes are stored.
                waiting[actor] = [call]
                continue
            except (NeedsSql, LongTurn) as needed:
                beside.append((call, needed))
                waiting[actor] = []
                continue
            except Exception:  # noqa: BLE001 - a fault of ours; its caller is told, and the others go on
                outcome = internal_error("An operation failed.")
            generation = turn.gate
            if kind in RANGE_READS:
                generation = max(generation, actor.written_generation)
            actor.operations += 1
            answers.append((call, outcome, generation))
        self._put_back(waiting, beside, turn.now_ms)
        return answers

    def _put_back(
        self, waiting: dict[Actor, list[Call]], beside: Sequence[tuple[Call, NeedsSql | LongTurn]], now_ms: int
    ) -> None:
        """Has calls wait in their mailboxes, and begins what they wait for outside of this turn."""
        for actor, rest in waiting.items():
            actor.mailbox.extendleft(reversed(rest))
        # Only now: statements take those along that wait behind them.
        for call, reason in beside:
            if isinstance(reason, NeedsSql):
                self.sql.begin(call, now_ms)
            else:
                self._begin_clear(call)

    def conclude(self, turn: Turn, answers: Sequence[Answer]) -> bool:
        """Stores what a turn wrote, and answers its calls. False when it could not be stored, and they are refused."""
        batch = turn.collect()
        failure = None
        if batch:
            failure = self._store(batch)
            if failure is None:
                self._settle(turn)
            else:
                answers = _refused(batch, answers, failure)
        self.gate.pass_on(answers)
        return failure is None

    def _settle(self, turn: Turn) -> None:
        turn.settle()
        for database in turn.cleared:
            self.sql.drop(database)
        if turn.durable_keys:
            self.gate.wrote(turn.durable_keys)
        else:
            self._partition.committer.flush_later()

    @property
    def _refusing(self) -> bool:
        """Whether some operations are to be refused whatever they are."""
        return (
            self._closed is not None
            or self._partition.committer.failure is not None
            or not self._partition.disk.writable
        )

    def check(self, call: Call) -> None:
        """Raises Refusal when an operation is not to be begun."""
        if call.withdrawn or (call.deadline is not None and call.deadline <= self._loop.time()):
            raise deadline_passed()
        failure, disk = self._closed or self._partition.committer.failure, self._partition.disk
        if failure is not None:
            raise failure
        if not disk.writable and mutates(call.operation):
            raise self.disk_full()

    def disk_full(self) -> Refusal:
        """What writes are refused with while the disk is nearly full."""
        free_bytes = self._partition.disk.free_bytes
        return Refusal(
            Reason.DISK_FULL,
            f"The disk of the data directory is nearly full ({free_bytes >> 20} MiB free): writes are refused,"
            " reads go on. Make room; writes resume by themselves.",
            retry_after_ms=_FULL_DISK_RETRY_MS,
        )

    def _store(self, batch: Batch) -> Refusal | None:
        """Stores a batch, or says why that was not possible."""
        try:
            self._partition.append(batch)
        except EngineStalled:
            return _stalled()
        except StorageFailed as failure:
            return failure
        return None

    def _drain(self, actor: Actor) -> None:
        """Runs a turn over what waits in a mailbox."""
        if actor.busy or not actor.mailbox:
            return
        mailbox = actor.mailbox
        calls: list[Call] = []
        total = 0
        while mailbox and total < _DRAIN_WEIGHT:
            call = mailbox.popleft()
            self.taken(call)
            total += weight(call.operation)
            calls.append(call)
        self._step(calls)

    def taken(self, call: Call) -> None:
        """Counts how long a call has waited that was taken out of a mailbox."""
        if call.queued_at:
            self.wait_seconds.observe(self._loop.time() - call.queued_at)
            # It may be put back, and has then had its turn.
            call.queued_at = 0.0

    def _begin_clear(self, call: Call) -> None:
        self.hold(call.actor)
        task = self._loop.create_task(self._clear(call), name="petra-clear")
        self._long_turns.add(task)
        task.add_done_callback(self._long_turns.discard)

    async def _clear(self, call: Call) -> None:
        """A clear in slices; see petra_server.actor.clearing."""
        actor, operation = call.actor, call.operation
        assert isinstance(operation, Clear)
        try:
            work = SlicedClear(actor, operation, self._clock.now_ms())
            while not work.advance():  # noqa: ASYNC110
                await asyncio.sleep(0)
            self._finish_clear(call, work)
        except Refusal as refusal:
            call.answer(refusal)
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            call.answer(internal_error("A clear failed."))
        finally:
            self.release(actor)

    def _finish_clear(self, call: Call, work: SlicedClear) -> None:
        actor = call.actor
        try:
            generation = self._partition.append(work.batch())
        except EngineStalled:
            raise _stalled() from None
        if work.database:
            self.sql.drop(work.database)
        actor.keys = max(0, actor.keys - work.total)
        actor.any_generation = generation
        actor.turns += 1
        actor.operations += 1
        if call.sync:
            actor.written_generation = actor.barrier_generation = generation
            self.gate.pass_on([(call, CountReply(work.live), generation)])
        else:
            self._partition.committer.flush_later()
            self.gate.pass_on([(call, CountReply(work.live), actor.written_generation)])


def _refused(batch: Batch, answers: Sequence[Answer], failure: Refusal) -> list[Answer]:
    """Refuses the calls of actors with writes in a batch that is not stored. Returns the answers that stand."""
    families = {family for family, *_ in chain(batch.writes, batch.range_deletes)}
    for call, _, _ in answers:
        if call.actor.index in families:
            call.answer(failure)
    return [answer for answer in answers if answer[0].actor.index not in families]


def _stalled() -> Refusal:
    return Refusal(
        Reason.OVERLOADED,
        "The storage is behind with its compactions. Try again a little later.",
        retry_after_ms=_STALL_RETRY_MS,
    )
