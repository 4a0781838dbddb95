"""Keys of stored objects, and what may be a part of one. Pure.

An object of a class is stored under `prefix:key`, such as `page:proj_123:page_456`. Prefixes hold no colon, so the
first one ends the prefix. Flat keys begin with the name of the database, which holds no colon either: two datastores
of one namespace never meet.
"""

from __future__ import annotations

from petra.errors import InvalidArgument

SEPARATOR = ":"


def composite_key(*parts: str) -> str:
    """The key of something that several names identify together: `composite_key("proj_123", "page_456")`.

    Raises InvalidArgument for a part that is empty or holds a colon: other parts would make the same key.
    """
    if not parts:
        raise InvalidArgument("A composite key has at least one part.", field="parts")
    return SEPARATOR.join(checked_part(part, f"parts[{index}]") for index, part in enumerate(parts))


def checked_part(part: object, field: str) -> str:
    """A string that may stand between colons. Raises InvalidArgument that names the field."""
    text = checked_text(part, field)
    if SEPARATOR in text:
        raise InvalidArgument(f"{field} is {text!r}; it must not hold a colon, which separates the parts.", field=field)
    return text


def checked_text(text: object, field: str) -> str:
    """A string that is not empty. Raises InvalidArgument that names the field."""
    if not isinstance(text, str):
        raise InvalidArgument(f"{field} is a string, not {type(text).__name__}.", field=field)
    if not text:
        raise InvalidArgument(f"{field} must not be empty.", field=field)
    return text


def checked_user(user_id: object, field: str = "user_id") -> str:
    """The id of a user. Raises InvalidArgument: nobody is not the system."""
    advice = " What belongs to no user is done through system()." if user_id is None or user_id == "" else ""
    try:
        return checked_text(user_id, field)
    except InvalidArgument as error:
        raise InvalidArgument(f"{error}{advice}", field=field) from None


def checked_count(number: object, field: str, most: int | None = None) -> int:
    """A whole number that counts something. Raises InvalidArgument that names the field."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 0 or (most is not None and number > most):
        bound = "" if most is None else f" and at most {most:,}"
        raise InvalidArgument(f"{field} is a whole number, at least 0{bound}, not {number!r}.", field=field)
    return number


def key_in_database(prefix: str, key: str) -> str:
    """The key of an object within the database's own object."""
    return f"{prefix}{SEPARATOR}{key}"


def flat_key(database: str, prefix: str, key: str) -> str:
    """The key of an object among the flat keys of the namespace."""
    return f"{database}{SEPARATOR}{prefix}{SEPARATOR}{key}"
