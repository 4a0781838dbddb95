"""The keys and values of the large store: a function of their number, so that any process can check them. Pure."""

from __future__ import annotations

import random

VALUE_BYTES = 100

# An odd factor permutes the numbers of 64 bits, so no two keys are the same and neighbours are far from each other.
_SCATTER = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF

# Values are cut from random bytes that every process makes alike: cheap, and nothing in them to compress.
_POOL = random.Random(7475).randbytes(1 << 20)
_STEP = 7919


def key(number: int) -> str:
    """16 characters; numbers in order give keys in no order."""
    return f"{number * _SCATTER & _MASK:016x}"


def value(number: int) -> bytes:
    """100 bytes."""
    begin = number * _STEP % (len(_POOL) - VALUE_BYTES)
    return _POOL[begin : begin + VALUE_BYTES]
