from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from petra_server.__main__ import main
from petra_server.errors import StartupError
from petra_server.settings import Settings
from petra_server.settings_catalogue import CATALOGUE, Description, Kind
from petra_server.settings_report import as_markdown
from tests.support.logging_state import logging_restored

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("PETRA_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*args: str, **environ: str) -> Result:
    return CliRunner().invoke(main, list(args), env=environ)


def effective(*args: str, **environ: str) -> dict[str, dict[str, object]]:
    result = run("config", "-o", "json", *args, **environ)
    assert result.exit_code == 0, result.output
    report: dict[str, dict[str, object]] = json.loads(result.output)
    return report


def another_value(about: Description) -> str | int | float | bool:
    """A valid value that is not the default."""
    match about.kind, about.default:
        case Kind.CHOICE, default:
            return next(choice for choice in about.choices if choice != default)
        case Kind.SWITCH, default:
            return not default
        case Kind.TEXT, _:
            return "[::1]:0"
        case ((Kind.PATH | Kind.OPTIONAL_PATH), _):
            return "some/where"
        case Kind.DECIMAL, float() as default:
            return default + 0.5
        case _, int() as default:
            return default + 1
    raise AssertionError(f"no example for {about}")


def companions(name: str) -> dict[str, str]:
    """What else must be set for a TLS file to be accepted."""
    needed = {"tls_cert": ["tls_key"], "tls_key": ["tls_cert"], "tls_client_ca": ["tls_cert", "tls_key"]}
    return {CATALOGUE[other].variable: "pem" for other in needed.get(name, [])}


class TestEveryField:
    @pytest.mark.parametrize("name", list(CATALOGUE))
    def test_is_reachable_by_flag(self, name: str) -> None:
        about, value = CATALOGUE[name], another_value(CATALOGUE[name])
        if about.kind is Kind.SWITCH:
            args = [about.flag if value else "--no-" + about.flag[2:]]
        else:
            args = [about.flag, str(value)]
        expected = {"value": value, "source": "flag", "place": about.flag}
        assert effective(*args, **companions(name))[name] == expected

    @pytest.mark.parametrize("name", list(CATALOGUE))
    def test_is_reachable_by_environment(self, name: str) -> None:
        about, value = CATALOGUE[name], another_value(CATALOGUE[name])
        report = effective(**companions(name), **{about.variable: str(value)})
        assert report[name] == {"value": value, "source": "environment", "place": about.variable}

    @pytest.mark.parametrize("name", list(CATALOGUE))
    def test_is_reachable_by_file(self, name: str, tmp_path: Path) -> None:
        value, file = another_value(CATALOGUE[name]), tmp_path / "petra.toml"
        # JSON writes texts, numbers and booleans as TOML does.
        file.write_text(f"{name} = {json.dumps(value)}\n")
        expected = {"value": value, "source": "file", "place": str(file)}
        assert effective("--config", str(file), **companions(name))[name] == expected
        assert effective(PETRA_CONFIG=str(file), **companions(name))[name] == expected

    @pytest.mark.parametrize("name", list(CATALOGUE))
    def test_is_in_the_help_with_its_default(self, name: str) -> None:
        about = CATALOGUE[name]
        words = " ".join(run("serve", "--help", COLUMNS="200").output.split())
        assert about.flag in words
        assert f"{about.meaning} [default: {about.show(about.default) or 'unset'}]" in words


class TestConfig:
    def test_text_has_a_line_for_each_setting_with_its_source(self, tmp_path: Path) -> None:
        file = tmp_path / "petra.toml"
        file.write_text('wal_bytes = "1GiB"\nmax_value_bytes = 7')
        result = run("config", "--config", str(file), "--max-value-bytes", "1MB", PETRA_ACTORS="3")
        lines = {line.split()[0]: line.split()[1:] for line in result.output.splitlines()}
        assert list(lines) == list(CATALOGUE)
        assert lines["max_value_bytes"] == ["1000000", "flag", "--max-value-bytes"]
        assert lines["actors"] == ["3", "environment", "PETRA_ACTORS"]
        assert lines["wal_bytes"] == ["1GiB", "file", str(file)]
        assert lines["cache_bytes"] == ["128MiB", "default"]
        assert lines["tls_cert"] == ["(unset)", "default"]

    def test_json_has_plain_values(self) -> None:
        report = effective()
        assert list(report) == list(CATALOGUE)
        assert report["cache_bytes"] == {"value": 134_217_728, "source": "default", "place": None}
        assert report["data"] == {"value": "petra-data", "source": "default", "place": None}
        assert report["tls_key"]["value"] is None

    def test_markdown_prints_the_page(self) -> None:
        assert run("config", "--markdown").output == as_markdown()

    def test_wrong_settings_end_with_2_and_one_message(self) -> None:
        result = run("config", "--actors", "x", PETRA_CACHE_BYTE="1")
        assert result.exit_code == 2
        assert result.output == (
            "petra: 2 settings cannot be used:\n"
            "  PETRA_CACHE_BYTE: there is no such setting; did you mean PETRA_CACHE_BYTES?\n"
            "  --actors: 'x' is not a whole number: write actors as digits only, such as 0\n"
        )

    def test_an_unknown_flag_is_refused_by_name(self) -> None:
        result = run("config", "--max-vlaue-bytes", "1")
        assert result.exit_code == 2
        assert "--max-vlaue-bytes" in result.output
        assert "--max-value-bytes" in result.output

    def test_a_missing_file_is_refused_by_name(self) -> None:
        result = run("config", "--config", "none.toml")
        assert result.exit_code == 2
        assert result.output == (
            "petra: a setting cannot be used:\n  --config: none.toml cannot be read: No such file or directory\n"
        )


class TestServe:
    """Which settings reach the server, and what its end means for the process. The server itself is a stand-in."""

    @pytest.fixture(autouse=True)
    def _logging_restored(self) -> Iterator[None]:
        with logging_restored():
            yield

    def run_with(
        self, monkeypatch: pytest.MonkeyPatch, server: Callable[[Settings], int], *args: str, **environ: str
    ) -> Result:
        monkeypatch.setitem(sys.modules, "petra_server.app", SimpleNamespace(serve=server))
        return run("serve", *args, **environ)

    @pytest.mark.parametrize("code", [0, 1])
    def test_its_exit_code_is_that_of_the_process(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        assert self.run_with(monkeypatch, lambda _settings: code).exit_code == code

    def test_it_gets_the_effective_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[Settings] = []

        def server(settings: Settings) -> int:
            served.append(settings)
            return 0

        self.run_with(
            monkeypatch, server, "--data", "d", "--listen", "127.0.0.1:0", "--no-reflection", PETRA_CACHE_BYTES="1GB"
        )
        assert served == [Settings(data=Path("d"), listen="127.0.0.1:0", reflection=False, cache_bytes=10**9)]

    def test_a_server_that_cannot_start_says_so_in_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def server(_settings: Settings) -> int:
            raise StartupError("another server has ./petra-data")

        result = self.run_with(monkeypatch, server)
        assert (result.exit_code, result.output) == (2, "petra: another server has ./petra-data\n")

    def test_wrong_settings_never_reach_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def server(_settings: Settings) -> int:
            raise AssertionError("started")

        result = self.run_with(monkeypatch, server, "--listen", "7475")
        assert result.exit_code == 2
        assert result.output.startswith("petra: a setting cannot be used:\n  --listen: must be HOST:PORT")


def test_the_shell_completes_choices_and_paths() -> None:
    def completions(*typed: str) -> list[str]:
        complete = ShellComplete(main, {}, "petra", "_PETRA_COMPLETE")
        return [item.value for item in complete.get_completions(list(typed[:-1]), typed[-1])]

    assert completions("serve", "--log-format", "") == ["auto", "human", "json"]
    assert completions("serve", "--wal-recovery", "p") == ["point-in-time"]
    assert set(completions("serve", "--tls-c")) == {"--tls-cert", "--tls-client-ca"}


def test_the_flags_stand_under_the_headings_of_the_settings() -> None:
    headings = [line for line in run("serve", "--help").output.splitlines() if line.endswith(":") and line[0] != " "]
    names = ["Options", "Server", "Storage", "SQL", "Limits", "HTTP", "Connections", "TLS"]
    assert headings == [f"{name}:" for name in names]


def test_every_command_is_a_click_command_with_help() -> None:
    assert isinstance(main, click.Group)
    for name in main.commands:
        assert run(name, "--help").exit_code == 0


def test_it_runs_as_a_module_without_loading_grpc_or_rocksdb() -> None:
    code = (
        "import sys; from petra_server.__main__ import main\n"
        "main(['config', '-o', 'json', '--actors', '5'], standalone_mode=False)\n"
        "print(sorted({'grpc', 'rocksdict'} & set(sys.modules)))"
    )
    environ = {"PYTHONPATH": str(ROOT / "server")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stderr == ""
    *report, loaded = done.stdout.splitlines()
    assert json.loads("\n".join(report))["actors"]["value"] == 5
    assert loaded == "[]"


def test_python_m_petra_server() -> None:
    environ = {"PYTHONPATH": str(ROOT / "server")}
    args = [sys.executable, "-m", "petra_server", "serve", "--actors", "none"]
    done = subprocess.run(args, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("petra: a setting cannot be used:\n  --actors: 'none' is not a whole number")
