"""That the comparison of data models runs, and that it fails when an answer is wrong; its figures mean nothing here."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest

from bench.datamodel import load, run, work
from bench.datamodel.load import Settings
from bench.datamodel.work import Found
from bench.petra import PetraServer
from bench.process import BenchError
from bench.report import Folders

pytestmark = pytest.mark.slow


def folders(tmp_path: Path) -> Folders:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Folders(scratch=scratch, results=tmp_path / "results")


@pytest.mark.timeout(300)
def test_a_read_and_a_write_beside_sqlmodel(capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder of its own that any user may enter: PostgreSQL does not run as root."""
    for module in ("sqlmodel", "asyncpg"):
        pytest.importorskip(module)
    with tempfile.TemporaryDirectory() as folder:
        found = Folders(scratch=Path(folder), results=Path(folder) / "results")
        options = run.Options(rounds=1, seconds=0.1, records=400, tasks=8, connections=4, only=["page", "create"])
        outcomes = run.measure(options, found)
        told = json.loads((found.results / "datamodel.json").read_text(encoding="utf-8"))
    if told["skipped"]:
        pytest.skip(told["skipped"][0])
    assert [outcome.contest.name for outcome in outcomes] == ["page", "create"]
    for outcome in outcomes:
        for contestant in (run.PETRA, run.SQLMODEL):
            assert outcome.rates(contestant).median > 0
    assert told["versions"]["postgresql"]
    assert "create, 8 tasks" in capsys.readouterr().out


def test_without_postgresql_petra_is_measured_and_the_output_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.peers.postgres._PROGRAMS", tmp_path)
    options = run.Options(rounds=1, seconds=0.1, records=400, tasks=8, only=["get"])
    (outcome,) = run.measure(options, folders(tmp_path))
    assert outcome.rates(run.PETRA).median > 0
    assert outcome.ratios(run.PETRA) is None
    assert "SKIPPED: PostgreSQL is not installed" in capsys.readouterr().out


def test_a_load_fails_when_an_article_is_missing(tmp_path: Path) -> None:
    with PetraServer(tmp_path / "petra") as server:

        async def half() -> None:
            async with work.library("petra").opened(server.address, 1, 1) as articles:
                await articles.prepare()
                await articles.fill(0, 100)

        asyncio.run(half())
        settings = Settings("petra", work.GET, server.address, server.pid, 4, 1, 200, 0, 1, 2.0, 0.0)
        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(load.measured(settings))
    assert caught.group_contains(AssertionError)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (Found(50, [("a", 7, "done", 5)] * 20), None),
        (Found(50, [("a", 7, "done", 5)] * 19), "19 of 50 articles"),
        (Found(39, [("a", 7, "done", 5)] * 20), "20 of 39 articles"),
        (Found(50, [("a", 7, "done", 5)] * 19 + [("b", 8, "done", 5)]), "another project"),
        (Found(50, [("a", 7, "done", 5)] * 19 + [("b", 7, "draft", 5)]), "another project or status"),
        (Found(50, [("a", 7, "done", 5)] * 19 + [("b", 7, "done", 6)]), "out of order"),
    ],
)
def test_what_is_wrong_with_a_page(found: Found, fault: str | None) -> None:
    said = work.fault_of(found, 7, "done")
    assert said == fault if fault is None else fault in (said or "")


def test_an_acknowledged_write_that_is_missing_ends_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "expected", lambda before, calls: work.Totals(before.articles + 1, before.updates))
    options = run.Options(rounds=1, seconds=0.05, records=400, tasks=8, only=["get"], alone=True)
    with pytest.raises(BenchError, match="was acknowledged"):
        run.measure(options, folders(tmp_path))
