"""That the comparison of clients runs, and that it fails when an answer is wrong; its figures mean nothing here."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from bench.client import library, load, run
from bench.client.library import Load
from bench.client.load import Settings
from bench.client.with_petra import PetraStore
from bench.process import BenchError
from bench.report import Folders

pytestmark = pytest.mark.slow


def folders(tmp_path: Path) -> Folders:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Folders(scratch=scratch, results=tmp_path / "results")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_contests_of_every_kind_beside_redis_py(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("redis")
    contests = ["set-64", "get-512", "sync-set-16", "group-get", "group-set"]
    options = run.Options(rounds=1, seconds=0.05, only=contests)
    outcomes = run.measure(options, folders(tmp_path))
    assert [outcome.contest.name for outcome in outcomes] == contests
    for outcome in outcomes:
        for contestant in outcome.contest.contestants:
            assert outcome.rates(contestant.name).median > 0, contestant.name
    ratios = outcomes[0].ratios("petra")
    assert ratios is not None
    assert ratios.median > 0
    told = json.loads((tmp_path / "results" / "client.json").read_text(encoding="utf-8"))
    assert "redis-py" in told["libraries"]["redis-py"]["version"]
    assert told["skipped"] == []
    assert "durable set, 64 tasks" in capsys.readouterr().out


def test_without_redis_petra_is_measured_and_the_output_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (outcome,) = run.measure(run.Options(rounds=1, seconds=0.05, only=["get-64"]), folders(tmp_path))
    assert outcome.rates("petra").median > 0
    assert outcome.ratios("petra") is None
    told = capsys.readouterr().out
    assert "SKIPPED: redis" in told
    assert "install redis" in told


@pytest.mark.parametrize("threads", [False, True], ids=["tasks", "threads"])
def test_a_load_fails_when_a_value_is_not_what_was_written(threads: bool, tmp_path: Path) -> None:
    reading = Load("petra", library.GET, callers=2, threads=threads)
    with PetraStore(tmp_path / "petra") as store:
        settings = Settings(
            load=reading,
            address=store.address,
            server_pid=store.pid,
            value_bytes=64,
            seconds=0.05,
            warm_up_seconds=0.05,
        )
        for script in reading.scripts(64):
            # What the first step writes, and not what is there before it.
            store.write("", {**script.contents(), **script.steps[0]})
        if threads:
            with pytest.raises(BenchError, match="was read as"):
                load.run_threads(settings)
        else:
            with pytest.raises(ExceptionGroup) as raised:
                asyncio.run(load.run_tasks(settings))
            assert all("was read as" in str(error) for error in raised.value.exceptions)
