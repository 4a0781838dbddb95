"""What a run of pytest has come to, out of its report in the format of JUnit."""

from __future__ import annotations

import xml.etree.ElementTree as Tree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many tests passed, which ones failed, and how many were skipped for which reason."""

    passed: int
    failed: tuple[str, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people: the counts, and then each failure and each reason."""
        counts = f"{self.passed} passed, {len(self.failed)} failed, {sum(self.skipped.values())} skipped"
        failures = [f"  failed: {name}" for name in self.failed]
        skips = [f"  skipped {count}: {reason}" for reason, count in sorted(self.skipped.items())]
        return [counts, *failures, *skips]


def read_report(report: Path) -> Outcome:
    """Reads the file that `pytest --junit-xml` writes."""
    # A test that was run again is what it was the last time. Written by pytest a moment ago.
    cases = {f"{case.get('classname')}::{case.get('name')}": case for case in Tree.parse(report).iter("testcase")}
    passed, failed = 0, []
    skipped: Counter[str] = Counter()
    for name, case in cases.items():
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif skip is not None:
            skipped[skip.get("message") or "no reason given"] += 1
        else:
            passed += 1
    return Outcome(passed, tuple(failed), dict(skipped))
