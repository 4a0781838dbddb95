"""Runs the tests of the libraries that petra.integrations has adapters for, against these adapters and a real server.

`python -m tests.integrations.upstream [NAME ...]` prints for each suite how many tests passed, failed and were skipped,
and the reason of each skip. It ends with 1 when one failed, and with 2 when one could not be run. The sources are
fetched as they were released; `--source NAME=FOLDER` takes those of a suite from a folder instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.integrations.upstream.outcome import Outcome, read_report
from tests.integrations.upstream.sources import Missing, Source
from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[3]
SUITES = Path(__file__).parent / "suites"
SOURCES = ROOT / "build" / "upstream"


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests to be run by pytest, with a plugin of ours that puts Petra into them.

    `tests` are files of the source, or with `ours` files of ours that take their tests from the source. `path` are
    folders of the source that are imported from.
    """

    name: str
    plugin: str
    source: Source | None
    tests: tuple[str, ...]
    ours: bool = False
    path: tuple[str, ...] = (".",)
    options: tuple[str, ...] = ()
    # Whether tests that are marked as flaky are run again, by the plugin of that name.
    flaky: bool = False


LIMITS = Source("limits")
DJANGO = Source("django")
GITHUB = "https://github.com"

ALL = (
    Suite(
        "limits",
        "limits_plugin",
        LIMITS,
        ("tests/test_storage.py", "tests/test_strategy.py", "tests/aio/test_storage.py", "tests/aio/test_strategy.py"),
        options=("-o", "asyncio_mode=auto"),
        flaky=True,
    ),
    Suite(
        "py-key-value-aio",
        "key_value_plugin",
        Source("py-key-value-aio", f"{GITHUB}/strawgate/py-key-value", "{}"),
        ("test_key_value.py",),
        ours=True,
        options=("-o", "asyncio_mode=auto"),
    ),
    Suite("langgraph-checkpoint-conformance", "langgraph_plugin", None, ("test_langgraph.py",), ours=True),
    Suite("django", "django_plugin", DJANGO, ("test_django.py",), ours=True, path=("tests",)),
    Suite(
        "starsessions",
        "starsessions_plugin",
        Source("starsessions", f"{GITHUB}/alex-oleshkevich/starsessions", "v{}"),
        ("tests",),
        options=("-o", "asyncio_mode=auto"),
    ),
    Suite(
        "litestar",
        "litestar_plugin",
        Source("litestar", f"{GITHUB}/litestar-org/litestar", "v{}"),
        ("test_litestar.py",),
        ours=True,
        options=("-o", "asyncio_mode=auto"),
    ),
    Suite("dogpile.cache", "dogpile_plugin", None, ("test_dogpile.py",), ours=True),
)


def main(arguments: list[str]) -> int:
    """Runs all suites, or those named."""
    parser = argparse.ArgumentParser(prog="tests.integrations.upstream")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(suite.name for suite in ALL))
    parser.add_argument("--source", action="append", default=[], metavar="NAME=FOLDER")
    given = parser.parse_args(arguments)
    folders = dict(each.split("=", 1) for each in given.source)
    unknown = {*given.names, *folders} - {suite.name for suite in ALL}
    if unknown:
        parser.error(f"no suite: {', '.join(sorted(unknown))}")
    code = 0
    with tempfile.TemporaryDirectory() as scratch, ServerProcess(Path(scratch) / "data") as server:
        for suite in ALL:
            if not given.names or suite.name in given.names:
                code = max(code, report(suite, folders.get(suite.name), server.address, Path(scratch)))
    return code


def report(suite: Suite, folder: str | None, address: str, scratch: Path) -> int:
    """Runs one suite, prints what has come of it, and returns the exit code that it asks for."""
    try:
        source = Path(folder).resolve() if folder else suite.source.fetch(SOURCES) if suite.source else SUITES
        outcome = run(suite, source, address, scratch)
    except Missing as missing:
        print(f"{suite.name}: not run: {missing}", flush=True)
        return 2
    print(f"{suite.name}: " + "\n".join(outcome.lines()), flush=True)
    return 1 if outcome.failed or not outcome.passed else 0


def run(suite: Suite, source: Path, address: str, scratch: Path) -> Outcome:
    """Runs the tests of one suite in a process of its own. Raises Missing when pytest could not begin."""
    report_file = scratch / f"{suite.name}.xml"
    folders = [SUITES, *(source / part for part in suite.path), ROOT / "client", ROOT / "server"]
    tests = [str((SUITES if suite.ours else source) / test) for test in suite.tests]
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", suite.plugin, f"--junit-xml={report_file}"),
        # Not this project's settings and fixtures, nor those of the other one, whose plugins may be missing here.
        *("-c", str(SUITES / "pytest.ini"), "--rootdir", str(source), "--import-mode=importlib"),
        f"--confcutdir={SUITES}",
        *("-p", "no:cacheprovider", *(() if suite.flaky else ("-p", "no:flaky")), *suite.options, *tests),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "UPSTREAM_ADDRESS": address,
        "UPSTREAM_SOURCE": str(source),
    }
    result = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    if not report_file.exists():
        raise Missing(f"pytest could not begin: {(result.stdout + result.stderr).strip()[-1_000:]}")
    outcome = read_report(report_file)
    if outcome.failed:
        print(result.stdout[-20_000:], flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
