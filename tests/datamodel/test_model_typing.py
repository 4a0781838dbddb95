"""The typical use of models works, and type checkers at their strictest have nothing to say about it, and are awake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from petra.testing import TestServer
from tests.client.test_typing import CHECKERS
from tests.datamodel import typical_models

# Wrong in one place each: what a type checker has to see, by words of its message, those of mypy or those of pyright.
MISTAKES = {
    "unknown-field-of-the-class": ("Page.titel", ["titel"]),
    "unknown-field-of-a-record": ("page.titel", ["titel"]),
    "wrong-type-of-a-field": ("page.words = [1]", ["list[int]"]),
    "wrong-type-in-the-constructor": ('Page(title=["x"])', ["list[str]"]),
    "missing-field": ("Page(words=1)", ['"title"']),
    "wrong-word-of-a-literal": ('page.status = "lost"', ["lost"]),
    "unknown-option": ("await page.save(over=True)", ["over"]),
    "result-may-be-none": ('(await Page.using(store).get("id")).title', ["None"]),
    "a-model-on-a-client": ("Page.using(client)", ["AsyncClient"]),
    "records-are-records": ("(await page.save()).upper()", ["upper"]),
    "get-of-the-class-takes-a-store": (
        'await DataModel.get("P", "id")',
        ['argument "store"', 'missing for parameter "store"'],
    ),
    "get-of-a-record-takes-a-name": ('record.get("P", "id", store)', ["Too many arguments", "Expected 1 positional"]),
}
PROGRAM = """from __future__ import annotations

from typing import Literal

from petra import AsyncClient
from petra.datamodel import DataModel, Model
from petra.datastore import Store


class Page(Model):
    title: str
    words: int = 0
    status: Literal["draft", "done"] = "draft"


async def main(client: AsyncClient, store: Store, page: Page, record: DataModel) -> None:
    {line}
"""


def test_the_typical_use_with_asyncio(server: TestServer, namespace: str) -> None:
    asyncio.run(typical_models.use_asyncio(server.address, namespace))


def test_the_typical_use_with_threads(server: TestServer, namespace: str) -> None:
    typical_models.use_blocking(server.address, namespace)


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_typical_use_has_no_type_errors(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    assert checker(Path(typical_models.__file__), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_mistakes_are_type_errors(checker: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    file = tmp_path / "given" / "mistakes.py"
    file.parent.mkdir()
    file.write_text(PROGRAM.format(line="\n    ".join(line for line, _ in MISTAKES.values())))
    messages = checker(file, tmp_path)
    unseen = [
        name
        for name, (_, words) in MISTAKES.items()
        if not any(word in message for message in messages for word in words)
    ]
    assert not unseen, messages
