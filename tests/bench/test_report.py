from __future__ import annotations

import json
import socket
from pathlib import Path

from bench import report
from bench.runs import Contest, Contestant, Outcome, Sample, Target


def outcome(rate: float) -> Outcome:
    contest = Contest(
        name="get",
        title="Get",
        unit="calls/s",
        contestants=[Contestant("echo", lambda: Sample(0)), Contestant("petra", lambda: Sample(0))],
        baseline="echo",
        subject="petra",
        targets=[Target("petra", 0.85), Target("petra", 9_000, at_baseline=12_000)],
    )
    return Outcome(contest, {"echo": [Sample(1000)], "petra": [Sample(rate, {"p50_ms": 1.5, "p99_ms": 2.5})]})


def test_a_table_has_a_row_for_each_contestant_with_ratios_and_targets() -> None:
    _, _, echo, petra = report.outcome_table(outcome(800)).splitlines()
    assert echo.split() == ["echo", "1,000", "1,000", "1,000", "0.80"]
    assert petra.split()[:7] == ["petra", "800", "800", "800", "1.50", "2.50", "0.80"]
    assert petra.endswith(">= 0.85 x: MISSED, >= 9,000: MISSED, >= 0.75 x: met")


def test_the_json_has_every_run_and_the_ratios() -> None:
    told = report.outcome_json(outcome(800))
    assert told["contestants"] == {
        "echo": {
            "rate": {"median": 1000, "min": 1000, "max": 1000, "runs": [1000]},
            "beside": {},
            "of_baseline": None,
            "subject_of_it": {"median": 0.8, "min": 0.8, "max": 0.8, "runs": [0.8]},
            "beside_of_baseline": {},
        },
        "petra": {
            "rate": {"median": 800, "min": 800, "max": 800, "runs": [800]},
            "beside": {
                "p50_ms": {"median": 1.5, "min": 1.5, "max": 1.5, "runs": [1.5]},
                "p99_ms": {"median": 2.5, "min": 2.5, "max": 2.5, "runs": [2.5]},
            },
            "of_baseline": {"median": 0.8, "min": 0.8, "max": 0.8, "runs": [0.8]},
            "subject_of_it": None,
            "beside_of_baseline": {},
        },
    }


def test_what_was_seen_beside_the_rates_is_compared_where_the_contest_says_so() -> None:
    contest = Contest(
        name="get",
        title="Get",
        unit="calls/s",
        contestants=[Contestant("redis", lambda: Sample(0)), Contestant("petra", lambda: Sample(0))],
        baseline="redis",
        compared=("p50_ms",),
    )
    samples = {"redis": [Sample(1000, {"p50_ms": 0.5})], "petra": [Sample(1000, {"p50_ms": 0.125})]}
    held = Outcome(contest, samples)
    header, _, redis, petra = report.outcome_table(held).splitlines()
    assert header.endswith("/ redis  p50 ms / redis")
    assert redis.split() == ["redis", "1,000", "1,000", "1,000", "0.500"]
    assert petra.split() == ["petra", "1,000", "1,000", "1,000", "0.125", "1.00", "0.25"]
    told = report.outcome_json(held)["contestants"]
    assert isinstance(told, dict)
    assert told["redis"]["beside_of_baseline"] == {}
    assert told["petra"]["beside_of_baseline"]["p50_ms"]["median"] == 0.25


def test_the_results_name_versions_and_no_machine(tmp_path: Path) -> None:
    folders = report.Folders(scratch=tmp_path, results=tmp_path / "results")
    path = report.write_results("get", {"rounds": 1}, folders, {"contests": [report.outcome_json(outcome(800))]})
    text = path.read_text(encoding="utf-8")
    told = json.loads(text)
    assert told["name"] == "get"
    assert told["settings"] == {"rounds": 1}
    assert told["environment"]["cpus"] >= 1
    assert told["environment"]["packages"]["grpcio"]
    assert socket.gethostname() not in text
    assert str(tmp_path) not in text
