"""Splits text into SQL statements, as SQLite's own shell does. Pure.

A statement ends with a semicolon outside of strings, quoted names and comments; one that makes a trigger ends with the
semicolon after the END of its body. Text is given line by line, so memory holds no more than the statement that is not
complete yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_SPACE: Final = " \t\n\f\r"
# What matters before it is known what kind of statement it is, and in the bodies of triggers.
_TOKEN: Final = re.compile(r"--|/\*|['\"`\[;]|[\w$\x80-\U0010ffff]+|[^ \t\n\f\r]")
# What matters in all others.
_MARK: Final = re.compile(r"--|/\*|['\"`\[;]")
_CLOSING: Final = {"--": "\n", "/*": "*/", "'": "'", '"': '"', "`": "`", "[": "]"}
_COMMENTS: Final = ("--", "/*")


class _At(Enum):
    """Where in a statement a token stands."""

    START = auto()
    # Behind EXPLAIN, which may be followed by what makes a trigger.
    EXPLAIN = auto()
    # Behind CREATE, and behind TEMP after it.
    CREATE = auto()
    PLAIN = auto()
    # In what makes a trigger: anywhere, behind a semicolon, behind the END after that.
    TRIGGER = auto()
    SEMICOLON = auto()
    END = auto()


# Where the next token stands, by the token; "" is for all others.
_STEPS: Final[Mapping[_At, Mapping[str, _At]]] = {
    _At.START: {"EXPLAIN": _At.EXPLAIN, "CREATE": _At.CREATE, ";": _At.START, "": _At.PLAIN},
    _At.EXPLAIN: {
        **dict.fromkeys(("EXPLAIN", "TEMP", "TEMPORARY", "TRIGGER", "END"), _At.PLAIN),
        "CREATE": _At.CREATE,
        ";": _At.START,
        "": _At.EXPLAIN,
    },
    _At.CREATE: {
        "TEMP": _At.CREATE,
        "TEMPORARY": _At.CREATE,
        "TRIGGER": _At.TRIGGER,
        ";": _At.START,
        "": _At.PLAIN,
    },
    _At.PLAIN: {";": _At.START, "": _At.PLAIN},
    _At.TRIGGER: {";": _At.SEMICOLON, "": _At.TRIGGER},
    _At.SEMICOLON: {";": _At.SEMICOLON, "END": _At.END, "": _At.TRIGGER},
    _At.END: {";": _At.START, "": _At.TRIGGER},
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement: its text, the line that it begins in, and its first word in capitals."""

    text: str
    line: int
    word: str


class Splitter:
    """Takes text and gives statements."""

    def __init__(self) -> None:
        self._line = 1
        self.clear()

    def clear(self) -> None:
        """Forgets what was begun."""
        self._at = _At.START
        # The delimiter that ends a string, a quoted name or a comment that is open.
        self._closing = ""
        self._in_comment = False
        # Of the statement that was begun.
        self._parts: list[str] = []
        self._first_line = 0
        self._word = ""

    @property
    def idle(self) -> bool:
        """Whether nothing was begun, not even a comment."""
        return not (self._parts or self._closing)

    @property
    def open_comment(self) -> str:
        """What ends the comment that is open; empty when none is."""
        return self._closing if self._in_comment else ""

    def feed(self, text: str) -> list[Piece]:
        """Takes whole lines, and gives the statements that are complete with them."""
        found: list[Piece] = []
        start = at = 0
        while at < len(text):
            if self._closing:
                at = self._close(text, at)
                continue
            match = (_MARK if self._at is _At.PLAIN else _TOKEN).search(text, at)
            if match is None:
                break
            token, at = match[0], match.end()
            if token in _COMMENTS:
                self._closing, self._in_comment = _CLOSING[token], True
                continue
            if not self._parts:
                start = match.start()
                self._first_line = self._line + text.count("\n", 0, start)
                self._parts.append("")
                self._word = token.upper()
            if self._takes(token):
                self._parts.append(text[start:at])
                found += self._complete()
                start = at
        if self._parts:
            self._parts.append(text[start:])
        self._line += text.count("\n")
        return found

    def rest(self) -> Piece | None:
        """What is left at the end of the text, which needs no semicolon there; None for nothing."""
        text = "".join(self._parts).rstrip(_SPACE)
        piece = Piece(text, self._first_line, self._word) if text else None
        self.clear()
        return piece

    def _close(self, text: str, at: int) -> int:
        """Where what is open ends, or the text."""
        end = text.find(self._closing, at)
        if end < 0:
            return len(text)
        at = end + len(self._closing)
        self._closing, self._in_comment = "", False
        return at

    def _takes(self, token: str) -> bool:
        """Takes a token, and says whether the statement is complete with it."""
        word = token.upper()
        if token in _CLOSING:
            self._closing = _CLOSING[token]
        steps = _STEPS[self._at]
        self._at = steps.get(word, steps[""])
        return word == ";" and self._at is _At.START

    def _complete(self) -> list[Piece]:
        text = "".join(self._parts)
        piece = Piece(text, self._first_line, self._word)
        self.clear()
        # A semicolon alone is none.
        return [] if text == ";" else [piece]


def split(text: str) -> list[Piece]:
    """The statements of a whole text. The last one needs no semicolon."""
    splitter = Splitter()
    pieces = splitter.feed(text)
    last = splitter.rest()
    return pieces if last is None else [*pieces, last]


def ended(text: str) -> str:
    """A statement with its semicolon, outside of a comment that may end it."""
    splitter = Splitter()
    if splitter.feed(text):
        return text
    comment = splitter.open_comment
    return f"{text}{comment};" if comment else f"{text};"
