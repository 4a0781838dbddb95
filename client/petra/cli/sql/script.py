"""Runs files of statements.

Statements are sent in portions, each of which is one step. A portion that fails is sent again without the statement
that failed, so what is before that is done and nothing else is. What the file puts between BEGIN and COMMIT is one
step, unless it is too large for one, which is said. An atomic script is one step as a whole.

In a file that turns foreign keys off, as dumps do, they are looked at when a step ends instead of after each statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from petra.cli.group import CannotRun
from petra.cli.running import OTHER_ERROR, WRONG_USAGE, exit_code, sentence
from petra.cli.sql.printers import noted
from petra.cli.sql.session import READING, Session, sendable
from petra.cli.sql.splitting import Piece, Splitter, ended
from petra.errors import PetraError
from petra.sql import Result, Statement

# Less than a request may have, and little enough to change fewer pages than a request may.
_PORTION_STATEMENTS: Final = 1_000
_PORTION_CHARACTERS: Final = 1 << 20
# No server takes as much in one step, unless its limits are raised a lot.
_STEP_CHARACTERS: Final = 256 << 20

_BEGIN: Final = re.compile(r"BEGIN(\s+(DEFERRED|IMMEDIATE|EXCLUSIVE))?(\s+TRANSACTION)?\s*;?", re.IGNORECASE)
_COMMIT: Final = re.compile(r"(COMMIT|END)(\s+TRANSACTION)?\s*;?", re.IGNORECASE)
_FOREIGN_KEYS: Final = re.compile(r"PRAGMA\s+foreign_keys\s*=\s*(\w+)\s*;?", re.IGNORECASE)
_OFF: Final = ("OFF", "NO", "FALSE", "0")
_DEFER: Final = Statement("PRAGMA defer_foreign_keys = ON")

_TOO_LARGE: Final = ("SQL_TOO_LARGE", "RESULT_TOO_LARGE", "MESSAGE_TOO_LARGE")
_PLACE: Final = re.compile(r"statements\[(\d+)\].*")


class _Numbered(NamedTuple):
    number: int
    piece: Piece


class Script:
    """One file, run once."""

    def __init__(self, session: Session, name: str, *, atomic: bool, run_dot: Callable[[str], None]) -> None:
        """`name` is what errors call the file; `run_dot` runs a line that begins with a dot."""
        self._session = session
        self._name = name
        self._atomic = atomic
        self._run_dot = run_dot
        self._splitter = Splitter()
        # What was read and is not done.
        self._portion: list[_Numbered] = []
        self._characters = 0
        # The line of the BEGIN whose COMMIT was not read, 0 for none, and whether it is done in portions.
        self._transaction_line = 0
        self._cut = False
        # Whether foreign keys are looked at when a step ends.
        self._deferred = False
        # All that was read and done.
        self._number = 0
        self._done = 0
        self._changes = 0

    def run(self, lines: Iterable[bytes]) -> None:
        """Runs the statements of a file. Raises CannotRun, which says where and why and what is done."""
        with self._session.timed():
            for number, line in enumerate(lines, 1):
                text = self._decoded(line, number)
                if self._splitter.idle and text.lstrip().startswith("."):
                    self._dot(text, number)
                    text = "\n"
                for piece in self._splitter.feed(text):
                    self._take(piece)
            last = self._splitter.rest()
            if last is not None:
                self._take(last)
            if self._transaction_line:
                raise CannotRun(
                    f"{self._name}: the transaction that begins in line {self._transaction_line} has no COMMIT, so its"
                    f" end is missing.{self._done_before()}",
                    OTHER_ERROR,
                )
            self._flush()
            self._session.printer.report({"statements": self._done, "changes": self._changes})

    def _decoded(self, line: bytes, number: int) -> str:
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise CannotRun(f"{self._name}: line {number} is not valid UTF-8.{self._done_before()}", 5) from None

    def _dot(self, text: str, line: int) -> None:
        if self._atomic:
            raise CannotRun(f"{self._name}: line {line}: an atomic script has no dot commands.", WRONG_USAGE)
        self._flush()
        try:
            self._run_dot(text)
        except PetraError as error:
            raise CannotRun(f"{self._name}: line {line}: {sentence(str(error))}", exit_code(error)) from None
        except CannotRun as error:
            raise CannotRun(f"{self._name}: line {line}: {error.message}", error.exit_code) from None

    def _take(self, piece: Piece) -> None:
        self._number += 1
        if self._is_about_transactions(piece):
            return
        numbered = _Numbered(self._number, piece)
        together = self._atomic or self._transaction_line
        if self._session.readonly or (piece.word in READING and not together):
            self._flush()
            self._run_alone(numbered)
            return
        full = self._characters + len(piece.text) > _PORTION_CHARACTERS or len(self._portion) >= _PORTION_STATEMENTS
        if self._atomic:
            if self._characters > _STEP_CHARACTERS:
                raise CannotRun(f"{self._name} is longer than one step can be. Nothing was changed.", WRONG_USAGE)
        elif self._portion and full:
            if self._transaction_line and not self._cut:
                self._cut = True
                noted(
                    f"the transaction that begins in line {self._transaction_line} is too long for one step: it is done"
                    " in several."
                )
            self._flush()
        self._portion.append(numbered)
        self._characters += len(piece.text)

    def _is_about_transactions(self, piece: Piece) -> bool:
        """Takes BEGIN, COMMIT, and what turns foreign keys off and on: the steps are ours."""
        if piece.word == "PRAGMA" and (match := _FOREIGN_KEYS.fullmatch(piece.text)):
            self._flush(between=True)
            self._deferred = match[1].upper() in _OFF
            return True
        if _BEGIN.fullmatch(piece.text) and not self._transaction_line:
            self._flush(between=True)
            self._transaction_line, self._cut = piece.line, False
            return True
        if _COMMIT.fullmatch(piece.text) and self._transaction_line:
            self._flush(between=True)
            self._transaction_line = 0
            return True
        return False

    def _run_alone(self, numbered: _Numbered) -> None:
        try:
            self._session.run(numbered.piece)
        except PetraError as error:
            raise self._failed([numbered], error) from None
        self._done += 1

    # Portions.

    def _flush(self, *, between: bool = False) -> None:
        """Does what was read; `between` two parts of the file, which are one where it is atomic."""
        if between and self._atomic:
            return
        portion, self._portion, self._characters = self._portion, [], 0
        if portion:
            self._send(portion)

    def _send(self, portion: Sequence[_Numbered]) -> None:
        while portion:
            try:
                self._finish(portion, self._session.batch(self._statements(portion)))
                return
            except PetraError as error:
                place = self._place(portion, error)
                if self._atomic or (self._transaction_line and not self._cut):
                    raise self._failed(portion[place] if place else portion, error) from None
                before = self._before(portion, place, error)
                if not before:
                    raise self._failed(portion[place] if place else portion, error) from None
                # It changed nothing, so this much of it can be done by itself.
                self._send(portion[:before])
                if error.reason not in _TOO_LARGE:
                    raise self._failed(portion[place] if place else portion, error) from None
                portion = portion[before:]

    def _before(self, portion: Sequence[_Numbered], place: slice | None, error: PetraError) -> int:
        """How many statements of a portion that failed are done before what failed."""
        if place is not None and place.start:
            return int(place.start)
        return len(portion) // 2 if place is None and error.reason in _TOO_LARGE else 0

    def _statements(self, portion: Sequence[_Numbered]) -> Iterator[Statement]:
        if self._deferred:
            yield _DEFER
        width = _width(portion)
        for at in range(0, len(portion), width):
            parts = [
                sendable(each.piece.text if width == 1 else ended(each.piece.text)) for each in portion[at:][:width]
            ]
            yield Statement("\n".join([part.sql for part in parts]), [value for part in parts for value in part.params])

    def _place(self, portion: Sequence[_Numbered], error: PetraError) -> slice | None:
        """What of a portion has failed; None when it is not known."""
        match = _PLACE.fullmatch(getattr(error, "field", ""))
        if match is None:
            return None
        width = _width(portion)
        start = (int(match[1]) - self._deferred) * width
        return slice(start, start + width)

    def _finish(self, portion: Sequence[_Numbered], results: Sequence[Result]) -> None:
        self._done += len(portion)
        for result in results:
            self._changes += result.changes
            self._session.print_result(result)

    def _failed(self, failed: Sequence[_Numbered], error: PetraError) -> CannotRun:
        first, last = failed[0], failed[-1]
        if first is last:
            where = f"statement {first.number}, line {first.piece.line}"
        else:
            where = f"statements {first.number} to {last.number}, lines {first.piece.line} to {last.piece.line}"
        message = sentence(str(error))
        done = self._done_before()
        if done:
            message = message.replace(" Nothing was changed.", "")
        return CannotRun(f"{self._name}: {where}: {message}{done}", exit_code(error))

    def _done_before(self) -> str:
        if not self._done:
            return ""
        return f" What is before it is done: {self._done:,} statement{'s' if self._done != 1 else ''}."


def _width(portion: Sequence[_Numbered]) -> int:
    """How many statements go together as one text, so that there are no more texts than a request may have."""
    return -(-len(portion) // _PORTION_STATEMENTS)
