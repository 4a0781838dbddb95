"""The output gate: an answer leaves when everything that it depends on is on disk.

An answer depends on the newest generation of which it shows something: a write on its own, a read on the one that
wrote what it saw, be it a value, a version or an absence. So nobody ever acts on what a crash could still take back.
BUFFERED writes are let through at once by themselves, and so are reads of them.

It knows the keys written in the open generation and in the one being flushed; all others are durable. Loop thread
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from petra_server.actor.call import Call
from petra_server.actor.operations import Reply
from petra_server.errors import Refusal, StorageFailed
from petra_server.storage.committer import Committer


class OutputGate:
    """Holds answers back until their generation is durable."""

    def __init__(self, committer: Committer, on_failure: Callable[[StorageFailed], None]) -> None:
        self._committer = committer
        self._on_failure = on_failure
        # Keys written in the open generation, and in the one that is being flushed. Read by turns.
        self.open_generation = committer.open_generation
        self.open_keys: set[bytes] = set()
        self.flushing_keys: set[bytes] = set()
        self._open_answers: list[tuple[Call, Reply | Refusal]] = []
        self._flushing_answers: list[tuple[Call, Reply | Refusal]] = []

    def wrote(self, keys: set[bytes]) -> None:
        """These keys have a new state that is to be shown only when durable."""
        self.open_keys |= keys

    def pending(self, generation: int) -> int:
        """The generation itself, or 0 when it is durable already."""
        return generation if generation > self._committer.durable_generation else 0

    def pass_on(self, answers: Iterable[tuple[Call, Reply | Refusal, int]]) -> None:
        """Answers each call when its generation is durable, at once for 0."""
        committer = self._committer
        durable_generation = committer.durable_generation
        waiting = 0
        for call, outcome, generation in answers:
            if generation <= durable_generation:
                call.answer(outcome)
            elif committer.failure is not None:
                call.answer(committer.failure)
            elif generation == self.open_generation:
                self._open_answers.append((call, outcome))
                waiting += 1
            else:
                self._flushing_answers.append((call, outcome))
        if waiting:
            committer.flush(waiting)

    # From the committer.

    def generation_closed(self) -> None:
        self.open_generation = self._committer.open_generation
        self.flushing_keys, self.open_keys = self.open_keys, set()
        self._flushing_answers, self._open_answers = self._open_answers, []

    def generation_durable(self) -> Callable[[], None]:
        answers, self._flushing_answers = self._flushing_answers, []
        self.flushing_keys = set()

        def answer() -> None:
            for call, outcome in answers:
                call.answer(outcome)

        return answer

    def commit_failed(self, failure: StorageFailed) -> None:
        answers = self._flushing_answers + self._open_answers
        self._flushing_answers, self._open_answers = [], []
        for call, _ in answers:
            call.answer(failure)
        self._on_failure(failure)
