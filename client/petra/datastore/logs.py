"""One line of log for each operation: what was done to which key of which class, how it ended, and how long it took.

Values are never logged. A standard logger (or LoggerAdapter) gets a sentence, with the fields in `extra`; any other
logger is taken for one of structlog's kind, and gets the fields as keywords.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from petra.datastore.errors import LastOwner, NotFoundOrNoAccess
from petra.errors import VersionConflict

# How an operation may end without a fault of anybody's but the user's.
_EXPECTED = frozenset({"ok", "absent", "no_access", LastOwner.__name__, VersionConflict.__name__, "Duplicate"})

# So much of a key is enough to find it, and bounds the line.
_SHOWN_CHARACTERS = 200


class StructuredLogger(Protocol):
    """What structlog's loggers can do."""

    def info(self, event: str, /, **fields: object) -> object:
        """Logs an event that went as it may."""

    def warning(self, event: str, /, **fields: object) -> object:
        """Logs a failure."""

    def error(self, event: str, /, **fields: object) -> object:
        """Logs a fault, with its traceback when `exc_info` is an exception."""


StandardLogger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"
AnyLogger: TypeAlias = "StandardLogger | StructuredLogger"


class Outcome:
    """How an operation ended: "ok" unless something else is said."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = "ok"


class OperationLog:
    """Logs operations of one database through one logger. Any thread may call it."""

    def __init__(self, database: str, logger: AnyLogger | None) -> None:
        """`logger` None means the standard logger petra.datastore."""
        self._database = database
        self._logger = logging.getLogger("petra.datastore") if logger is None else logger

    @contextmanager
    def operation(self, name: str, storage_class: str, key: str) -> Iterator[Outcome]:
        """Logs what happens inside, with its time. An exception is logged as the outcome, and goes on."""
        began = time.perf_counter()
        outcome = Outcome()
        try:
            yield outcome
        except NotFoundOrNoAccess:
            outcome.text = "no_access"
            raise
        except BaseException as error:
            outcome.text = type(error).__name__
            raise
        finally:
            self._write(name, storage_class, key, outcome.text, (time.perf_counter() - began) * 1_000)

    def failure(self, name: str, storage_class: str, error: Exception) -> None:
        """Logs an error that ends nothing, with its traceback."""
        if isinstance(self._logger, logging.Logger | logging.LoggerAdapter):
            text = "datastore.%s class=%s failed, and the operation has succeeded all the same"
            self._logger.error(text, name, storage_class, exc_info=error)
        else:
            fields = {"database": self._database, "operation": name, "storage_class": storage_class}
            self._logger.error(f"datastore.{name}", **fields, outcome=type(error).__name__, exc_info=error)

    def _write(self, operation: str, storage_class: str, key: str, outcome: str, duration_ms: float) -> None:
        good = outcome in _EXPECTED
        shown = key if len(key) <= _SHOWN_CHARACTERS else key[:_SHOWN_CHARACTERS] + "..."
        logger, duration_ms = self._logger, round(duration_ms, 3)
        if not isinstance(logger, logging.Logger | logging.LoggerAdapter):
            (logger.info if good else logger.warning)(
                f"datastore.{operation}",
                database=self._database,
                operation=operation,
                storage_class=storage_class,
                key=shown,
                outcome=outcome,
                duration_ms=duration_ms,
            )
            return
        level = logging.INFO if good else logging.WARNING
        if logger.isEnabledFor(level):
            logger.log(
                level,
                "datastore.%s class=%s key=%r outcome=%s duration_ms=%s",
                operation,
                storage_class,
                shown,
                outcome,
                duration_ms,
                extra={
                    "database": self._database,
                    "operation": operation,
                    "storage_class": storage_class,
                    "key": shown,
                    "outcome": outcome,
                    "duration_ms": duration_ms,
                },
            )
