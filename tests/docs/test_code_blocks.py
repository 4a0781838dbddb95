"""Every code block in the documents works: Python runs against a real server, settings load, commands exist.

The curl commands of a document are run in their order as well, and the block of `json` after one is its last answer.

The Python blocks of a document are one session with a server of its own. `print(...)  # text` must print that text; a
block without such comments prints what the block of `text` after it shows. A block that begins with the name of a file
(`# test_shop.py`) is that file; if it holds tests, pytest runs them.

A fence in a language that nothing here can run fails, so that no block escapes. What is no code (a diagram, an output)
is fenced as `text`.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from petra_server.settings_catalogue import CATALOGUE
from tests.docs.session import Session
from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HTTP_ADDRESS = "127.0.0.1:7476"
# Of an answer, what is another one each time.
VARYING = {"cursor", "expiresAtMs"}
ADDRESS = re.compile(r"(localhost|127\.0\.0\.1):7475")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced or indented block of a document, and the first line of it."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass(slots=True)
class Stage:
    """Where the blocks of a document run: an empty folder, a server to be talked to, and a Python session."""

    folder: Path
    server: ServerProcess
    session: Session
    # Python blocks that were run, each with what it printed.
    outputs: dict[Block, str] = field(default_factory=dict)
    # The last answers of blocks with curl.
    answers: dict[Block, object] = field(default_factory=dict)


def blocks_of(document: Path) -> list[Block]:
    tokens = MarkdownIt().parse(document.read_text())
    return [
        Block(document, (token.map or [0])[0] + 1, token.info.strip(), token.content)
        for token in tokens
        if token.type in {"fence", "code_block"}
    ]


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]


def run_python(block: Block, stage: Stage) -> None:
    """Runs the block after those before it in the document."""
    if block.document.parent.name == "integrations" and (missing := missing_packages(block.document)):
        pytest.skip(f"{block} needs {', '.join(missing)}: pip install --group integrations")
    for each in BLOCKS:
        if each.document == block.document and each.language == "python" and each.line <= block.line:
            name = file_name(each)
            if name is not None:
                (stage.folder / name).write_text(each.text)
            elif each not in stage.outputs:
                outcome = stage.session.run(str(each), ADDRESS.sub(stage.server.address, each.text))
                assert not outcome.error, outcome.error
                stage.outputs[each] = outcome.output
    name = file_name(block)
    if name is None:
        assert stage.outputs[block].splitlines() == promised_output(block)
    elif name.startswith("test_"):
        run_tests(block, name, stage)


def missing_packages(document: Path) -> list[str]:
    """What a document imports and is not installed here."""
    nodes = [
        node for each in blocks_of(document) if each.language == "python" for node in ast.walk(ast.parse(each.text))
    ]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return sorted(name for name in {each.partition(".")[0] for each in names} if find_spec(name) is None)


def promised_output(block: Block) -> list[str]:
    """The lines that a block is to print, by its comments, or by the block of text after it."""
    lines = re.findall(r"^\s*print\(.*\)  # (.*)$", block.text, flags=re.MULTILINE)
    after = BLOCKS[BLOCKS.index(block) + 1 :][:1]
    if not lines and "print(" in block.text and after and after[0].language == "text":
        return after[0].text.splitlines()
    return lines


def file_name(block: Block) -> str | None:
    """The name of the file that a block is."""
    match = re.match(r"# (\w+\.py)\n", block.text)
    return match[1] if match else None


def run_tests(block: Block, name: str, stage: Stage) -> None:
    """Runs a file of tests, as a user's: all of them pass, and nothing warns."""
    options = ["-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    for plugin, mark in (("pytest_asyncio", "pytest.mark.asyncio"), ("anyio", "pytest.mark.anyio")):
        if mark in block.text and find_spec(plugin) is None:
            pytest.skip(f"{block} needs {plugin}, which is not installed")
    if find_spec("pytest_asyncio") is None:
        del options[-2:]
    result = run([sys.executable, "-m", "pytest", "-q", *options, name], stage.folder)
    assert re.search(r"^[1-9][0-9]* passed in", result.stdout, flags=re.MULTILINE), result.stdout


def load_settings(block: Block, stage: Stage) -> None:
    """`petra config` takes the block as its file and reports every key of it as set there."""
    write_settings(block, stage.folder)
    result = run_petra(["config", "--config", "petra.toml"], stage)
    for key in tomllib.loads(block.text):
        assert re.search(rf"^{key}\b.*petra\.toml", result.stdout, flags=re.MULTILINE), f"{key}: {result.stdout}"


def run_console(block: Block, stage: Stage) -> None:
    """Every line is a `$ command`: outputs belong into a block of their own."""
    for line in block.text.splitlines():
        assert line.startswith("$ "), f"{block}: not a `$ command`: {line}"
        run_command(line.removeprefix("$ "), block, stage)


def run_shell(block: Block, stage: Stage) -> None:
    if "curl " in block.text:
        run_curl(block, stage)
        return
    for line in block.text.splitlines():
        if line.strip() and not line.startswith("#"):
            run_command(line, block, stage)


def run_curl(block: Block, stage: Stage) -> None:
    """Runs the commands after those of the blocks before, and compares what the last one was answered."""
    if shutil.which("curl") is None:
        pytest.skip("the commands of the documents are not tried: there is no curl here")
    for each in BLOCKS:
        earlier = each.document == block.document and each.line <= block.line and each not in stage.answers
        if earlier and each.language == "bash" and "curl " in each.text:
            for line in each.text.splitlines():
                program, *arguments = shlex.split(line.replace(HTTP_ADDRESS, stage.server.start_line["http"]))
                assert program == "curl", f"{each}: {line}"
                quiet = ["--silent", "--show-error", "--noproxy", "*"]
                stage.answers[each] = json.loads(run([program, *quiet, *arguments], stage.folder).stdout)
    after = BLOCKS[BLOCKS.index(block) + 1 :][:1]
    assert after, f"{block}: there is no answer after it"
    assert after[0].language == "json", f"{block}: there is no answer after it"
    assert without_varying(stage.answers[block]) == without_varying(json.loads(after[0].text))


def without_varying(answer: object) -> object:
    """An answer with its types in place of what varies."""
    if isinstance(answer, list):
        return [without_varying(each) for each in answer]
    if isinstance(answer, dict):
        return {
            name: type(each).__name__ if name in VARYING else without_varying(each) for name, each in answer.items()
        }
    return answer


def run_command(line: str, block: Block, stage: Stage) -> None:
    words = shlex.split(line)
    variables: dict[str, str] = {}
    while words and re.fullmatch(r"\w+=.*", words[0]):
        name, _, variables[name] = words.pop(0).partition("=")
    program, *arguments = words
    assert program in COMMANDS, f"{block}: no test knows how to try {program!r}"
    COMMANDS[program](arguments, variables, block, stage)


def try_make(arguments: list[str], variables: dict[str, str], block: Block, stage: Stage) -> None:
    """The targets and variables are those of the Makefile. Not run: some would run these tests."""
    makefile = (ROOT / "Makefile").read_text()
    for argument in arguments:
        name, assigns, _ = argument.partition("=")
        pattern = rf"^{re.escape(name)} \?=" if assigns else rf"^{re.escape(name)}:"
        assert re.search(pattern, makefile, flags=re.MULTILINE), f"{block}: the Makefile has no {name}"
    assert not variables


def try_petra(arguments: list[str], variables: dict[str, str], block: Block, stage: Stage) -> None:
    """Runs it; `petra serve` until it serves, on a free port and in a new folder."""
    for other in blocks_of(block.document):
        if other.language == "toml":
            write_settings(other, stage.folder)
    if arguments[0] not in {"serve", "config"}:
        run(
            [sys.executable, "-m", "petra.cli", *arguments],
            stage.folder,
            {"PETRA_ADDRESS": stage.server.address, **variables},
        )
        return
    if arguments[0] == "config":
        run_petra(arguments, stage, variables)
        return
    run_petra(["config", *arguments[1:]], stage, variables)
    given = [argument.replace("petra.toml", str(stage.folder / "petra.toml")) for argument in arguments[1:]]
    with ServerProcess(stage.folder / "data", *without_place(given), env=variables) as server:
        assert server.terminate() == 0


def without_place(arguments: list[str]) -> Iterator[str]:
    """Leaves out --data and --listen, which ServerProcess gives itself; HTTP is on a free port."""
    words = iter(arguments)
    for word in words:
        if word in {"--data", "--listen"}:
            next(words)
        elif word == "--http":
            next(words)
            yield from ("--http", "127.0.0.1:0")
        elif not word.startswith(("--data=", "--listen=")):
            yield word


def try_pip(arguments: list[str], variables: dict[str, str], block: Block, stage: Stage) -> None:
    """Not run, as it needs Petra's release: the extras are those of pyproject.toml."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert arguments[0] == "install", f"{block}: pip {arguments[0]}"
    for argument in arguments[1:]:
        match = re.fullmatch(r"petra(?:\[([\w,-]+)\])?", argument)
        assert match, f"{block}: no package of this project: {argument}"
        assert match[1] is None or set(match[1].split(",")) <= extras.keys(), f"{block}: no extra of Petra: {argument}"
    assert not variables


def try_docker(arguments: list[str], variables: dict[str, str], block: Block, stage: Stage) -> None:
    """There may be no engine here: ports, volumes and variables are compared with the Dockerfile."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert arguments[0] in {"build", "run"}, f"{block}: docker {arguments[0]}"
    for option, value in pairwise(arguments):
        if option in {"-p", "--publish"}:
            assert f"EXPOSE {value.rpartition(':')[2]}\n" in dockerfile, f"{block}: port of {value}"
        if option in {"-v", "--volume"}:
            assert f"VOLUME {value.partition(':')[2]}\n" in dockerfile, f"{block}: volume of {value}"
        if option in {"-e", "--env"}:
            assert value.partition("=")[0].removeprefix("PETRA_").lower() in CATALOGUE, f"{block}: {value}"
    assert not variables


def write_settings(block: Block, folder: Path) -> None:
    (folder / "petra.toml").write_text(block.text)


def run_petra(
    arguments: list[str], stage: Stage, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "petra_server", *arguments], stage.folder, variables)


def run(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, cwd=folder, env=os.environ | (variables or {}), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


COMMANDS: dict[str, Callable[[list[str], dict[str, str], Block, Stage], None]] = {
    "docker": try_docker,
    "make": try_make,
    "petra": try_petra,
    "pip": try_pip,
}

RUNNERS: dict[str, Callable[[Block, Stage], None]] = {
    "bash": run_shell,
    "console": run_console,
    # It is the answer to the commands before it.
    "json": lambda block, stage: None,
    "python": run_python,
    "sh": run_shell,
    "shell": run_shell,
    "text": lambda block, stage: None,
    "toml": load_settings,
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Stage]]:
    """The stage of each document, which is set up for its first block."""
    with ExitStack() as open_stages:
        made: dict[Path, Stage] = {}

        def stage_of(document: Path) -> Stage:
            if document not in made:
                folder = tmp_path_factory.mktemp(document.stem)
                server = open_stages.enter_context(
                    ServerProcess(tmp_path_factory.mktemp("server") / "data", "--http", "127.0.0.1:0")
                )
                made[document] = Stage(folder, server, open_stages.enter_context(Session(folder)))
            return made[document]

        yield stage_of


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_block_works(block: Block, stages: Callable[[Path], Stage]) -> None:
    assert block.language in RUNNERS, f"{block}: {block.language or 'no language'}: one of {', '.join(RUNNERS)}"
    RUNNERS[block.language](block, stages(block.document))


def test_the_documents_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md"} <= {document.name for document in DOCUMENTS}
    assert any(block.language == "python" for block in BLOCKS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing, f"{document.name} links to {missing}"
