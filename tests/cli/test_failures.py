from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from petra import errors
from petra.cli.running import exit_code
from petra.testing import TestServer
from tests.cli.runner import COMMAND, Cli, environment


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def subcommands() -> list[list[str]]:
    return [
        ["get", "k"],
        ["set", "k", "v"],
        ["list"],
        ["incr", "k"],
        ["touch", "k", "1m"],
        ["ttl", "k"],
        ["clear", "--yes"],
        ["throttle", "k", "1", "1m"],
        ["object", "o"],
        ["objects"],
        ["namespaces"],
        ["info"],
        ["ping"],
        ["top", "--once"],
        ["bench"],
        ["export", "-"],
    ]


@pytest.mark.parametrize("args", subcommands(), ids=lambda args: args[0])
def test_a_refused_connection_is_one_sentence_and_exit_code_4(args: list[str], closed_port: int) -> None:
    result = Cli(f"127.0.0.1:{closed_port}")(*args)
    assert result.exit_code == 4
    assert result.stdout == ""
    assert result.stderr == f"petra: 127.0.0.1:{closed_port} refused the connection. Is the server running there?\n"


def test_an_import_without_a_server(closed_port: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Cli(f"127.0.0.1:{closed_port}")("import", str(tmp_path / "file")).exit_code == 4


def test_a_host_that_there_is_not() -> None:
    result = Cli("no-such-host.invalid")("get", "k")
    assert result.exit_code == 4
    assert result.stderr.startswith("petra: no-such-host.invalid:7475 cannot be reached: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("get",), "petra: Missing argument 'KEY'. See `petra get --help`.\n"),
        (("get", "k", "--limt", "3"), "petra: No such option '--limt'."),
        (("get", "k", "-o", "xml"), "petra: Invalid value for '-o' / '--output': 'xml' is not one of"),
        (("get", "k", "--server", "a:b:c/"), "petra: 'a:b:c/' is no address of a server."),
        (("get", "k", "--timeout", "-3"), "petra: Invalid value for '--timeout': '-3' is no length of time"),
        (("get", "k", "--tls-ca", "/no/such/file"), "petra: Invalid value for '--tls-ca': File '/no/such/file'"),
        (("get", "k", "--tls-ca", __file__), f"petra: no certificates can be read from {__file__}: "),
        (("get", "k", "--tls-key", __file__), "petra: --tls-key needs --tls-cert.\n"),
        (("get", "k" * 3_000), "petra: "),
        (("list", "--keys", "--long"), "petra: Give --keys or --long, not both."),
        (("list", "--start", "a", "--start-after", "b"), "petra: Give start or start_after"),
        (("bench", "--mix", "some"), "petra: Invalid value for '--mix': 'some' is no ratio"),
        (("bench", "--count", "1", "--duration", "1s"), "petra: Give --duration or --count, not both."),
        (("bench", "--tasks", "1", "--clients", "2"), "petra: Invalid value: 1 tasks cannot use 2 clients."),
        (("import", "/no/such/file"), "petra: Invalid value for 'FILE': "),
        (("export", "-", "--resume"), "petra: Standard output cannot be resumed."),
        (("serv",), "petra: No such command 'serv'."),
        (("--serv",), "petra: No such option"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(cli: Cli, args: tuple[str, ...], sentence: str) -> None:
    result = cli(*args)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(sentence)
    assert len(result.stderr.splitlines()) == 1


def test_a_plain_server_asked_for_tls(cli: Cli) -> None:
    result = cli("get", "k", "--tls")
    assert result.exit_code == 4
    assert "does not speak TLS" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidArgument("."), 2),
        (errors.EncodeError("."), 2),
        (errors.VersionConflict("."), 3),
        (errors.NotAnInteger("."), 3),
        (errors.Unavailable("."), 4),
        (errors.DeadlineExceeded("."), 4),
        (errors.Overloaded("."), 4),
        (errors.DiskFull("."), 4),
        (errors.InternalError("."), 5),
        (errors.DataLoss("."), 5),
        (errors.PermissionDenied("."), 5),
        (errors.DecodeError("."), 5),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_every_public_error_has_an_exit_code_that_is_not_success() -> None:
    for name in errors.__all__:
        assert exit_code(getattr(errors, name)(".")) in {2, 3, 4, 5}


def test_a_file_that_cannot_be_written_is_a_sentence(cli: Cli) -> None:
    result = cli("export", "/no/such/folder/file")
    assert (result.exit_code, result.stderr) == (5, "petra: /no/such/folder/file: No such file or directory.\n")


def start(*args: str, server: TestServer, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *args, "-s", server.address],
        env=environment(),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "args", [("ping", "-c", "1000000", "-i", "10ms"), ("top", "-o", "json", "-i", "10ms")], ids=lambda args: args[0]
)
def test_ctrl_c_ends_a_command_without_a_traceback(args: tuple[str, ...], shared_server: TestServer) -> None:
    with start(*args, server=shared_server) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == ""


def test_a_reader_that_goes_away_is_met_with_silence(cli: Cli, shared_server: TestServer) -> None:
    for number in range(3):
        cli.out("set", "--object", "large", str(number), "x" * 100_000)
    namespace = cli.variables["PETRA_NAMESPACE"]
    with start("list", "-n", namespace, "--object", "large", server=shared_server) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == "0"
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")


class TestTerminal:
    """What is printed where somebody looks: the terminal is a pseudo one."""

    @pytest.fixture
    def on_a_terminal(self, cli: Cli) -> Callable[..., str]:
        def run(*args: str) -> str:
            leader, follower = os.openpty()
            try:
                done = subprocess.run([*COMMAND, *args], env=environment(**cli.variables), stdout=follower, timeout=60)
                assert done.returncode == 0
                return os.read(leader, 65_536).decode().replace("\r\n", "\n")
            finally:
                os.close(leader)
                os.close(follower)

        return run

    def test_nothing_is_printed_that_could_be_a_command_to_it(
        self, cli: Cli, on_a_terminal: Callable[..., str]
    ) -> None:
        blob = b"\x1b[2J\xff"
        cli.out("set", "evil", "\x1b[2Jgone")
        cli.out("set", "--bytes", "blob", "--file", "-", stdin=blob)
        cli.out("set", "--bytes", "text", "line 1\nline 2")
        assert on_a_terminal("get", "evil") == '"\\u001b[2Jgone"\n'
        assert on_a_terminal("get", "blob") == f"base64:{base64.b64encode(blob).decode()}\n"
        assert on_a_terminal("get", "text") == "line 1\nline 2\n"


def test_ctrl_c_is_met_within_the_wait_for_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with subprocess.Popen(
            [*COMMAND, "get", "k", "-s", address, "--timeout", "1h"],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = mute.accept()
            with connection:
                assert connection.recv(1)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "")
