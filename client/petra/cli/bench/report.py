"""How the results of `petra bench` are printed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from petra.cli.bench.load import Result
from petra.cli.shown import as_json

_PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def json_lines(results: Sequence[Result]) -> list[str]:
    """One object for each kind of call, and one for all."""
    return [
        as_json(
            {
                "operation": result.operation,
                "count": result.latencies.count,
                "errors": result.errors,
                "seconds": round(result.seconds, 3),
                "per_second": round(_rate(result), 1),
                **{f"{name}_ms": round(ms, 3) for name, ms in _latencies(result).items()},
            }
        )
        for result in results
    ]


def text_table(results: Sequence[Result]) -> str:
    """A table of the same."""
    names = ["p50 ms", "p90 ms", "p99 ms", "max ms"]
    lines = [f"{'':<4}{'calls':>12}{'calls/s':>12}{'errors':>8}" + "".join(f"{name:>10}" for name in names)]
    for result in results:
        figures = "".join(f"{ms:>10.2f}" for ms in _latencies(result).values())
        lines.append(
            f"{result.operation:<4}{result.latencies.count:>12,}{_rate(result):>12,.0f}{result.errors:>8,}{figures}"
        )
    return "\n".join(lines)


def _rate(result: Result) -> float:
    return result.latencies.count / result.seconds if result.seconds else 0.0


def _latencies(result: Result) -> dict[str, float]:
    """In milliseconds."""
    figures = {name: result.latencies.percentile(part) * 1_000 for name, part in _PERCENTILES.items()}
    return figures | {"max": result.latencies.longest * 1_000}
