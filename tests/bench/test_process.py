from __future__ import annotations

import os
import sys

import pytest

from bench.process import BenchError, ChildProcess, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_tells_by_its_lines_and_is_gone_after_the_block() -> None:
    with ChildProcess("child", python("import sys; print('one'); print('port 7'); sys.stdin.readline()")) as child:
        assert child.wait_for(lambda line: line.removeprefix("port ") if "port" in line else None, timeout_s=30) == "7"
        pid = child.pid
        assert is_running(pid)
    assert not is_running(pid)


def test_a_child_that_does_not_listen_to_sigterm_is_killed() -> None:
    code = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); sys.stdin.readline()"
    child = ChildProcess("deaf", python(code))
    child.start()
    child.wait_for(lambda line: line == "up" or None, timeout_s=30)
    assert child.stop(grace_s=0.01) == -9
    assert not is_running(child.pid)


def test_a_child_that_ends_early_is_told_with_its_output() -> None:
    with (
        ChildProcess("broken", python("print('no such thing'); raise SystemExit(3)")) as child,
        pytest.raises(BenchError, match=r"broken ended with 3(.|\n)*no such thing"),
    ):
        child.wait_for(lambda line: None, timeout_s=30)


def test_a_child_is_ended_when_the_block_fails() -> None:
    child = ChildProcess("child", python("import sys; sys.stdin.readline()"))
    with pytest.raises(KeyboardInterrupt), child:
        raise KeyboardInterrupt
    assert not is_running(child.pid)


def test_a_program_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(BenchError, match=r"ended with 4:\nsaid"):
        run(python("print('said'); raise SystemExit(4)"), timeout_s=30)
