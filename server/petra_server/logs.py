"""What the server writes to its log, and how it looks.

Everything goes through the standard library's root logger to one handler with one renderer: our own structured lines
(`structlog.get_logger()`), those of gRPC and asyncio, and Python's warnings. A line is either one JSON object, for
machines, or coloured text, for a person at a terminal.
"""

from __future__ import annotations

import logging
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from petra_server.settings import LogFormat, LogLevel

# Run on every line, whoever wrote it, before it is rendered.
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


def configure_logging(level: LogLevel, log_format: LogFormat, stream: TextIO) -> None:
    """Send all logging of the process to `stream`, from `level` on; a second call replaces the first.

    "auto" is "human" when the stream is a terminal and "json" when it is not.
    """
    human = log_format == "human" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_human(colors=stream.isatty()) if human else _json()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _human(*, colors: bool) -> tuple[Processor, ...]:
    # The plain formatter: the look of a traceback does not depend on whether `rich` happens to be installed.
    return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),)


def _json() -> tuple[Processor, ...]:
    return (structlog.processors.format_exc_info, _what_matters_first, structlog.processors.JSONRenderer())


def _what_matters_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return cast("EventDict", first | dict(event))
