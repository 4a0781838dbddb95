"""That the measurements run, and say what they should; their figures mean nothing here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench import h2load, peers, server
from bench.large import run as large
from bench.report import Folders
from bench.sql import run as sql

pytestmark = pytest.mark.slow


def folders(tmp_path: Path) -> Folders:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Folders(scratch=scratch, results=tmp_path / "results")


@pytest.mark.skipif(shutil.which("h2load") is None, reason=f"h2load is not installed. {h2load.HOW_TO_GET}")
def test_contests_of_every_kind_with_the_echo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contests = [peers.SET, peers.SET_MANY, peers.PIPELINE_GET]
    options = server.Options(rounds=1, seconds=0.1, only=contests, alone=True)
    outcomes = server.measure(options, folders(tmp_path))
    assert [outcome.contest.name for outcome in outcomes] == contests
    assert all(outcome.rates("petra").median > 0 for outcome in outcomes)
    told = json.loads((tmp_path / "results" / "server.json").read_text(encoding="utf-8"))
    assert set(told["servers"]) == {"petra", "grpc.aio echo"}
    assert "durable Set, 64 in flight" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("h2load") is None, reason=f"h2load is not installed. {h2load.HOW_TO_GET}")
def test_statements_beside_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql.measure(sql.Options(rounds=1, seconds=0.1, rows=2_000, large_bytes=1 << 20, alone=True), folders(tmp_path))
    told = json.loads((tmp_path / "results" / "sql.json").read_text(encoding="utf-8"))
    assert {"upsert", "query", "read", "bulk", "large", "noisy", "page_size"} <= set(told)
    assert "durable upserts" in capsys.readouterr().out


def test_a_store_that_is_large_for_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large.measure(large.Options(rounds=1, keys=2_000, seconds=0.1), folders(tmp_path))
    told = json.loads((tmp_path / "results" / "large.json").read_text(encoding="utf-8"))
    assert [store["name"] for store in told["stores"]] == ["10,000 keys", "2,000 keys"]
    assert "SIGKILL under writes to serving" in capsys.readouterr().out
