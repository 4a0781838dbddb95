from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from petra_server.logs import configure_logging
from tests.support.logging_state import logging_restored


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    with logging_restored():
        yield


def write_some_lines() -> None:
    log = structlog.get_logger("petra_server.app")
    log.debug("tick")
    log.info("serving", address="127.0.0.1:7475", actors=64)
    logging.getLogger("grpc._server").warning("refused %s", "peer", extra={"peer": "a\nb"})
    try:
        raise RuntimeError("no\nway")
    except RuntimeError:
        log.exception("failed", key=b"\xff\n")


def json_lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_what_is_no_terminal_gets_one_json_object_a_line(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging("info", "json" if log_format == "json" else "auto", stream)
    write_some_lines()
    serving, refused, failed = json_lines(stream)
    assert list(serving)[:3] == ["timestamp", "level", "event"]
    assert serving.items() >= {"level": "info", "event": "serving", "address": "127.0.0.1:7475", "actors": 64}.items()
    assert (
        refused.items()
        >= {"level": "warning", "event": "refused peer", "peer": "a\nb", "logger": "grpc._server"}.items()
    )
    assert failed.items() >= {"level": "error", "event": "failed", "key": "b'\\xff\\n'"}.items()
    assert "RuntimeError: no\nway" in str(failed["exception"])


def test_timestamps_are_utc() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    before = datetime.now(UTC)
    write_some_lines()
    for line in json_lines(stream):
        text = str(line["timestamp"])
        assert text.endswith("Z")
        assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)


def test_a_terminal_gets_colours_and_the_same_facts() -> None:
    stream = Terminal()
    configure_logging("info", "auto", stream)
    write_some_lines()
    text = stream.getvalue()
    assert "\x1b[" in text
    for fact in ("serving", "127.0.0.1:7475", "refused peer", "RuntimeError"):
        assert fact in text


def test_human_lines_in_a_file_have_no_colours() -> None:
    stream = io.StringIO()
    configure_logging("info", "human", stream)
    write_some_lines()
    assert "\x1b[" not in stream.getvalue()
    assert "address=127.0.0.1:7475" in stream.getvalue().splitlines()[0]


def test_json_on_a_terminal_when_asked_for() -> None:
    stream = Terminal()
    configure_logging("info", "json", stream)
    write_some_lines()
    assert len(json_lines(stream)) == 3


def test_the_level_is_for_our_lines_and_those_of_libraries() -> None:
    stream = io.StringIO()
    configure_logging("error", "json", stream)
    write_some_lines()
    assert [line["event"] for line in json_lines(stream)] == ["failed"]
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    write_some_lines()
    assert [line["event"] for line in json_lines(stream)] == ["tick", "serving", "refused peer", "failed"]


def test_configuring_again_replaces_and_does_not_double() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "json", first)
    log = structlog.get_logger("petra_server.app")
    log.info("one")
    configure_logging("info", "json", second)
    log.info("two")
    assert [line["event"] for line in json_lines(first)] == ["one"]
    assert [line["event"] for line in json_lines(second)] == ["two"]


def test_warnings_of_python_are_log_lines_too() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging("info", "json", stream)
        warnings.warn("careful", stacklevel=1)
        # Undone inside, because catch_warnings restores what it found, captured or not.
        logging.captureWarnings(capture=False)
    (line,) = json_lines(stream)
    assert line["level"] == "warning"
    assert "careful" in str(line["event"])


def test_bound_context_is_on_every_line() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    with structlog.contextvars.bound_contextvars(partition="p0"):
        structlog.get_logger("petra_server.app").info("opened")
    assert json_lines(stream)[0]["partition"] == "p0"
