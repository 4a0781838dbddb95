"""`petra export` and `petra import`."""

from __future__ import annotations

import click

from petra.cli.options import Output, Server, output_option, server_options
from petra.cli.running import PetraCommand

# A page of a busy server may take longer than a call usually does.
_TIMEOUT = 30.0

_no_progress_option = click.option("--no-progress", is_flag=True, help="No progress bar, on a terminal either.")


@click.command(cls=PetraCommand)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("-n", "--namespace", metavar="NAME", help="This namespace alone, with its objects.")
@click.option("--object", "object_name", metavar="NAME", help="This object alone.")
@click.option("--resume", is_flag=True, help="Continue FILE where an interrupted export has left it.")
@_no_progress_option
@server_options(_TIMEOUT)
@output_option
def export(
    file: str,
    namespace: str | None,
    object_name: str | None,
    resume: bool,
    no_progress: bool,
    server: Server,
    output: Output,
) -> None:
    """Write all entries of the server to FILE, as JSON lines.

    FILE is compressed when its name ends in .gz; - is standard output. Values, expiries and objects are kept exactly,
    versions are not. Each page of an object is a snapshot; the whole is not: what is written meanwhile may be in it or
    not. The variable PETRA_NAMESPACE does not count here, so that no backup is smaller than it looks.
    """
    from petra.cli.transfer.export_run import ExportRun

    if object_name is not None and namespace is None:
        namespace = "default"
    if resume and file == "-":
        raise click.UsageError("Standard output cannot be resumed.")
    ExportRun(server, file, namespace, object_name, resume=resume, progress=not no_progress, output=output).run()


@click.command("import", cls=PetraCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--resume", is_flag=True, help="Go on where an interrupted import of FILE has ended.")
@click.option(
    "--skip-broken", type=click.Path(dir_okay=False), metavar="ASIDE", help="Put broken lines into this file."
)
@click.option(
    "--position",
    type=click.Path(dir_okay=False),
    metavar="POSITION",
    help="Where to note how far it has come. [default: FILE.position]",
)
@_no_progress_option
@server_options(_TIMEOUT)
@output_option
def import_(
    file: str,
    resume: bool,
    skip_broken: str | None,
    position: str | None,
    no_progress: bool,
    server: Server,
    output: Output,
) -> None:
    """Write the entries of FILE, an export, to the server.

    Entries go where they came from and replace what is there; those that have expired are left out. A line that is
    broken, or refused by the server, ends the import, and is named with its number; --skip-broken puts it aside
    instead. Everything that is reported as imported is on the server's disk.
    """
    from petra.cli.transfer.import_run import ImportRun

    if file == "-" and (resume or position):
        raise click.UsageError("Standard input cannot be resumed.")
    ImportRun(
        server,
        file,
        resume=resume,
        position=position,
        skip_broken=skip_broken,
        progress=not no_progress,
        output=output,
    ).run()
