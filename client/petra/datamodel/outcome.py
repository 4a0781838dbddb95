"""What an initialization did, and what was ever done. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from petra.datamodel.plan import Step
from petra.datamodel.schema import MIGRATIONS
from petra.sql import Row, Statement


@dataclass(frozen=True, slots=True)
class Initialized:
    """What an initialization did, by names such as `pages`, `pages.title`, `pages(status)` and `Page[0]` for a seed.

    `skipped` is what was there already, or was made by others meanwhile.
    """

    tables_created: tuple[str, ...]
    columns_added: tuple[str, ...]
    indexes_created: tuple[str, ...]
    seeds_run: tuple[str, ...]
    skipped: tuple[str, ...]
    duration_ms: float

    def as_dict(self) -> dict[str, list[str] | float]:
        """The same as JSON has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Applied:
    """A step that was done, or a backfill or a seed that was begun: its state is "pending" then. `at` is in UTC."""

    id: str
    run: int
    kind: str
    model: str
    detail: str
    state: str
    at: str


class Outcome:
    """What was done so far."""

    def __init__(self) -> None:
        self._made: dict[str, list[str]] = {"table": [], "column": [], "index": [], "backfill": [], "seed": []}
        self._skipped: dict[str, None] = {}

    def found(self, names: Iterable[str]) -> None:
        """These were there."""
        made = {name for names in self._made.values() for name in names}
        self._skipped |= dict.fromkeys(name for name in names if name not in made)

    def did(self, steps: Iterable[Step]) -> None:
        """These steps were done."""
        for step in steps:
            self._made[step.kind].append(step.name)

    def seed(self, name: str, *, ran: bool) -> None:
        """A seed was run, or had not to be."""
        if ran:
            self._made["seed"].append(name)
        else:
            self._skipped[name] = None

    def result(self, duration_ms: float) -> Initialized:
        """All of it."""
        made = {kind: tuple(names) for kind, names in self._made.items()}
        return Initialized(
            made["table"], made["column"], made["index"], made["seed"], tuple(self._skipped), round(duration_ms, 3)
        )


def recorded() -> Statement:
    """Reads all steps that were done."""
    return Statement(f'SELECT id, run, kind, model, detail, state, at FROM "{MIGRATIONS}" ORDER BY at, kind DESC, id')


def applied_of(row: Row) -> Applied:
    """The step of a row of `recorded`."""
    return Applied(*row)
