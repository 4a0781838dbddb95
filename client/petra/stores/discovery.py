"""Finds the migrations of a package: .sql files, and modules that say their statements. Pure, but for reading them.

A migration is called as its file is, without the ending, and migrations run in the order of their names. In a .sql
file statements have semicolons between them, and the last one needs none; a trigger with its BEGIN ... END is one.
"""

from __future__ import annotations

import importlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from types import ModuleType
from typing import Final

from petra.errors import InvalidArgument

# White space, comments and semicolons. Atomic, as a comment ends with the first of its ends.
_NOTHING: Final = re.compile(r"(?>[\s;]+|--[^\n]*|/\*(?>.*?\*/))*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Migration:
    """Statements that are to run once, and together. The checksum is another one when any of its text is."""

    name: str
    checksum: str
    statements: tuple[str, ...]


def find_migrations(package: str | ModuleType) -> tuple[Migration, ...]:
    """The migrations of a package, in the order of their names.

    Modules whose names begin with an underscore, and files of other kinds, are none. Raises ModuleNotFoundError, and
    InvalidArgument that names the file for one that cannot be a migration, and when two have one name.
    """
    found: dict[str, Migration] = {}
    for migration in _read(package):
        if migration.name in found:
            raise _refused(migration.name, "there are two with this name")
        found[migration.name] = migration
    return tuple(found[name] for name in sorted(found))


def split(text: str) -> list[str]:
    """The statements of a text. Raises ValueError when the last one has no end: an open string, comment or trigger."""
    statements, start, end = [], 0, 0
    while (end := text.find(";", end) + 1) > 0:
        if sqlite3.complete_statement(text[start:end]):
            statements.append(text[start:end])
            start = end
    rest = text[start:]
    if _NOTHING.fullmatch(rest) is None:
        if not sqlite3.complete_statement(f"{rest}\n;"):
            raise ValueError(f"the last statement has no end: {rest.strip():.80}")
        statements.append(rest)
    return [one.strip() for one in statements if _NOTHING.fullmatch(one) is None]


def _read(package: str | ModuleType) -> Iterator[Migration]:
    package_name = package if isinstance(package, str) else package.__name__
    for file in resources.files(package).iterdir():
        stem, dot, kind = file.name.rpartition(".")
        if not dot or not file.is_file():
            continue
        if kind == "sql":
            try:
                text = file.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise _refused(stem, "its file is not in UTF-8") from None
            # How lines end is up to version control.
            yield _migration(stem, [text.replace("\r\n", "\n")])
        elif kind == "py" and not stem.startswith("_"):
            yield _migration(stem, _texts(stem, importlib.import_module(f"{package_name}.{stem}")))


def _texts(name: str, module: ModuleType) -> Sequence[str]:
    given = getattr(module, "statements", None)
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise _refused(name, "a module has `statements`, a str or a list of them")
    return texts


def _migration(name: str, texts: Sequence[str]) -> Migration:
    # Whether the last line ends is up to editors.
    normal = [text.strip() for text in texts]
    try:
        statements = [statement for text in normal for statement in split(text)]
    except ValueError as error:
        raise _refused(name, str(error)) from None
    if not statements:
        raise _refused(name, "it has no statements")
    # With the lengths, so that no text can be moved from one statement into the next unseen.
    digest = sha256(b"".join(b"%d:%s" % (len(data), data) for data in map(str.encode, normal)))
    return Migration(name, digest.hexdigest(), tuple(statements))


def _refused(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"The migration {name!r} cannot be run: {why}.", field="package")
