"""Sizes in bytes as people write them: `parse_size("64MiB")` and back with `format_size`."""

from __future__ import annotations

import re
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

_BINARY_UNITS: Final = {"TiB": TIB, "GiB": GIB, "MiB": MIB, "KiB": KIB}
_DECIMAL_UNITS: Final = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "KB": 10**3, "B": 1}
_FACTORS: Final = {unit.lower(): factor for unit, factor in (_BINARY_UNITS | _DECIMAL_UNITS).items()} | {"": 1}

# At most 15 digits: enough for a petabyte, and far from the lengths at which Python refuses to read a number.
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([a-z]*)", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a plain whole number, or of one with B, KB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB (1,024s).

    Upper and lower case are the same. Raises ValueError, with what to write instead, for anything else: fractions,
    signs, and a bare K or M, which some read as 1,000 and some as 1,024.
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(
            f"{text!r} is not a size: write whole bytes, or a whole number with a unit such as 64MiB or 1GB"
        )
    return int(match[1]) * factor


def format_size(size: int) -> str:
    """The shortest exact form that `parse_size` reads: 134217728 is "128MiB", 1000 is "1000"."""
    for unit, factor in _BINARY_UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
