"""One run of `petra import`: its files, its progress, and what is said at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from petra.cli.group import CannotRun
from petra.cli.options import Output, Server
from petra.cli.running import OTHER_ERROR, WRONG_USAGE, exit_code, run
from petra.cli.shown import as_json, counted
from petra.cli.stored import StoredCodec
from petra.cli.transfer.export_file import is_gzip
from petra.cli.transfer.import_file import (
    Batch,
    Broken,
    LineReader,
    NotReadable,
    Position,
    batches,
    read_ahead,
    skip_to,
)
from petra.cli.transfer.importing import Importer, Outcome
from petra.cli.transfer.journal import Journal
from petra.cli.transfer.position_file import NoPosition, Reached, load
from petra.cli.transfer.progress import Progress, Summary, progress
from petra.errors import PetraError

if TYPE_CHECKING:
    from petra import AsyncClient

# Each broken line is in the file that they are put into; more of them on the terminal help nobody.
_BROKEN_TOLD: Final = 20


class ImportRun:
    """An import of a file."""

    def __init__(
        self,
        server: Server,
        file: str,
        *,
        resume: bool,
        position: str | None,
        skip_broken: str | None,
        progress: bool,
        output: Output,
    ) -> None:
        self._server = server
        self._file = file
        self._resume = resume
        self._position_path = None if file == "-" else Path(position or f"{file}.position")
        self._broken_path = None if skip_broken is None else Path(skip_broken)
        self._progress = progress
        self._output = output
        self._summary = Summary()

    def run(self) -> None:
        """Imports. Raises CannotRun with how to go on."""
        data_id = run(self._server, self._data_id)
        journal = Journal(self._start(data_id), self._position_path, self._broken_path)
        before = journal.reached
        complete = False
        try:
            with self._open() as file:
                self._import(file, journal)
            complete = journal.stopped_by is None
        except (PetraError, NotReadable) as error:
            code = exit_code(error) if isinstance(error, PetraError) else OTHER_ERROR
            why = str(error) if isinstance(error, PetraError) else f"{self._file} cannot be read: {error}."
            raise CannotRun(f"{why} {self._advice(journal)}", code) from None
        except KeyboardInterrupt:
            click.echo(f"\npetra: interrupted. {self._advice(journal)}", err=True)
            raise
        finally:
            journal.close(complete=complete)
        self._report(journal, before)

    async def _data_id(self, client: AsyncClient) -> str:
        return (await client.info()).data_id

    def _start(self, data_id: str) -> Reached:
        """Where to begin. Raises CannotRun."""
        if not self._resume or self._position_path is None:
            return Reached(data_id, Position())
        try:
            reached = load(self._position_path)
        except NoPosition as error:
            raise CannotRun(str(error), WRONG_USAGE) from None
        if reached is None:
            return Reached(data_id, Position())
        if reached.data_id != data_id:
            raise CannotRun(
                f"{self._position_path} is of an import into another server. Without --resume it begins anew.",
                WRONG_USAGE,
            )
        if reached.broken and self._broken_path is None:
            raise CannotRun(
                f"{counted(reached.broken, 'line was', 'lines were')} put aside before: give --skip-broken again.",
                WRONG_USAGE,
            )
        return reached

    def _open(self) -> IO[bytes]:
        return open(0 if self._file == "-" else self._file, "rb", buffering=0, closefd=self._file != "-")

    def _import(self, file: IO[bytes], journal: Journal) -> None:
        reader = LineReader(file, gzip=is_gzip(Path(self._file)))
        start = journal.reached.position

        def make() -> Iterator[Batch]:
            skip_to(reader, start)
            return batches(reader, start, skip_broken=self._broken_path is not None)

        total = None if self._file == "-" else os.fstat(file.fileno()).st_size
        with progress("import", total, wanted=self._progress) as shown:

            async def work(client: AsyncClient) -> None:
                importer = Importer(client)

                async def note(batch: Batch, outcome: Outcome) -> bool:
                    return self._note(journal, batch, outcome, shown)

                await importer.run(read_ahead(make), note)

            run(self._server, work, codec=StoredCodec())

    def _note(self, journal: Journal, batch: Batch, outcome: Outcome, shown: Progress) -> bool:
        told = journal.reached.broken
        for number, broken in enumerate(journal.note(batch, outcome), start=told):
            if journal.stopped_by is None and number < _BROKEN_TOLD:
                click.echo(f"petra: {_about(broken)} It was put aside.", err=True)
        reached = journal.reached
        shown.show(done=batch.read, entries=reached.imported, size=reached.position.offset)
        return journal.stopped_by is None

    def _report(self, journal: Journal, before: Reached) -> None:
        reached = journal.reached
        if journal.stopped_by is not None:
            raise CannotRun(f"{_about(journal.stopped_by)} {self._advice(journal)}", OTHER_ERROR)
        if reached.position == Position():
            raise CannotRun(f"{self._file} is empty, and no export.", OTHER_ERROR)
        if self._output == "json":
            click.echo(as_json(self._result(journal)))
        else:
            size = reached.position.offset - before.position.offset
            click.echo(f"{self._file}: {self._summary.sentence(reached.imported - before.imported, size)}", err=True)
            if reached.expired:
                click.echo(f"{counted(reached.expired, 'entry was', 'entries were')} left out: expired.", err=True)
            if reached.broken:
                click.echo(
                    f"{counted(reached.broken, 'broken line is', 'broken lines are')} in {self._broken_path}.", err=True
                )
        doubt = _doubt(journal)
        if doubt:
            click.echo(f"petra: {doubt}", err=True)

    def _result(self, journal: Journal) -> dict[str, object]:
        reached = journal.reached
        return {
            "file": self._file,
            "imported": reached.imported,
            "expired": reached.expired,
            "broken": reached.broken,
            "lines": reached.position.lines,
            "whole_export": not _doubt(journal),
            "seconds": round(self._summary.seconds, 3),
        }

    def _advice(self, journal: Journal) -> str:
        count = f"{counted(journal.reached.imported, 'entry was', 'entries were')} imported"
        if self._position_path is None:
            return f"{count} before it."
        way = "The same command with --resume goes on"
        if journal.stopped_by is not None and journal.stopped_by.before.lines:
            return f"{count} before it. {way} when the line is mended; with --skip-broken ASIDE it is put aside."
        return f"{count}. {way}."


def _about(broken: Broken) -> str:
    why = broken.why.rstrip(".")
    return f"line {broken.number} cannot be imported: {why}."


def _doubt(journal: Journal) -> str:
    """What makes one think that the file is not the whole export; empty when nothing does."""
    said = journal.said_entries
    if said is None:
        return "the file has no last line that says so, so it may not be the whole export."
    reached = journal.reached
    there = reached.imported + reached.expired + reached.broken
    return "" if there == said else f"the export had {said:,} entries, and the file has {there:,}."
