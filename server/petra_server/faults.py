"""Faults of the server itself: logged with their traceback under an id, which the caller is told."""

from __future__ import annotations

import secrets

import structlog

from petra_server.errors import Reason, Refusal

_log = structlog.get_logger(__name__)


def internal_error(message: str) -> Refusal:
    """Logs the exception that is being handled, and returns what to tell the caller."""
    error_id = secrets.token_hex(8)
    _log.exception(message, error_id=error_id)
    return Refusal(
        Reason.INTERNAL_ERROR,
        f"A fault of the server, logged there as {error_id}. Read before you try again: parts may have been done.",
        metadata={"error_id": error_id},
    )
