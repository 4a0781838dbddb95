"""Turns with SQL: statements run in threads, a list of one actor at a time, and what they did becomes a turn's writes.

1. The turn in which such an operation comes up runs it once without its statements, which finds what may refuse it
   and whether its request was answered before, and then leaves it (NeedsSql). The actor is held.
2. A worker thread runs the statements. Operations of nothing but SQL that wait behind it go along, one after the
   other: they share one batch, and pages that several of them changed are written once.
3. On the loop an ordinary turn runs the operations once more, this time with what their statements did. Its batch has
   pages beside entries, so they are stored together or not at all, and its answers go through the gate like all.
   Then the actor is released.

While statements take long, a watch on the loop looks again and again: at deadlines, at callers that have gone, at
operations that are done and need not wait for those behind them, and at how many threads there should be. When a batch
cannot be stored, SQLite believes in what is lost, so the databases are closed, and are next opened as they are stored;
what ran on top of it is refused.

Loop thread only, but for `_work`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

import structlog

from petra_server.actor.actor import Actor, Source
from petra_server.actor.call import Call
from petra_server.actor.gate import Answer
from petra_server.actor.handlers import HANDLERS
from petra_server.actor.operations import Execute, Query, QueryReply, Reply, Transact
from petra_server.actor.turn import NeedsSql, Turn
from petra_server.clock import Clock
from petra_server.errors import Reason, Refusal
from petra_server.faults import internal_error
from petra_server.sql.database import Database, Stop
from petra_server.sql.databases import Databases
from petra_server.sql.entries import ReadEntry
from petra_server.sql.failures import Interrupted, no_writes
from petra_server.sql.pages import ReadPage
from petra_server.sql.statements import Outcome, SqlLimits, Statement
from petra_server.storage.engine import Snapshot
from petra_server.storage.keys import KIND_ENTRY, page_key
from petra_server.storage.partition import Partition
from petra_server.storage.records import Record, unpack_record

if TYPE_CHECKING:
    from petra_server.actor.router import Router

_log = structlog.get_logger(__name__)

_STATEMENT = re.compile(r"statements\[([0-9]+)\]\.sql")

# How often the watch looks while statements run.
_WATCH_SECONDS = 0.02
# Operations that one trip to a thread takes along.
_GROUP = 128
# SQLite looks for an interrupt between its steps, and a few functions make long ones of large values.
_STOP_SECONDS = 5.0
# What a query may answer at once; a larger one goes on beside the actor, on a snapshot.
SMALL_RESULT_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlOptions:
    """See petra_server.settings for the meaning of each."""

    limits: SqlLimits
    threads: int
    max_open: int
    cache_bytes: int
    memory_bytes: int
    max_seconds: float


class _Job:
    """The statements of one call."""

    __slots__ = (
        "call",
        "database",
        "outcome",
        "overflowed",
        "read_only",
        "result_bytes",
        "started",
        "statements",
        "stop",
    )

    def __init__(self, call: Call, disk_full: Refusal | None) -> None:
        operation = call.operation
        self.call = call
        self.stop = Stop()
        self.read_only = disk_full
        self.result_bytes = 0
        # When it was begun, in seconds of the loop's clock; set by the watch, for which alone it is.
        self.started = 0.0
        # None when the statements were interrupted.
        self.outcome: Outcome | Refusal | None = None
        # A query whose result is too large to be answered at once.
        self.overflowed = False
        if isinstance(operation, Query):
            self.read_only = no_writes()
            self.result_bytes = SMALL_RESULT_BYTES
            self.statements: tuple[Statement, ...] = (operation.statement,)
        else:
            assert isinstance(operation, Execute | Transact)
            self.statements = operation.statements
        self.database = operation.database

    def placed(self, refusal: Refusal) -> Refusal:
        """A refusal of `statements[i]` with the place of that statement in the request."""
        match = _STATEMENT.fullmatch(refusal.field)
        operation = self.call.operation
        if match is None or isinstance(operation, Execute):
            return refusal
        if isinstance(operation, Query):
            return refusal.at("statement.sql")
        assert isinstance(operation, Transact)
        places = [place for place, step in enumerate(operation.steps) if isinstance(step, Statement)]
        return refusal.at(f"operations[{places[int(match[1])]}].sql.sql")


class _Group:
    """Jobs of one actor on their way through a thread. The thread appends to `done`, which only the loop empties."""

    __slots__ = ("actor", "current", "databases", "done", "failure", "jobs", "now_ms", "running", "seen")

    def __init__(self, actor: Actor, jobs: list[_Job], now_ms: int) -> None:
        self.actor = actor
        self.jobs = deque(jobs)
        self.now_ms = now_ms
        self.done: deque[_Job] = deque()
        # Set by the thread: what runs now, and on what. The names of all that it has taken.
        self.current: _Job | None = None
        self.running: Database | None = None
        self.databases: set[bytes] = set()
        # Set by the watch: what ran when it came last.
        self.seen: _Job | None = None
        # Set by the loop: why nothing more of the group can be kept.
        self.failure: Refusal | None = None


class SqlTurns:
    """All turns with SQL of a router."""

    def __init__(self, router: Router, partition: Partition, clock: Clock, options: SqlOptions) -> None:
        # Set once.
        self._router = router
        self._partition = partition
        self._clock = clock
        self._max_threads = options.threads
        self._max_seconds = options.max_seconds
        self._loop = asyncio.get_running_loop()
        self.databases = Databases(
            options.limits,
            max_open=options.max_open,
            cache_bytes=options.cache_bytes,
            memory_bytes=options.memory_bytes,
        )
        # Between the loop and the threads: what is to run, what has run, and whether the loop knows of it.
        self._queue: SimpleQueue[_Group | None] = SimpleQueue()
        self._ended: deque[_Group] = deque()
        self._told = False
        # Owned by the loop.
        self._threads: list[threading.Thread] = []
        # Of the threads, those that were not told to end.
        self._working = 0
        self._groups: set[_Group] = set()
        self._watching: asyncio.TimerHandle | None = None
        self._stopping: Refusal | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self, call: Call, now_ms: int) -> None:
        """Runs the statements of a call, for which a turn had only NeedsSql. The actor is busy until it is answered."""
        actor = call.actor
        self._router.hold(actor)
        jobs = [self._job(call)]
        if isinstance(call.operation, Execute | Query):
            self._take_along(actor, jobs, now_ms)
        group = _Group(actor, jobs, now_ms)
        self._groups.add(group)
        self._idle.clear()
        if not self._working:
            self._start_thread()
        self._queue.put(group)
        if self._watching is None:
            self._watching = self._loop.call_later(_WATCH_SECONDS, self._watch)

    def drop(self, database: bytes) -> None:
        """Closes a database that is no more. Its actor is not busy."""
        self.databases.drop(database)

    async def stop(self, refusal: Refusal) -> None:
        """Interrupts what runs, now and later, and waits for it, but not for a call that SQLite cannot interrupt."""
        self._stopping = refusal
        self._look()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.finish(), _STOP_SECONDS)

    async def finish(self) -> None:
        """Waits for what runs."""
        await self._idle.wait()

    def close(self) -> None:
        """Ends the threads and closes the databases. What runs on all the same ends with the process."""
        if self._watching is not None:
            self._watching.cancel()
        for _ in range(self._working):
            self._queue.put(None)
        self._working = 0
        if self._groups:
            _log.warning("statements run on that could not be interrupted", objects=len(self._groups))
            return
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self.databases.close()

    # Into a thread.

    def _job(self, call: Call) -> _Job:
        job = _Job(call, None if self._partition.disk.writable else self._router.disk_full())
        call.actor.statements += len(job.statements)
        return job

    def _take_along(self, actor: Actor, jobs: list[_Job], now_ms: int) -> None:
        """Takes what waits next and is nothing but SQL. One id is one request, so the second of a pair has to wait."""
        mailbox = actor.mailbox
        ids = {jobs[0].call.request_id}
        turn: Turn | None = None
        while mailbox and len(jobs) < _GROUP and isinstance(mailbox[0].operation, Execute | Query):
            if mailbox[0].request_id and mailbox[0].request_id in ids:
                return
            call = mailbox.popleft()
            self._router.taken(call)
            turn = turn or self._router.turn(now_ms)
            ids.add(call.request_id)
            if self._needs_sql(turn, call):
                jobs.append(self._job(call))

    def _needs_sql(self, turn: Turn, call: Call) -> bool:
        """Whether a call's statements are to run; if not, it is answered."""
        try:
            self._router.check(call)
            outcome: Reply | Refusal = _run(turn, call)
        except NeedsSql:
            return True
        except Refusal as refusal:
            outcome = refusal
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            outcome = internal_error("An operation failed.")
        self._router.gate.pass_on([(call, outcome, turn.gate)])
        return False

    def _start_thread(self) -> None:
        self._working += 1
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._work, name=f"petra-sql-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        """A worker thread."""
        while (group := self._queue.get()) is not None:
            try:
                _run_group(group, self.databases)
            finally:
                self._ended.append(group)
                if not self._told:
                    # One who comes between these two lines tells it as well, which does no harm.
                    self._told = True
                    try:
                        self._loop.call_soon_threadsafe(self._end_all)
                    except RuntimeError:  # the loop was closed without us: nobody waits any more
                        return

    # Back on the loop.

    def _end_all(self) -> None:
        # Before the deque is looked at: what is appended from now on is told again.
        self._told = False
        while self._ended:
            self._end(self._ended.popleft())

    def _end(self, group: _Group) -> None:
        actor = group.actor
        self._collect(group)
        for name in group.databases:
            self.databases.give_back(name, stored=group.failure is None)
        self._groups.discard(group)
        # What was not begun goes on later, in order.
        actor.mailbox.extendleft(reversed([job.call for job in group.jobs]))
        self._router.release(actor)
        if not self._groups:
            self._idle.set()

    def _collect(self, group: _Group) -> None:
        """Turns over what is done."""
        router, actor = self._router, group.actor
        while group.done:
            turn = router.turn(group.now_ms)
            answers: list[Answer] = []
            # A snapshot is to have what those before it wrote, so it is taken in a turn of its own.
            while group.done and not (answers and group.done[0].overflowed):
                job = group.done.popleft()
                answers.append((job.call, *self._answer(group, turn, job)))
                if job.overflowed:
                    break
            actor.turns += 1
            actor.operations += len(answers)
            if not router.conclude(turn, answers):
                self._fail(group)

    def _answer(self, group: _Group, turn: Turn, job: _Job) -> tuple[Reply | Refusal, int]:
        """The answer of a job, and the generation that it waits for."""
        done = job.outcome
        if done is None:
            return self._stopping or group.failure or time_up(), 0
        if isinstance(done, Refusal):
            # Perhaps of what it saw, such as a constraint.
            return job.placed(done), turn.gate_of(group.actor, job.database)
        if group.failure is not None:
            return group.failure, 0
        turn.sql, turn.sql_kept = done, False
        outcome: Reply | Refusal
        try:
            outcome = _run(turn, job.call)
        except Refusal as refusal:
            outcome = refusal
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            outcome = internal_error("An operation failed.")
        if isinstance(outcome, QueryReply) and job.overflowed:
            outcome = outcome._replace(snapshot=self._partition.engine.snapshot(group.actor.index))
        if not turn.sql_kept and (done.pages or done.gone_from):
            self._fail(group)
        generation = turn.gate
        if done.saw_entries:
            # As for all that reads more than single keys.
            generation = max(generation, group.actor.written_generation)
        return outcome, generation

    def _fail(self, group: _Group) -> None:
        """SQLite believes in what will not be stored."""
        group.failure = Refusal(
            Reason.OVERLOADED,
            "Something that this operation was built on could not be stored. Nothing of it was done. Try again.",
            retry_after_ms=1,
        )
        self._look()

    # The watch.

    def _watch(self) -> None:
        self._watching = None
        self._look()
        for group in list(self._groups):
            self._collect(group)
        self._fit_threads()
        if self._groups:
            self._watching = self._loop.call_later(_WATCH_SECONDS, self._watch)

    def _fit_threads(self) -> None:
        """As many threads as run something slow, and one for the rest: more would only contend for the interpreter."""
        slow = sum([group.current is not None and group.current is group.seen for group in self._groups])
        for group in self._groups:
            group.seen = group.current
        wanted = min(self._max_threads, slow + 1)
        if self._working < wanted:
            self._start_thread()
        elif self._working > wanted:
            self._working -= 1
            self._queue.put(None)

    def _look(self) -> None:
        """Interrupts what ought to end. What is between two steps now is interrupted when the watch comes again."""
        now = self._loop.time()
        for group in self._groups:
            job, database = group.current, group.running
            if job is None:
                continue
            job.started = job.started or now
            deadline = job.call.deadline
            if (
                job.call.withdrawn
                or (deadline is not None and deadline <= now)
                or job.started + self._max_seconds <= now
                or group.failure is not None
                or self._stopping is not None
            ):
                job.stop.requested = True
                if database is not None and group.current is job:
                    database.interrupt()


def _run(turn: Turn, call: Call) -> Reply:
    return turn.run(HANDLERS[type(call.operation)], call)


def time_up() -> Refusal:
    """What is told of statements that were interrupted."""
    return Refusal(
        Reason.DEADLINE_PASSED,
        "The time was up while the statements ran; nothing of them was done."
        " Allow more time up to the server's limit, look at their indexes, or do less at a time.",
    )


def readers(family: Source | Snapshot, database: bytes) -> tuple[ReadPage, ReadEntry]:
    """Reads the pages of a database, and the entries of its object."""
    get = family.get
    entries = KIND_ENTRY + database[1:]

    def read(number: int) -> bytes | None:
        return get(page_key(database, number))

    def read_entry(key: bytes) -> Record | None:
        data = get(entries + key)
        return None if data is None else unpack_record(data)

    return read, read_entry


def _run_group(group: _Group, databases: Databases) -> None:
    """In a thread: the jobs of a group, until one of them leaves its database of no use."""
    jobs = group.jobs
    while jobs and group.failure is None:
        job = jobs.popleft()
        group.current = job
        database = None
        try:
            group.databases.add(job.database)
            database = databases.take(job.database, *readers(group.actor.family, job.database))
            group.running = database
            _run_job(job, database, group.now_ms)
        except Refusal as refusal:
            job.outcome = refusal
        except Exception:  # noqa: BLE001 - a fault of ours; its caller is told
            job.outcome = internal_error("Statements failed.")
        group.current = group.running = None
        group.done.append(job)
        if database is not None and database.broken:
            return


def _run_job(job: _Job, database: Database, now_ms: int) -> None:
    """Raises Refusal, and faults."""
    while job.outcome is None:
        try:
            job.outcome = database.run(
                job.statements,
                job.stop,
                now_ms=now_ms,
                read_only=job.read_only,
                max_result_bytes=job.result_bytes,
                single=isinstance(job.call.operation, Query),
            )
        except Interrupted:
            if job.stop.requested:
                return
            # It was meant for the job before, which had just ended.
        except Refusal as refusal:
            if not job.result_bytes or refusal.reason is not Reason.RESULT_TOO_LARGE:
                raise
            # Its snapshot will show all entries.
            job.outcome = Outcome((), {}, 0, database.size_bytes, read_only=True, saw_entries=True)
            job.overflowed = True
