from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from petra import ActorInfo, Limits, ServerInfo
from petra.cli.top.figures import Sample, figures, percentile_ms
from petra.cli.top.view import OTHER_ROWS, frame, sparkline, unreachable
from petra.testing import TestServer
from tests.cli.runner import Cli
from tests.cli.terminals import terminal

START = datetime(2026, 10, 17, tzinfo=UTC)
INFO = ServerInfo(
    version="1.2.3", data_id="id", created_at=START, started_at=START, now=START + timedelta(hours=2), format_version=1,
    actors=2, writable=True, disk_free_bytes=10 << 30, disk_reserve_bytes=1 << 30,
    open_databases=3, sql_memory_bytes=1 << 20,
    limits=Limits(*range(1, 1 + len(Limits.__slots__))),
)  # fmt: skip
IDLE = ActorInfo(
    index=0, first_slot=0, last_slot=8_191, queue_depth=0, keys=10, keys_estimated=False, version=5, cache_bytes=1_000,
    cache_entries=10, cache_hits=50, cache_misses=50, turns=100, operations=1_000, swept=0, statements=0,
)  # fmt: skip
BUSY = dataclasses.replace(IDLE, index=1, queue_depth=3)


def sample(at: float, *actors: ActorInfo, info: ServerInfo = INFO, probes: tuple[float, ...] = ()) -> Sample:
    return Sample(at, info, actors, probes)


class TestFigures:
    def test_rates_are_of_the_time_in_between_and_the_busiest_actor_comes_first(self) -> None:
        later = dataclasses.replace(BUSY, operations=1_200, turns=110, cache_hits=80, cache_misses=60, swept=4)
        found = figures(sample(10, IDLE, BUSY), sample(12, IDLE, later, probes=(0.001, 0.002, 0.003)))
        assert (found.operations_per_second, found.turns_per_second, found.swept_per_second) == (100, 5, 2)
        assert found.cache_hits_percent == 75
        assert (found.queue_depth, found.keys, found.cache_bytes, found.cache_entries) == (3, 20, 2_000, 20)
        assert (found.ping_p50_ms, found.ping_p99_ms) == (2, 3)
        assert [actor.index for actor in found.actors] == [1, 0]
        assert [actor.operations_per_second for actor in found.actors] == [100, 0]
        assert [actor.cache_hits_percent for actor in found.actors] == [75, None]
        assert found.uptime_seconds == 7_200

    def test_a_server_that_was_restarted_counts_from_zero(self) -> None:
        fresh = dataclasses.replace(IDLE, operations=10)
        again = dataclasses.replace(INFO, started_at=START + timedelta(hours=1))
        assert figures(sample(0, IDLE), sample(1, fresh, info=again)).operations_per_second == 10

    def test_nothing_happened(self) -> None:
        found = figures(sample(0, IDLE), sample(0, IDLE))
        assert (found.operations_per_second, found.cache_hits_percent, found.ping_p50_ms) == (0, None, None)

    @pytest.mark.parametrize(("part", "ms"), [(0.0, 1_000), (0.5, 2_000), (0.51, 3_000), (0.99, 4_000), (1.0, 4_000)])
    def test_percentiles(self, part: float, ms: float) -> None:
        assert percentile_ms([4, 1, 3, 2], part) == ms


class TestView:
    def shown(self, width: int, *, note: str = "", rows: int = 5, **changes: Any) -> str:  # noqa: ANN401 - fields of Figures
        many = [dataclasses.replace(BUSY, index=index, operations=1_000 + index * 1_000_000) for index in range(9)]
        found = figures(sample(0, *[dataclasses.replace(BUSY, index=index) for index in range(9)]), sample(1, *many))
        out = io.StringIO()
        console = Console(file=out, width=width, height=30)
        found = dataclasses.replace(found, **changes)
        console.print(frame("localhost:7475", found, history=[1.0, 2.0, 4.0], rows=rows, note=note))
        return out.getvalue()

    def test_everything_is_there_and_nothing_is_cut_at_the_usual_width(self) -> None:
        text = self.shown(80, ping_p50_ms=1.5, ping_p99_ms=123.456)
        for part in ("localhost:7475", "Petra 1.2.3", "up 2 h", "10.0 GiB", "36,000,000", "1.50 ms", "123.46 ms", "27"):
            assert part in text
        assert "…" not in text
        assert "▂▄█" in text.replace("▃", "▂").replace("▅", "▄")

    def test_the_busiest_actors_are_shown_and_no_more(self) -> None:
        rows = self.shown(80, rows=3).split("cache size")[-1].splitlines()[1:]
        assert [row.split()[0] for row in rows] == ["8", "7", "6"]

    def test_it_fits_into_the_rows_it_says(self) -> None:
        lines = self.shown(80, rows=3, note="petra is unreachable").splitlines()
        assert len(lines) <= OTHER_ROWS + 3

    def test_what_is_wrong_stands_at_the_top(self) -> None:
        assert "DISK NEARLY FULL" in self.shown(120, writable=False)
        assert "the connection was lost" in self.shown(80, note="the connection was lost")
        out = io.StringIO()
        Console(file=out, width=80).print(unreachable("localhost:7475", "refused"))
        assert "refused" in out.getvalue()

    def test_an_estimate_says_so(self) -> None:
        assert "~90" in self.shown(80, keys_estimated=True)

    def test_sparkline(self) -> None:
        assert sparkline([0, 1, 8]) == "▁▂█"
        assert sparkline([0, 0]) == "▁▁"
        assert sparkline([]) == ""


def test_one_frame(cli: Cli) -> None:
    text = cli.out("top", "--once", "--interval", "10ms", "--actors", "3")
    assert "operations/s" in text
    assert len(text.split("cache size")[-1].splitlines()) == 4


def test_json_counts_what_was_done(cli: Cli, shared_server: TestServer) -> None:
    before = cli.json("top", "--once", "-i", "10ms")
    cli.out("bench", "--count", "300", "--keys", "10", "--no-progress")
    cli.out("set", "k", "v")
    after = cli.json("top", "--once", "-i", "10ms", "--actors", "100")
    assert len(after["actors"]) == 8
    assert after["keys"] == before["keys"] + 1


def head_widths(text: str) -> list[int]:
    """How wide the frames are."""
    return [len(head) for head in re.findall(r"╭─ petra top  \S+ ─+╮", text)]


LEAVES_THE_SCREEN = "\x1b[?1049l"


class TestScreen:
    @pytest.mark.parametrize("end", [b"q", signal.SIGTERM, signal.SIGINT], ids=repr)
    def test_it_shows_frames_until_it_is_ended(self, shared_server: TestServer, end: bytes | signal.Signals) -> None:
        with terminal("top", "-s", shared_server.address, "-i", "50ms") as screen:
            screen.until(lambda text: text.count("operations/s") >= 4)
            if isinstance(end, bytes):
                screen.press(end)
            else:
                screen.process.send_signal(end)
            assert LEAVES_THE_SCREEN in screen.rest()
            assert screen.process.returncode == 0

    def test_a_server_that_goes_away_is_waited_for(self) -> None:
        with (
            TestServer() as server,
            terminal("top", "-s", server.address, "-i", "50ms", "--timeout", "500ms") as screen,
        ):
            address = server.address
            screen.until(lambda text: "operations/s" in text)
            server.stop()
            screen.until(lambda text: "Tried for" in text or "refused" in text or "No connection" in text)
            with TestServer(listen=address):
                screen.until(lambda text: "waiting" in text and "refused" not in text.rsplit("petra top", 1)[-1])
                screen.press(b"q")
                assert LEAVES_THE_SCREEN in screen.rest()
            assert screen.process.returncode == 0

    def test_a_new_size_of_the_terminal_is_used(self, shared_server: TestServer) -> None:
        with terminal("top", "-s", shared_server.address, "-i", "1h") as screen:
            # The first frame comes soon, whatever the interval.
            screen.until(lambda text: 100 in head_widths(text))
            screen.resize(24, 80)
            screen.until(lambda text: 80 in head_widths(text))
            screen.press(b"q")
            screen.rest()


def test_progress_bars_are_on_a_terminal_only(shared_server: TestServer, tmp_path: os.PathLike[str]) -> None:
    file = os.path.join(tmp_path, "file")  # noqa: PTH118
    with terminal("export", file, "-s", shared_server.address) as screen:
        text = screen.rest()
        assert screen.process.returncode == 0
    assert "entries" in text
    assert "━" in text
    with terminal("import", file, "-s", shared_server.address, "--no-progress") as screen:
        assert "━" not in screen.rest()
    result = Cli(shared_server.address)("import", file, "-o", "json")
    assert result.stderr == ""
    assert json.loads(result.stdout)["broken"] == 0
