"""That the comparison of rate limits runs, and that it fails when a check went wrong; its figures mean nothing here."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.client.with_petra import PetraStore
from bench.process import BenchError
from bench.ratelimit import load, run
from bench.ratelimit.limiters import Limiter
from bench.ratelimit.load import Settings
from bench.report import Folders

pytestmark = pytest.mark.slow


def folders(tmp_path: Path) -> Folders:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Folders(scratch=scratch, results=tmp_path / "results")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_contests_beside_limits_on_redis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("limits")
    pytest.importorskip("redis")
    contests = ["fixed-window-durable", "sliding-window"]
    outcomes = run.measure(run.Options(rounds=1, seconds=0.05, only=contests), folders(tmp_path))
    assert [outcome.contest.name for outcome in outcomes] == contests
    for outcome in outcomes:
        ratios = outcome.ratios("petra")
        assert ratios is not None
        assert ratios.median > 0
    told = json.loads((tmp_path / "results" / "ratelimit.json").read_text(encoding="utf-8"))
    durable, sliding = (contest["servers"]["limits"]["durability"] for contest in told["contests"])
    assert "appendfsync always" in durable
    assert "appendfsync everysec" in sliding
    assert "sliding window, 64 tasks" in capsys.readouterr().out


def test_without_redis_petra_is_measured_and_the_output_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (outcome,) = run.measure(run.Options(rounds=1, seconds=0.05, only=["fixed-window"]), folders(tmp_path))
    assert outcome.rates("petra").median > 0
    assert "SKIPPED: " in capsys.readouterr().out


def settings(store: PetraStore) -> Settings:
    return Settings("petra", store.address, store.pid, "fixed_window", False, "key", 4, 3, 0.05, 0.01)


@pytest.mark.parametrize(
    ("allowed", "charged", "sentence"),
    [(True, 0, "was allowed"), (False, None, "has denied")],
    ids=["charged nothing", "denied"],
)
def test_it_fails_when_a_check_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool, charged: int | None, sentence: str
) -> None:
    @asynccontextmanager
    async def wrong(*_: object, **__: object) -> AsyncIterator[Limiter]:
        async def check(key: str) -> bool:
            await asyncio.sleep(0)
            return allowed

        async def count(key: str) -> int:
            assert charged is not None
            return charged

        yield Limiter(check, count)

    monkeypatch.setattr(load, "limiter", wrong)
    with PetraStore(tmp_path / "data") as store:
        with pytest.raises((BenchError, ExceptionGroup)) as caught:
            asyncio.run(load.measure(settings(store)))
        errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else [caught.value]
        assert all(isinstance(error, BenchError) and sentence in str(error) for error in errors)
