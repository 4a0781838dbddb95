"""How often the server is killed, and what came of it, for the report at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

DEFAULT_ROUNDS = 20
# A round takes about a second and a half; many rounds need more than the time-out of an ordinary test.
SECONDS_A_ROUND = 30

# The name of a line for the end of the run, among the properties of a test: these come back also from another process.
_LINE = "crash"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crash")
    group.addoption(
        "--crash-rounds", type=int, default=DEFAULT_ROUNDS, help="how often tests/crash kills the server under load"
    )
    group.addoption("--crash-seed", default="", help="repeat the choices of an earlier run; printed when a test fails")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "crash_rounds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(60 + SECONDS_A_ROUND * _rounds(config)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == _LINE and report.when == "teardown":
                    terminalreporter.write_line(f"crash: {line}")


@pytest.fixture
def crash_rounds(request: pytest.FixtureRequest) -> int:
    return _rounds(request.config)


@pytest.fixture
def crash_seed(request: pytest.FixtureRequest) -> str:
    """What all choices of a test come from. It is printed, and so shown when the test fails."""
    seed = request.config.getoption("--crash-seed", default="") or secrets.token_hex(4)
    print(f"to repeat the choices of this run: --crash-seed {seed}")
    return seed


@pytest.fixture
def crash_report(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines for the end of the whole run."""
    lines: list[str] = []
    yield lines
    request.node.user_properties.extend((_LINE, line) for line in lines)


def _rounds(config: pytest.Config) -> int:
    # Unknown to pytest where it found this file too late to ask for its options, as when it runs all of tests/.
    rounds: int = config.getoption("--crash-rounds", default=DEFAULT_ROUNDS)
    return rounds
