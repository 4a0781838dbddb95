from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.settings import Group, InvalidSettings, Settings, split_address
from petra_server.settings_catalogue import CATALOGUE, Kind
from petra_server.settings_loader import ConfigFile, Layer, SettingsError, Source, load, resolve
from petra_server.settings_report import as_markdown
from petra_server.sizes import MIB

ROOT = Path(__file__).parents[2]


def refusal(
    flags: dict[str, str | bool] | None = None, environ: dict[str, str] | None = None, file: str | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        resolve(
            flags=flags or {}, environ=environ or {}, file=ConfigFile("petra.toml", file) if file is not None else None
        )
    return caught.value


class TestSettings:
    def test_the_defaults_are_valid(self) -> None:
        settings = Settings()
        assert settings.listen == "127.0.0.1:7475"
        assert settings.data == Path("petra-data")
        assert settings.max_value_bytes == 2 * MIB

    def test_they_cannot_be_changed(self) -> None:
        with pytest.raises(FrozenInstanceError):
            Settings().actors = 3  # type: ignore[misc]

    def test_every_one_says_what_it_means_in_sentences(self) -> None:
        for about in CATALOGUE.values():
            assert re.fullmatch(r"[A-Z].+\.", about.meaning), about.name
            assert about.group in Group

    def test_every_number_is_bounded(self) -> None:
        for about in CATALOGUE.values():
            if about.kind in {Kind.SIZE, Kind.NUMBER, Kind.DECIMAL}:
                assert about.at_least is not None, about.name
                assert about.at_most is not None, about.name

    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            ({"actors": 16_385}, ["actors"]),
            ({"actors": -1}, ["actors"]),
            ({"grace_seconds": float("nan")}, ["grace_seconds"]),
            ({"max_namespace_bytes": 6}, ["max_namespace_bytes"]),
            ({"log_level": "loud"}, ["log_level"]),
            ({"wal_recovery": ""}, ["wal_recovery"]),
            ({"listen": "localhost"}, ["listen"]),
            ({"max_value_bytes": 16 * MIB}, ["max_value_bytes"]),
            ({"max_page_bytes": 17 * MIB}, ["max_page_bytes"]),
            ({"max_connection_bytes": 15 * MIB}, ["max_connection_bytes"]),
            ({"max_server_bytes": 63 * MIB}, ["max_server_bytes"]),
            ({"tls_cert": Path("cert.pem")}, ["tls_cert"]),
            ({"tls_key": Path("key.pem")}, ["tls_key"]),
            ({"tls_client_ca": Path("ca.pem")}, ["tls_client_ca"]),
            ({"actors": -1, "listen": "", "cache_bytes": -1}, ["actors", "cache_bytes", "listen"]),
        ],
    )
    def test_what_cannot_work_is_refused_by_name(self, changes: dict[str, Any], names: list[str]) -> None:
        with pytest.raises(InvalidSettings) as caught:
            Settings(**changes)
        assert [problem.names[0] for problem in caught.value.problems] == names

    @pytest.mark.parametrize("name", [name for name, about in CATALOGUE.items() if about.at_least is not None])
    def test_a_number_just_out_of_its_range_is_refused(self, name: str) -> None:
        about = CATALOGUE[name]
        assert about.at_least is not None
        assert about.at_most is not None
        for value in (about.at_least - 1, about.at_most + 1):
            changes: dict[str, Any] = {name: value}
            with pytest.raises(InvalidSettings, match=f"{name} must be from"):
                Settings(**changes)

    def test_the_module_loads_nothing_heavy(self) -> None:
        code = (
            "import sys, petra_server.settings\n"
            "print(sorted({'grpc', 'rocksdict', 'structlog', 'click', 'google.protobuf'} & set(sys.modules)))"
        )
        path = str(ROOT / "server")
        done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert (done.stdout.strip(), done.stderr) == ("[]", "")


class TestAddress:
    @pytest.mark.parametrize(
        ("listen", "expected"),
        [
            ("127.0.0.1:7475", ("127.0.0.1", 7475)),
            ("localhost:0", ("localhost", 0)),
            ("[::1]:0", ("::1", 0)),
            ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
        ],
    )
    def test_host_and_port(self, listen: str, expected: tuple[str, int]) -> None:
        assert split_address(listen) == expected

    @pytest.mark.parametrize(
        "listen",
        ["", "localhost", ":7475", "::1:7475", "[::1]", "localhost:", "localhost:65536", "a:b", "http://a:1", "a b:1"],
    )
    def test_anything_else_is_refused_with_an_example(self, listen: str) -> None:
        with pytest.raises(ValueError, match=re.escape("such as 127.0.0.1:7475 or [::1]:7475")):
            split_address(listen)


class TestPrecedence:
    @pytest.mark.parametrize(
        ("by_flag", "by_variable", "by_file"), list(itertools.product([True, False], repeat=3)), ids=str
    )
    def test_flags_then_environment_then_file_then_default(
        self, by_flag: bool, by_variable: bool, by_file: bool
    ) -> None:
        loaded = resolve(
            flags={"max_batch_items": "1"} if by_flag else {},
            environ={"PETRA_MAX_BATCH_ITEMS": "2"} if by_variable else {},
            file=ConfigFile("/etc/petra.toml", "max_batch_items = 3") if by_file else None,
        )
        layers = [
            (by_flag, 1, Source(Layer.FLAG, "--max-batch-items")),
            (by_variable, 2, Source(Layer.ENVIRONMENT, "PETRA_MAX_BATCH_ITEMS")),
            (by_file, 3, Source(Layer.FILE, "/etc/petra.toml")),
            (True, 1024, Source(Layer.DEFAULT)),
        ]
        expected = next((value, source) for given_there, value, source in layers if given_there)
        assert (loaded.settings.max_batch_items, loaded.sources["max_batch_items"]) == expected

    def test_every_field_has_a_source(self) -> None:
        loaded = resolve(flags={"actors": "5"}, environ={"PETRA_LISTEN": "[::1]:0"})
        assert list(loaded.sources) == list(CATALOGUE)
        given_somewhere = {name for name, source in loaded.sources.items() if source.layer is not Layer.DEFAULT}
        assert given_somewhere == {"actors", "listen"}

    def test_a_stronger_layer_can_unset_an_optional_path(self) -> None:
        file = ConfigFile("petra.toml", 'tls_cert = "c.pem"\ntls_key = "k.pem"')
        loaded = resolve(flags={"tls_cert": ""}, environ={"PETRA_TLS_KEY": ""}, file=file)
        assert (loaded.settings.tls_cert, loaded.settings.tls_key) == (None, None)


class TestFile:
    def test_config_wins_over_petra_config(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one.toml", tmp_path / "two.toml"
        one.write_text("actors = 1")
        two.write_text("actors = 2")
        environ = {"PETRA_CONFIG": str(two)}
        assert load(flags={}, environ=environ, config=one).settings.actors == 1
        loaded = load(flags={}, environ=environ)
        assert (loaded.settings.actors, loaded.sources["actors"]) == (2, Source(Layer.FILE, str(two)))

    def test_without_either_no_file_is_read(self) -> None:
        assert load(flags={}, environ={"PETRA_CONFIG": ""}).settings == Settings()

    def test_an_unreadable_file_is_reported_with_everything_else(self, tmp_path: Path) -> None:
        missing = tmp_path / "none.toml"
        with pytest.raises(SettingsError) as caught:
            load(flags={}, environ={"PETRA_CONFIG": str(missing), "PETRA_ACTORS": "many"})
        assert caught.value.problems[0] == f"PETRA_CONFIG: {missing} cannot be read: No such file or directory"
        assert caught.value.problems[1].startswith("PETRA_ACTORS: 'many' is not a whole number")

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        binary = tmp_path / "petra.toml"
        binary.write_bytes(b"\xff\xfe")
        with pytest.raises(SettingsError, match="is not a text file in UTF-8"):
            load(flags={}, environ={}, config=binary)

    def test_broken_toml_says_where(self) -> None:
        assert re.search(r"petra\.toml: this is not TOML: .*line 2", str(refusal(file="actors = 1\nactors = = 2")))

    def test_values_of_toml_are_typed(self) -> None:
        file = (
            'max_value_bytes = "1MiB"\ncache_bytes = 4096\ngrace_seconds = 5\nreflection = false\ndata = "/srv/petra"'
        )
        settings = resolve(flags={}, environ={}, file=ConfigFile("petra.toml", file)).settings
        assert settings == Settings(
            max_value_bytes=MIB, cache_bytes=4096, grace_seconds=5.0, reflection=False, data=Path("/srv/petra")
        )

    @pytest.mark.parametrize(
        "line",
        [
            "actors = true", "actors = 1.0", "actors = []", "cache_bytes = 1.5", "listen = 7475", "data = 1",
            "reflection = 1", "grace_seconds = false", "log_level = 3", "tls_cert = false", "grace_seconds = 07:30:00",
            "data = {a = 1}", "data = ''", "cache_bytes = 'big'",
        ],
    )  # fmt: skip
    def test_values_of_another_type_are_refused(self, line: str) -> None:
        (problem,) = refusal(file=line).problems
        assert re.match(rf"petra\.toml: {line.split(maxsplit=1)[0]}: .+ is not a.*: write ", problem)


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("key", "advice"),
        [
            ("max_vlaue_bytes", "did you mean max_value_bytes?"),
            ("max-value-bytes", "did you mean max_value_bytes?"),
            ("PETRA_DATA", "did you mean data?"),
            ("tls_certificate", "did you mean tls_cert?"),
            ("zzz", "`petra config` lists all settings"),
        ],
    )
    def test_in_the_file(self, key: str, advice: str) -> None:
        assert refusal(file=f"{key} = 1").problems == (f"petra.toml: there is no setting {key}; {advice}",)

    def test_a_table_in_the_file(self) -> None:
        (problem,) = refusal(file="[storage]\ncache_bytes = 1").problems
        assert problem == "petra.toml: there is no table [storage]; settings stand at the top, under no table"

    @pytest.mark.parametrize(
        ("variable", "advice"),
        [
            ("PETRA_CACHE_BYTE", "did you mean PETRA_CACHE_BYTES?"),
            ("PETRA_cache_bytes", "did you mean PETRA_CACHE_BYTES?"),
            ("PETRA_PORT", "`petra config` lists all settings"),
        ],
    )
    def test_in_the_environment(self, variable: str, advice: str) -> None:
        assert refusal(environ={variable: "7475"}).problems == (f"{variable}: there is no such setting; {advice}",)

    def test_among_the_flags_of_a_caller(self) -> None:
        assert refusal(flags={"actor": "1"}).problems == ("actor: there is no such flag; did you mean actors?",)

    def test_other_programs_variables_are_none_of_our_business(self) -> None:
        environ = {"PATH": "/bin", "PETRA": "x", "_PETRA_COMPLETE": "bash_source", "petra_data": "x", "REDIS_URL": "x"}
        assert resolve(flags={}, environ=environ).settings == Settings()

    def test_the_variables_of_a_kubernetes_service_named_petra_are_no_mistakes(self) -> None:
        environ = {
            "PETRA_SERVICE_HOST": "10.0.0.1",
            "PETRA_SERVICE_PORT": "7475",
            "PETRA_SERVICE_PORT_GRPC": "7475",
            "PETRA_PORT": "tcp://10.0.0.1:7475",
            "PETRA_PORT_7475_TCP": "tcp://10.0.0.1:7475",
            "PETRA_PORT_7475_TCP_PROTO": "tcp",
            "PETRA_PORT_7475_TCP_PORT": "7475",
            "PETRA_PORT_7475_TCP_ADDR": "10.0.0.1",
            "PETRA_CANARY_SERVICE_HOST": "10.0.0.2",
            "PETRA_CANARY_PORT": "tcp://10.0.0.2:7475",
        }
        assert resolve(flags={}, environ=environ).settings == Settings()


class TestErrors:
    def test_everything_wrong_is_said_at_once_with_its_place(self) -> None:
        error = refusal(
            flags={"actors": "x", "listen": "nowhere"},
            environ={"PETRA_LOG_LEVEL": "loud", "PETRA_CACHE": "1", "PETRA_REFLECTION": "maybe"},
            file='max_streams = "many"\nunknown_thing = 1\nwal_bytes = 1',
        )
        places = {problem.split(": ")[0] for problem in error.problems}
        assert places == {
            "--actors", "--listen", "PETRA_LOG_LEVEL", "PETRA_CACHE", "PETRA_REFLECTION", "petra.toml",
        }  # fmt: skip
        assert len(error.problems) == 8
        assert str(error) == "\n  ".join(["8 settings cannot be used:", *error.problems])

    def test_values_in_contradiction_are_shown_with_the_place_of_each(self) -> None:
        (problem,) = refusal(
            flags={"max_value_bytes": "3MiB"}, environ={"PETRA_MAX_MESSAGE_BYTES": "3MiB"}, file="max_page_bytes = 1"
        ).problems
        assert problem == (
            "--max-value-bytes: must be less than max_message_bytes, or the largest value fits in no message "
            "(max_value_bytes is 3MiB by flag --max-value-bytes, "
            "max_message_bytes is 3MiB by environment PETRA_MAX_MESSAGE_BYTES)"
        )

    def test_a_value_that_cannot_be_read_is_not_judged_by_its_default(self) -> None:
        (problem,) = refusal(flags={"max_message_bytes": "a lot", "max_value_bytes": "16MiB"}).problems
        assert problem.startswith("--max-message-bytes: 'a lot' is not a size")

    def test_only_the_value_that_counts_is_judged(self) -> None:
        assert resolve(flags={"actors": "1"}, environ={"PETRA_ACTORS": "x"}).settings.actors == 1

    def test_a_long_wrong_value_is_shown_in_part(self) -> None:
        assert len(str(refusal(environ={"PETRA_ACTORS": "x" * 10_000}))) < 300

    @given(st.sampled_from(sorted(CATALOGUE)), st.text(max_size=40))
    def test_any_text_is_accepted_or_refused_with_its_place(self, name: str, text: str) -> None:
        variable = CATALOGUE[name].variable
        problems: tuple[str, ...] = ()
        try:
            loaded = resolve(flags={}, environ={variable: text})
        except SettingsError as error:
            problems = error.problems
        else:
            assert loaded.sources[name] == Source(Layer.ENVIRONMENT, variable)
        assert all(problem.startswith(f"{variable}: ") for problem in problems)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("true", True),
            ("YES", True),
            ("on", True),
            ("1", True),
            ("false", False),
            ("No", False),
            ("off", False),
            ("0", False),
        ],
    )
    def test_switches(self, text: str, value: bool) -> None:
        assert resolve(flags={}, environ={"PETRA_REFLECTION": text}).settings.reflection is value


def test_the_page_about_the_settings_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "run: petra config --markdown > docs/settings.md"
