from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from petra.cli import main, petra


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution that brings commands, one of which misses a library."""
    information = tmp_path / "petra_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: petra-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[petra.commands]\n"
        "greet = petra_plugin_greet:greet\n"
        "incomplete = petra_plugin_incomplete:command\n"
        "broken = petra_plugin_greet:nothing_of_that_name\n"
        "wrong = petra_plugin_greet:WHOM\n"
    )
    (tmp_path / "petra_plugin_greet.py").write_text(
        "import click\n\nWHOM = 'you'\n\n\n"
        "@click.command()\n@click.option('--loud', is_flag=True)\ndef greet(loud):\n"
        "    '''Say hello.'''\n    click.echo('HELLO' if loud else 'hello')\n"
    )
    (tmp_path / "petra_plugin_incomplete.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "petra_plugin_greet", raising=False)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(petra, list(args), prog_name="petra")


def test_the_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("petra ")


def test_help_tells_how_to_complete_in_the_shell() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "_PETRA_COMPLETE=bash_source" in result.output


@pytest.mark.usefixtures("plugin")
class TestCommandsOfOthers:
    def test_they_are_listed_with_their_summaries(self) -> None:
        lines = [line.split(maxsplit=1) for line in run("--help").output.splitlines()]
        assert ["greet", "Say hello."] in lines
        assert ["incomplete", 'Not installed: pip install "petra[server]".'] in lines

    def test_they_run_with_their_own_options(self) -> None:
        result = run("greet", "--loud")
        assert (result.exit_code, result.output) == (0, "HELLO\n")

    @pytest.mark.parametrize("args", [[], ["--help"], ["--data", "x", "--no-such-flag", "more"]], ids=str)
    def test_one_that_misses_a_library_says_what_to_install(self, args: list[str]) -> None:
        result = run("incomplete", *args)
        assert result.exit_code == 1
        assert result.output == (
            'petra: the command "incomplete" needs a_library_that_is_not_there, which is not installed: '
            'pip install "petra[server]"\n'
        )

    @pytest.mark.parametrize("name", ["broken", "wrong"])
    def test_one_that_cannot_be_loaded_says_so_in_one_line(self, name: str) -> None:
        result = run(name)
        assert result.exit_code == 1
        assert result.output.startswith(f'petra: the command "{name}" cannot be loaded: ')
        assert len(result.output.splitlines()) == 1

    def test_asking_for_one_does_not_import_the_others(self) -> None:
        run("incomplete")
        assert "petra_plugin_greet" not in sys.modules


def test_an_unknown_command_is_refused_by_name() -> None:
    result = run("srve")
    assert result.exit_code == 2
    assert "No such command" in result.output
    assert "srve" in result.output


def test_main_exits_with_the_code_of_the_command(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plugin.exists()
    monkeypatch.setattr(sys, "argv", ["petra", "incomplete"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith('petra: the command "incomplete" needs ')


def test_it_needs_nothing_of_the_server() -> None:
    code = "import sys, petra.cli; print([name for name in sys.modules if name.startswith('petra_server')])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(root / "client")}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
