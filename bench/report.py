"""What a benchmark leaves behind: tables on standard output and a JSON file.

The file names versions, settings and the number of processors, never a machine or a path, so that it can be committed.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.runs import Outcome, Spread

# Anything that json.dumps takes.
Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

# What tables show of that which was seen beside a rate, and how they call it; cpu is the server's, for each unit, and
# client that of the process that makes the load.
_BESIDE = {"p50_ms": "p50 ms", "p99_ms": "p99 ms", "cpu_us": "cpu us", "client_us": "client us"}

_PACKAGES = ("petra", "apsw", "grpcio", "protobuf", "rocksdict")


def say(line: str) -> None:
    """Progress, on standard error, so that standard output holds the tables alone."""
    print(line, file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell: the first to the left, the others to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    drawn = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([drawn[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *drawn[1:]])


def outcome_table(outcome: Outcome) -> str:
    """A contest's rates, its ratios to the baseline, and its targets."""
    contest = outcome.contest
    header = [contest.title, contest.unit, "min", "max", *_BESIDE.values()]
    header += [f"/ {contest.baseline or '-'}", f"{contest.subject or '-'} /"]
    header += [*(f"{_BESIDE[name]} / {contest.baseline}" for name in contest.compared), "target"]
    rows = []
    for contestant in contest.contestants:
        rates = outcome.rates(contestant.name)
        beside = outcome.beside(contestant.name)
        row = [contestant.name, *(f"{figure:,.0f}" for figure in (rates.median, rates.least, rates.most))]
        row += [_beside_text(beside[name].median) if name in beside else "" for name in _BESIDE]
        compared = [outcome.beside_ratios(contestant.name, name) for name in contest.compared]
        for ratios in (outcome.ratios(contestant.name), outcome.advantages(contestant.name), *compared):
            row.append("" if ratios is None else f"{ratios.median:.2f}")
        row.append(_target_text(outcome, contestant.name))
        rows.append(row)
    filled = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return table([header[column] for column in filled], [[row[column] for column in filled] for row in rows])


def _beside_text(figure: float) -> str:
    # Below a millisecond two digits say too little.
    return f"{figure:.2f}" if figure >= 1 else f"{figure:.3f}"


def _target_text(outcome: Outcome, contestant: str) -> str:
    texts = []
    for target in outcome.contest.targets:
        if target.contestant != contestant:
            continue
        ratios = outcome.ratios(contestant)
        if target.at_baseline is not None:
            met = outcome.rates(contestant).median >= target.at_least
            texts.append(f">= {target.at_least:,.0f}: {_verdict(met)}")
        if ratios is not None:
            texts.append(f">= {target.ratio:.2f} x: {_verdict(ratios.median >= target.ratio)}")
    return ", ".join(texts)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def outcome_json(outcome: Outcome) -> dict[str, Json]:
    """A contest with all of its runs."""
    contest = outcome.contest
    contestants: dict[str, Json] = {}
    for contestant in contest.contestants:
        ratios, advantages = outcome.ratios(contestant.name), outcome.advantages(contestant.name)
        contestants[contestant.name] = {
            "rate": spread_json(outcome.rates(contestant.name)),
            "beside": {name: spread_json(spread) for name, spread in outcome.beside(contestant.name).items()},
            "of_baseline": None if ratios is None else spread_json(ratios),
            "subject_of_it": None if advantages is None else spread_json(advantages),
            "beside_of_baseline": {
                name: spread_json(compared)
                for name in contest.compared
                if (compared := outcome.beside_ratios(contestant.name, name)) is not None
            },
        }
    targets: list[Json] = [
        {"contestant": target.contestant, "at_least": target.at_least, "at_baseline": target.at_baseline}
        for target in contest.targets
    ]
    return {
        "name": contest.name,
        "title": contest.title,
        "unit": contest.unit,
        "baseline": contest.baseline,
        "subject": contest.subject,
        "contestants": contestants,
        "targets": targets,
    }


def spread_json(spread: Spread) -> dict[str, Json]:
    """A figure's median, extremes and runs, to four significant digits."""
    return {
        "median": _rounded(spread.median),
        "min": _rounded(spread.least),
        "max": _rounded(spread.most),
        "runs": [_rounded(run) for run in spread.runs],
    }


def _rounded(figure: float) -> float:
    return float(f"{figure:.4g}")


def environment(scratch: Path) -> dict[str, Json]:
    """What the figures depend on, beside the settings."""
    versions: dict[str, Json] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": versions,
        "fdatasync_4k_ms": _rounded(_fdatasync_ms(scratch)),
    }


def _fdatasync_ms(directory: Path, times: int = 100) -> float:
    """The median time of an appended 4 KiB page reaching the disk: what a durable write cannot go below."""
    path = directory / "fdatasync"
    durations = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(times):
            os.write(descriptor, bytes(4096))
            started = time.perf_counter()
            os.fdatasync(descriptor)
            durations.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(durations) * 1000


@dataclass(frozen=True, slots=True)
class Folders:
    """Where servers keep their data while a benchmark runs, and where its results stay."""

    scratch: Path
    results: Path


def write_results(name: str, settings: Mapping[str, Json], folders: Folders, figures: Mapping[str, Json]) -> Path:
    """Writes <name>.json into the folder of the results."""
    document: dict[str, Json] = {
        "name": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": environment(folders.scratch),
        "settings": settings,
        **figures,
    }
    folders.results.mkdir(parents=True, exist_ok=True)
    path = folders.results / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    say(f"written: {path}")
    return path
