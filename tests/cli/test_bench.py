from __future__ import annotations

import asyncio
import signal
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra.cli.bench.command import parse_mix
from petra.cli.bench.load import Load, Plan, Result
from petra.cli.bench.report import text_table
from petra.cli.latencies import Latencies
from petra.testing import TestServer
from tests.cli.runner import COMMAND, Cli, environment


class TestLatencies:
    @given(st.lists(st.floats(1e-6, 1e3), min_size=1), st.floats(0, 1))
    def test_percentiles_are_as_exact_as_their_steps(self, seconds: list[float], part: float) -> None:
        latencies = Latencies()
        for each in seconds:
            latencies.add(each)
        found = latencies.percentile(part)
        ordered = sorted(seconds)
        # The least one that so large a part does not exceed, or a step more.
        exact = ordered[max(0, -int(-len(ordered) * part // 1) - 1)]
        assert exact * 0.999 <= found <= exact * 1.0201
        assert latencies.longest == ordered[-1]

    @given(st.lists(st.floats(0, 10)), st.lists(st.floats(0, 10)))
    def test_two_together_are_as_one(self, some: list[float], others: list[float]) -> None:
        first, second, both = Latencies(), Latencies(), Latencies()
        for latencies, values in ((first, some), (second, others), (both, some + others)):
            for each in values:
                latencies.add(each)
        first.merge(second)
        assert first.count == both.count
        assert [first.percentile(part) for part in (0.5, 0.9, 1)] == [both.percentile(part) for part in (0.5, 0.9, 1)]

    def test_none(self) -> None:
        assert Latencies().percentile(0.5) == 0


@pytest.mark.parametrize(("text", "mix"), [("80/20", (80, 20)), ("1:0", (1, 0)), ("0/5", (0, 5))])
def test_ratios(text: str, mix: tuple[int, int]) -> None:
    assert parse_mix(text) == mix


def test_a_count_is_made_exactly(cli: Cli) -> None:
    rows = cli.json_lines("bench", "--count", "500", "--keys", "20", "--tasks", "7", "--clients", "3", "--mix", "3/1")
    assert [row["operation"] for row in rows] == ["get", "set", "all"]
    assert rows[2]["count"] == rows[0]["count"] + rows[1]["count"] == 500
    assert rows[0]["count"] > rows[1]["count"] > 0
    for row in rows:
        assert row["errors"] == 0
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["max_ms"]


def test_one_kind_of_call_alone(cli: Cli) -> None:
    rows = cli.json_lines("bench", "--count", "50", "--keys", "5", "--mix", "0/1", "--durability", "buffered")
    assert [row["operation"] for row in rows] == ["set", "all"]


def test_a_duration_ends_it(cli: Cli) -> None:
    lines = cli.out("bench", "--duration", "200ms", "--keys", "5", "--value-size", "0").splitlines()
    assert lines[0].split() == ["calls", "calls/s", "errors", "p50", "ms", "p90", "ms", "p99", "ms", "max", "ms"]
    assert [line.split()[0] for line in lines[1:]] == ["get", "set", "all"]


def test_nothing_is_left_behind(cli: Cli) -> None:
    cli.out("bench", "--count", "50", "--keys", "50")
    assert cli.out("namespaces", "petra-bench-") == ""


def test_nothing_is_left_behind_when_it_is_interrupted(fresh_server: TestServer) -> None:
    cli = Cli(fresh_server.address)
    with subprocess.Popen(
        [*COMMAND, "bench", "--duration", "1h", "--keys", "50"],
        env=environment(**cli.variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while not cli.out("namespaces"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said.strip()) == (130, b"", b"")
    assert cli.out("namespaces") == ""


def test_failed_calls_are_counted_and_named(shared_server: TestServer) -> None:
    plan = Plan(tasks=2, clients=1, seconds=None, count=6, keys=1, value_bytes=3 << 20, gets=0, sets=1)

    async def main() -> Load:
        from petra import AsyncClient

        load = Load(plan, lambda: AsyncClient(shared_server.address), lambda **_: None)
        async with AsyncClient(shared_server.address) as client:
            await load._call([client.namespace("failing")])
        return load

    load = asyncio.run(main())
    (row, total) = load.results()
    assert (row.errors, row.latencies.count, total.errors) == (6, 0, 6)
    assert sum(load.failures.values()) == 6


def test_values_that_are_too_large_for_the_server_are_a_sentence(cli: Cli) -> None:
    result = cli("bench", "--count", "1", "--keys", "1", "--value-size", str(3 << 20))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_the_table_has_its_columns() -> None:
    result = Result("get", seconds=2.0)
    result.latencies.add(0.0015)
    head, row = text_table([result]).splitlines()
    assert len(head) == len(row)
    assert row.split() == ["get", "1", "0", "0", "1.50", "1.50", "1.50", "1.50"]
