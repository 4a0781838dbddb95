"""The command as a whole: what it loads, how the shell completes it, that each part of it speaks JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from petra.cli import petra
from petra.cli.group import EntryPointGroup
from petra.cli.options import ADDRESS_VARIABLE, NAMESPACE_VARIABLE
from petra.testing import TestServer
from petra_server.settings_loader import CLIENT_VARIABLES, SettingsError, resolve
from tests.cli.runner import COMMAND, ROOT, Cli, environment

OWN = {
    "bench", "clear", "delete", "export", "get", "import", "incr", "info", "list", "namespaces", "object", "objects",
    "ping", "set", "throttle", "top", "touch", "ttl",
}  # fmt: skip


def command(name: str) -> click.Command:
    assert isinstance(petra, EntryPointGroup)
    found = petra.get_command(click.Context(petra), name)
    assert found is not None
    return found


def test_all_commands_are_there(cli: Cli) -> None:
    lines = cli.out("--help").partition("Commands:")[2].splitlines()
    assert OWN | {"serve", "config"} <= {line.split()[0] for line in lines if line.strip()}


@pytest.mark.parametrize("name", sorted(OWN))
class TestEachCommand:
    def test_it_has_the_options_that_all_have(self, name: str) -> None:
        options = {option for parameter in command(name).params for option in parameter.opts}
        assert {"-s", "--server", "-o", "--output", "--timeout", "--tls", "--tls-ca"} <= options

    def test_its_short_help_is_not_cut_off(self, name: str) -> None:
        assert "..." not in command(name).get_short_help_str(60)

    def test_its_help_says_what_each_option_does(self, name: str, cli: Cli) -> None:
        assert command(name).help
        for parameter in command(name).params:
            assert isinstance(parameter, click.Argument) or (isinstance(parameter, click.Option) and parameter.help)
        assert cli(name, "--help").exit_code == 0


def loaded(*args: str) -> set[str]:
    """The modules that are loaded when the command has run."""
    code = (
        f"import sys\nfrom petra.cli import petra\npetra({args!r}, standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("config",)], ids=" ".join)
def test_what_needs_no_server_loads_no_client(args: tuple[str, ...]) -> None:
    assert not loaded(*args) & {"petra.client", "petra._transport", "petra.v1", "grpc", "rocksdict"}


@pytest.mark.parametrize("name", sorted(OWN))
def test_help_of_a_command_loads_nothing_large(name: str) -> None:
    assert not loaded(name, "--help") & {"rich", "asyncio", "petra.client", "petra.v1"}


def test_it_stands_on_the_public_client_alone() -> None:
    for path in (ROOT / "client/petra/cli").rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (petra[.\w]*)", path.read_text(), flags=re.MULTILINE)
        public = r"petra(\.cli[.\w]*|\.datamodel|\.datastore|\.errors|\.sql|\.values)?"
        others = [name for name in imported if not re.fullmatch(public, name)]
        assert not others, path


class TestCompletion:
    def completed(self, *words: str) -> list[str]:
        """What bash is told to offer for the last word."""
        variables = {
            "_PETRA_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("petra", *words)),
            "COMP_CWORD": str(len(words)),
        }
        code = "from petra.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(**variables), capture_output=True, text=True, check=True
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    def test_commands(self) -> None:
        assert self.completed("na") == ["namespaces"]
        assert set(self.completed("")) >= OWN

    def test_options(self) -> None:
        assert self.completed("set", "--if") == ["--if-version", "--if-absent"]

    def test_choices(self) -> None:
        assert self.completed("get", "-o", "") == ["text", "json"]
        assert self.completed("throttle", "--algorithm", "s") == ["sliding_window"]

    def test_the_script_for_bash(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", "from petra.cli import main; main()"],
            env=environment(_PETRA_COMPLETE="bash_source"),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "complete -o nosort -F _petra_completion petra" in done.stdout
        checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


class TestEnvironment:
    def test_the_server_minds_no_variable_of_the_client(self) -> None:
        assert {ADDRESS_VARIABLE, NAMESPACE_VARIABLE} == CLIENT_VARIABLES
        assert resolve(flags={}, environ=dict.fromkeys(CLIENT_VARIABLES, "x")) == resolve(flags={}, environ={})

    def test_it_minds_others(self) -> None:
        with pytest.raises(SettingsError, match="PETRA_ADRESS"):
            resolve(flags={}, environ={"PETRA_ADRESS": "x"})

    def test_flags_win_over_variables(self, cli: Cli, shared_server: TestServer) -> None:
        cli.out("set", "k", "v")
        elsewhere = Cli("127.0.0.1:1", "elsewhere")
        namespace = cli.variables["PETRA_NAMESPACE"]
        assert elsewhere.out("get", "k", "-s", shared_server.address, "-n", namespace) == "v\n"


def test_every_command_speaks_json(cli: Cli, tmp_path: Path) -> None:
    file = str(tmp_path / "export.jsonl")
    namespace = cli.variables["PETRA_NAMESPACE"]
    calls: dict[str, tuple[str, ...]] = {
        "set": ("k", "v"),
        "get": ("k",),
        "touch": ("k", "1h"),
        "ttl": ("k",),
        "incr": ("n",),
        "throttle": ("t", "1", "1m"),
        "list": (),
        "namespaces": (namespace,),
        "objects": (),
        "object": ("o",),
        "info": (),
        "ping": ("-c", "2", "-i", "1ms"),
        "top": ("--once", "-i", "10ms"),
        "bench": ("--count", "10", "--keys", "2"),
        "export": (file, "-n", namespace),
        "import": (file,),
        "delete": ("k",),
        "clear": ("--yes",),
    }
    assert calls.keys() == OWN
    cli.out("set", "--object", "o", "k", "v")
    for name, args in calls.items():
        results = cli.json_lines(name, *args)
        assert results, name
        assert all(isinstance(result, dict) for result in results), name
        assert all(result.keys() == results[0].keys() for result in results), name


def test_info(cli: Cli) -> None:
    about = cli.json("info")
    assert about["limits"]["key_bytes"] == 2_048
    text = dict(line.split("  ", 1) for line in cli.out("info").splitlines())
    assert text["data id"].strip() == about["data_id"]


def test_ping_says_how_long_each_took(cli: Cli) -> None:
    assert [each["ping"] for each in cli.json_lines("ping", "-c", "3", "-i", "1ms")] == [1, 2, 3]
    lines = cli.out("ping", "-c", "3", "-i", "1ms").splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("least ")


def test_it_runs_as_a_module(shared_server: TestServer) -> None:
    done = subprocess.run(
        [*COMMAND, "info", "-o", "json", "-s", shared_server.address],
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["actors"] == 8
