"""The rules that a field's values have to follow. Pure.

A rule never looks at None: whether a value has to be there is not its matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

from petra.datamodel.errors import DefinitionError

# It returns None or True for a value that is right, False or a sentence that says what is wrong; or raises ValueError.
Check: TypeAlias = Callable[[object], object]

# A local part and a domain with a dot; what mail servers make of it, only a mail can tell.
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]\x00-\x1f]+@[^@\s.\x00-\x1f]+(?:\.[^@\s.\x00-\x1f]+)+")
# That of SMTP.
_LONGEST_EMAIL: Final = 254
_URL_SCHEMES: Final = ("http", "https")
# Of a list of allowed values, in a message.
_SHOWN_VALUES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a value must be. `min` and `max` bound a number, or the length of a text or an array; both are inclusive.

    `regex` must match the whole text. `values` are those allowed. `check` is a function, or several.
    """

    url: bool = False
    email: bool = False
    regex: str | None = None
    values: tuple[object, ...] | None = None
    min: float | None = None
    max: float | None = None
    check: Check | tuple[Check, ...] = ()

    def __post_init__(self) -> None:
        if self.regex is not None:
            _compiled(self.regex)
        for name in ("min", "max"):
            bound = getattr(self, name)
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
                raise DefinitionError(f"{name} is a number, not {bound!r}.", field=name)

    def errors(self, value: object) -> list[str]:
        """Everything that is wrong with a value."""
        if value is None:
            return []
        found = [*self._text_errors(value), *self._bound_errors(value)]
        if self.values is not None and not _among(value, self.values):
            shown = ", ".join(repr(allowed) for allowed in self.values[:_SHOWN_VALUES])
            found.append(f"must be one of {shown}")
        checks = self.check if isinstance(self.check, tuple) else (self.check,)
        return [*found, *(error for check in checks if (error := _check_error(check, value)) is not None)]

    def _text_errors(self, value: object) -> list[str]:
        found = []
        if self.url and not _is_url(value):
            found.append("must be a URL with http or https")
        if self.email and not _is_email(value):
            found.append("must be an email address")
        if self.regex is not None and not (isinstance(value, str) and _compiled(self.regex).fullmatch(value)):
            found.append(f"must match {self.regex}")
        return found

    def _bound_errors(self, value: object) -> list[str]:
        if self.min is None and self.max is None:
            return []
        if isinstance(value, str | list):
            size: float = len(value)
            what = " characters" if isinstance(value, str) else " items"
        elif isinstance(value, int | float):
            size, what = value, ""
        else:
            return ["has no length or size to be bounded"]
        found = []
        if self.min is not None and size < self.min:
            found.append(f"must have at least {self.min}{what}" if what else f"must be at least {self.min}")
        if self.max is not None and size > self.max:
            found.append(f"must have at most {self.max}{what}" if what else f"must be at most {self.max}")
        return found


def read_rules(given: object) -> Rules:
    """The rules that a plain definition names. Raises DefinitionError.

    They are Rules, a mapping of its fields, "url" or "email", a compiled pattern, a function, or the values allowed.
    """
    match given:
        case None:
            return NO_RULES
        case Rules():
            return given
        case "url":
            return Rules(url=True)
        case "email":
            return Rules(email=True)
        case re.Pattern(pattern=str()):
            return Rules(regex=_with_flags(given))
        case Mapping():
            return _rules_of(given)
        case list() | tuple() | set() | frozenset():
            return Rules(values=tuple(given))
        case _ if callable(given):
            return Rules(check=given)
    raise DefinitionError(
        "validation is 'url', 'email', a pattern, a list of values, a function, or a mapping with any of"
        f" {', '.join(_RULE_NAMES)}; not {given!r}.",
        field="validation",
    )


NO_RULES: Final = Rules()
_RULE_NAMES: Final = tuple(rule.name for rule in fields(Rules))


def _rules_of(given: Mapping[str, object]) -> Rules:
    unknown = [name for name in given if name not in _RULE_NAMES]
    if unknown:
        raise DefinitionError(f"validation has no {unknown[0]!r}; it has {', '.join(_RULE_NAMES)}.", field="validation")
    rules = dict(given)
    if isinstance(rules.get("regex"), re.Pattern):
        rules["regex"] = _with_flags(cast("re.Pattern[str]", rules["regex"]))
    for name in ("values", "check"):
        if isinstance(rules.get(name), Collection) and not isinstance(rules[name], str):
            rules[name] = tuple(cast("Collection[object]", rules[name]))
    return Rules(**rules)  # type: ignore[arg-type]


def _with_flags(pattern: re.Pattern[str]) -> str:
    """A pattern as text, with its flags in it."""
    letters = "".join(
        letter
        for letter, flag in {"a": re.A, "i": re.I, "m": re.M, "s": re.S, "x": re.X}.items()
        if pattern.flags & flag
    )
    return f"(?{letters}){pattern.pattern}" if letters else pattern.pattern


def _compiled(regex: str) -> re.Pattern[str]:
    # Python keeps the last patterns compiled.
    try:
        return re.compile(regex)
    except (re.error, TypeError) as error:
        raise DefinitionError(f"{regex!r} is no regular expression: {error}.", field="regex") from error


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or re.search(r"[\s\x00-\x1f]", value):
        return False
    try:
        parts = urlsplit(value)
        # It raises ValueError when the port is no number of one.
        return parts.scheme in _URL_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_email(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_EMAIL and _EMAIL.fullmatch(value) is not None


def _among(value: object, allowed: Collection[object]) -> bool:
    # True is no 1 here.
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def _check_error(check: Check, value: object) -> str | None:
    try:
        verdict = check(value)
    except ValueError as error:
        return str(error) or "is not allowed"
    if verdict is None or verdict is True:
        return None
    return verdict if isinstance(verdict, str) else "is not allowed"
