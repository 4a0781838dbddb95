"""From SQLite's errors to refusals, and what they leave of a connection."""

from __future__ import annotations

import apsw

from petra_server.errors import Reason, Refusal, shortened

# SQLite's own sentences, which may quote the statement.
_SHOWN_CHARACTERS = 400

# After these nothing is known to be wrong with the connection; its transaction was rolled back.
_HARMLESS = (
    apsw.SQLError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    apsw.RangeError,
    apsw.AuthError,
    apsw.InterruptError,
    apsw.ReadOnlyError,
    apsw.BindingsError,
    apsw.MisuseError,
)


class Interrupted(Exception):
    """The list was interrupted by whoever runs it; they know why."""


def keeps_connection(error: BaseException) -> bool:
    """Whether a connection may be used again after this, and a rollback."""
    return isinstance(error, (Refusal, Interrupted, UnicodeDecodeError, *_HARMLESS))


def not_allowed(what: str) -> Refusal:
    return Refusal(Reason.SQL_NOT_ALLOWED, what, field="sql")


def no_writes() -> Refusal:
    return not_allowed("A query only reads. Send statements that write to Execute.")


def one_statement() -> Refusal:
    return Refusal(
        Reason.INVALID_STATEMENT,
        "A query is one statement, since its rows are streamed. Send the others by themselves, or all to Execute.",
        field="sql",
    )


def missing_parameter(name: str) -> Refusal:
    return _sql_error(f"The statement has a parameter named {shortened(name)}, and no value was sent for it")


def parameters_of_one_name() -> Refusal:
    return _sql_error("Two parameters have one name, for which :, @ and $ make no difference. Send each once")


def refusal_of(error: Exception) -> Refusal | None:
    """What a user is told of an error of apsw or SQLite; None when it is no fault of theirs."""
    message = _message(error)
    match error:
        case apsw.ConstraintError():
            return Refusal(
                Reason.SQL_CONSTRAINT,
                f"A constraint of the schema does not hold: {message}. Nothing was changed.",
                field="sql",
                metadata={"constraint": _constraint(error)},
            )
        case apsw.TooBigError():
            return Refusal(
                Reason.SQL_TOO_LARGE,
                f"A text, a blob, a row or the statement itself is larger than the server allows: {message}."
                " Nothing was changed. Split it.",
                field="sql",
            )
        case apsw.NoMemError():
            return Refusal(
                Reason.SQL_TOO_LARGE,
                "The statement needs more memory than the server has for SQL. Nothing was changed."
                " Let it touch fewer rows, sort less, or try again when less is going on.",
                field="sql",
            )
        case UnicodeDecodeError():
            return _sql_error("A text in the answer is not valid UTF-8. Read it as a blob: CAST(x AS BLOB)")
        case (
            apsw.SQLError()
            | apsw.MismatchError()
            | apsw.RangeError()
            | apsw.BindingsError()
            | apsw.SchemaChangeError()
            | apsw.ReadOnlyError()
        ):
            if "cannot VACUUM" in message:
                return not_allowed("VACUUM is not allowed: free pages are used again by themselves. Leave it out.")
            return _sql_error(f"SQLite says: {message}")
        case _:
            return None


def _sql_error(message: str) -> Refusal:
    return Refusal(Reason.SQL_ERROR, f"{message}. Nothing was changed.", field="sql")


def _message(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    return shortened(text) if len(text) > _SHOWN_CHARACTERS else text


def _constraint(error: apsw.ConstraintError) -> str:
    """Its kind, such as UNIQUE or FOREIGNKEY. The stubs of apsw leave out what all errors of SQLite have."""
    name = apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", 0), "")
    return str(name).removeprefix("SQLITE_CONSTRAINT").removeprefix("_")
