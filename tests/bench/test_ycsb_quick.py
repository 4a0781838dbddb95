from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.report import Folders
from bench.ycsb import run as ycsb


def options(workloads: str, transport: str, scan: str) -> ycsb.Options:
    return ycsb.Options(
        workloads=list(workloads),
        transport=transport,
        rounds=1,
        records=300,
        operations=600,
        clients=2,
        in_flight=16,
        scan=scan,
    )


# Every run checks its own outcome against the model and fails when something is wrong.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("workloads", "transport", "scan"),
    [("ABCDEF", "pipeline", "object"), ("AEF", "unary", "flat")],
    ids=["pipeline", "unary"],
)
def test_the_workloads_leave_the_store_as_they_were_told(
    workloads: str, transport: str, scan: str, tmp_path: Path
) -> None:
    runs = ycsb.measure(options(workloads, transport, scan), Folders(scratch=tmp_path, results=tmp_path / "results"))
    assert list(runs) == list(workloads)
    for name, (run,) in runs.items():
        assert run.failures == [], name
        assert sum(map(len, run.latencies_ms.values())) == 600, name
        assert run.acknowledged >= 300, name
    told = json.loads((tmp_path / "results" / "ycsb.json").read_text(encoding="utf-8"))
    assert list(told["workloads"]) == list(workloads)
