"""Writes the blocking twins of the data layers: client/petra/sync/X from client/petra/X, without async and await.

A module with a coroutine in it has a twin, and so has one that imports such a module; both import what they need from
where that is (`from petra.client import AsyncClient`). Any other one is pure, and both trees import it. The two trees
of the client itself are written by hand, so names are translated between them. `--check` writes nothing and tells what
is not up to date. (The package unasync translates names token by token as well, but neither module paths nor
docstrings.)
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

CLIENT = Path("client/petra")
PACKAGES = ("ratelimit", "sessions", "auth", "stores", "datastore", "datamodel")
# Modules for ASGI, which has no blocking form. The __init__ of a package does not export them.
ASYNC_ONLY = "asgi"

_NAMES = {
    "AsyncClient": "Client",
    "AsyncEntries": "Entries",
    "AsyncNamespace": "Namespace",
    "AsyncObject": "Object",
    "AsyncPipeline": "Pipeline",
    "AsyncTransaction": "Transaction",
    "AsyncSql": "Sql",
    "AsyncRows": "Rows",
    "AsyncIterator": "Iterator",
    "AsyncIterable": "Iterable",
    "AsyncGenerator": "Generator",
    "AsyncExitStack": "ExitStack",
    "asynccontextmanager": "contextmanager",
    "aclosing": "closing",
    "aclose": "close",
    "anext": "next",
    "aiter": "iter",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
_WORD = re.compile(r"\b(?:([Aa])n )?(" + "|".join(_NAMES) + r")\b")
_KEYWORDS = re.compile(r"\b(?:async (?=def|with|for)|await )")
# Where functions of users are decorated: `T | Awaitable[T]`, `Awaitable[T]` and `Coroutine[Any, Any, T]` are T.
_PROMISES = re.compile(r"\b(?:(\w+) \| Awaitable\[\1\]|Awaitable\[(\w+)\]|Coroutine\[Any, Any, (\w+)\])")
_FROM = re.compile(r"^\s*from (petra(?:\.\w+)+) import", re.MULTILINE)
# Modules of the client that exist in both trees, by hand.
_HAND_WRITTEN = ("client", "database", "objects", "rows", "transaction", "_waiting")


def main(arguments: list[str]) -> int:
    """Writes the twins, or with `--check` compares them."""
    check = "--check" in arguments
    sources = {package: sorted((CLIENT / package).rglob("*.py")) for package in PACKAGES}
    modules = {f"petra.{name}" for name in _HAND_WRITTEN}.union(*map(twinned, sources.values()))
    wanted = {path: text for package in sources.values() for path, text in twins(package, modules)}
    present = {path for package in PACKAGES for path in (CLIENT / "sync" / package).rglob("*.py")}
    wrong = [path for path, text in wanted.items() if path not in present or path.read_text() != text]
    extra = sorted(present - set(wanted))
    if check:
        for path in [*wrong, *extra]:
            sys.stderr.write(f"{path} is not what its source says: run make blocking\n")
        return 1 if wrong or extra else 0
    for path in wrong:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    for path in extra:
        path.unlink()
    return 0


def twinned(sources: Sequence[Path]) -> dict[str, Path]:
    """The modules of a package that have twins, by their names.

    Those are the ones that await, those that import any of these, and the __init__ if there are some.
    """
    texts = {path: path.read_text() for path in sources if path.stem != ASYNC_ONLY}
    found = {path for path, text in texts.items() if _awaits(text)}
    more = found
    while more:
        names = {_module(path) for path in found}
        more = {path for path, text in texts.items() if names.intersection(_FROM.findall(text))} - found
        found |= more
    inits = {path for path in sources if found and path.name == "__init__.py"}
    return {_module(path): path for path in sorted(found | inits)}


def twins(sources: Sequence[Path], modules: Set[str]) -> Iterator[tuple[Path, str]]:
    """The twins of a package, by their paths. `modules` are all that have a twin, in any package."""
    for path in twinned(sources).values():
        twin = CLIENT / "sync" / path.relative_to(CLIENT)
        yield twin, formatted(blocking(path.read_text(), modules, path.relative_to(CLIENT.parent)), twin)


def blocking(source: str, modules: Set[str], origin: Path) -> str:
    """The same module without coroutines. `modules` are those that have a twin."""
    text = _WORD.sub(_other_name, _KEYWORDS.sub("", source))
    text = _PROMISES.sub(lambda match: match[1] or match[2] or match[3], text)

    def place(match: re.Match[str]) -> str:
        return match[0].replace("petra.", "petra.sync.", 1) if match[1] in modules else match[0]

    text = _FROM.sub(place, text)
    return f"# Written by tools/blocking.py from {origin.as_posix()}: change that, and run make blocking.\n{text}"


def _other_name(match: re.Match[str]) -> str:
    """The name of the other tree, with the article that it needs."""
    article, name = match[1], _NAMES[match[2]]
    if article is None:
        return name
    return f"{article}n {name}" if name[0] in "AEIOU" else f"{article} {name}"


def formatted(text: str, path: Path) -> str:
    """As ruff leaves it, with its imports in order: names have other lengths here."""
    name = ["--stdin-filename", str(path), "-"]
    for command in (["check", "--fix-only", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ruff", *command, *name], input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    return text


def _awaits(source: str) -> bool:
    kinds = ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(source)))


def _module(path: Path) -> str:
    parts = path.relative_to(CLIENT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
