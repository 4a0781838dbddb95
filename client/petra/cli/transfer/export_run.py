"""One run of `petra export`: its file, its progress, and what is said at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from petra.cli.group import CannotRun
from petra.cli.options import Output, Server
from petra.cli.running import WRONG_USAGE, exit_code, run
from petra.cli.shown import as_json, counted, moment
from petra.cli.stored import StoredCodec
from petra.cli.transfer.export_file import NotContinuable, Sink, Written, continued, sink_for
from petra.cli.transfer.exporting import Exported, export_entries
from petra.cli.transfer.lines import Header, Spot, same_scope
from petra.cli.transfer.progress import Summary, progress
from petra.errors import PetraError

if TYPE_CHECKING:
    from petra import AsyncClient


class ExportRun:
    """An export into a file."""

    def __init__(
        self,
        server: Server,
        file: str,
        namespace: str | None,
        object_name: str | None,
        *,
        resume: bool,
        progress: bool,
        output: Output,
    ) -> None:
        self._server = server
        self._file = file
        self._namespace = namespace
        self._object = object_name
        self._resume = resume
        self._progress = progress
        self._output = output
        self._done = Exported()
        self._summary = Summary()

    def run(self) -> None:
        """Exports. Raises CannotRun with how to go on."""
        written = self._read_written()
        if written is not None and written.complete:
            self._done.entries_before = written.entries
            self._say(f"{self._file} is complete already, with {counted(written.entries, 'entry', 'entries')}.")
            return
        header, total = run(self._server, self._ask)
        if written is not None and not same_scope(written.header, header):
            raise CannotRun(
                f"{self._file} is an export of something else, and cannot be continued by this.", WRONG_USAGE
            )
        sink = self._open(written)
        try:
            try:
                self._export(sink, header, written, total)
            finally:
                sink.close()
        except PetraError as error:
            self._stopped(f"{error}", exit_code(error))
        except KeyboardInterrupt:
            click.echo(f"\npetra: interrupted. {self._advice()}", err=True)
            raise
        self._say(f"{self._file}: {self._summary.sentence(self._done.entries, self._done.size)}")

    def _read_written(self) -> Written | None:
        path = Path(self._file)
        if self._file == "-" or not path.exists():
            return None
        if not self._resume:
            raise CannotRun(f"{path} is there already. Give --resume to continue it, or remove it.", WRONG_USAGE)
        try:
            written = continued(path)
        except NotContinuable as error:
            raise CannotRun(f"{path} cannot be continued: {error}.", WRONG_USAGE) from None
        # Without an entry there is nothing to go on from.
        return written if written is not None and (written.last or written.complete) else None

    async def _ask(self, client: AsyncClient) -> tuple[Header, int | None]:
        info = await client.info()
        header = Header(info.data_id, info.version, moment(info.now), self._namespace, self._object)
        total = sum(actor.keys for actor in await client.actors()) if self._namespace is None else None
        return header, total

    def _open(self, written: Written | None) -> Sink:
        if self._file == "-":
            return sink_for(Path(), sys.stdout.buffer, durable=False)
        path = Path(self._file)
        if written is None:
            return sink_for(path, path.open("wb"))
        file = path.open("r+b")
        file.truncate(written.size)
        file.seek(written.size)
        return sink_for(path, file)

    def _export(self, sink: Sink, header: Header, written: Written | None, total: int | None) -> None:
        after: Spot | None = None
        if written is not None and written.last is not None:
            self._done.entries_before = written.entries
            after = written.last.spot
        with progress("export", total, wanted=self._progress) as shown:

            def show(done: Exported) -> None:
                shown.show(done=done.entries_in_all, entries=done.entries_in_all, size=done.size)

            async def work(client: AsyncClient) -> None:
                await export_entries(client, header, sink, after=after, done=self._done, show=show)

            run(self._server, work, codec=StoredCodec())

    def _stopped(self, why: str, code: int) -> NoReturn:
        raise CannotRun(f"{why} {self._advice()}", code) from None

    def _advice(self) -> str:
        if self._file == "-":
            return f"{counted(self._done.entries, 'entry was', 'entries were')} written, and some are missing."
        there = counted(self._done.entries_in_all, "entry is", "entries are")
        return f"{there} in {self._file}; the same command with --resume goes on."

    def _say(self, sentence: str) -> None:
        if self._output == "text":
            click.echo(sentence, err=True)
            return
        result = {
            "file": self._file,
            "entries": self._done.entries_in_all,
            "bytes": self._done.size,
            "seconds": round(self._summary.seconds, 3),
        }
        click.echo(as_json(result), err=self._file == "-")
