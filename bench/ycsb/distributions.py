"""Which record an operation goes to. Pure: the caller brings the random numbers.

The zipfian generator is the one of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994),
section 3.2, which YCSB uses too: it inverts the distribution approximately and costs one power per number. Its two most
frequent ranks are exact.
"""

from __future__ import annotations

THETA = 0.99

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF


class Zipfian:
    """Ranks from 0: rank r has a probability of about 1 / (r + 1) ** theta, divided by their sum.

    The number of items may grow, which costs one power for each new item.
    """

    def __init__(self, items: int, theta: float = THETA) -> None:
        self._theta = theta
        self._alpha = 1 / (1 - theta)
        self._zeta2 = 1 + 0.5**theta
        self._items = 0
        self._zeta = 0.0
        self._eta = 0.0
        self.grow(items)

    @property
    def items(self) -> int:
        return self._items

    @property
    def zeta(self) -> float:
        """The sum of 1 / rank ** theta over all ranks from 1."""
        return self._zeta

    def grow(self, items: int) -> None:
        """Makes it `items` items; never fewer than before."""
        self._zeta += sum(1 / rank**self._theta for rank in range(self._items + 1, items + 1))
        self._items = items
        # With two items or fewer, `rank` answers before it needs this.
        if items > 2:
            self._eta = (1 - (2 / items) ** (1 - self._theta)) / (1 - self._zeta2 / self._zeta)

    def rank(self, uniform: float) -> int:
        """The rank for a number that is uniform in [0, 1)."""
        scaled = uniform * self._zeta
        if scaled < 1:
            return 0
        if scaled < self._zeta2:
            return 1
        rank = int(self._items * (self._eta * uniform - self._eta + 1) ** self._alpha)
        return min(rank, self._items - 1)


def scramble(rank: int, items: int) -> int:
    """Spreads ranks over the items, so that frequent ones are no neighbours. Always the same for the same rank."""
    return fnv64(rank) % items


def latest(rank: int, items: int) -> int:
    """The newest item for rank 0, the one before it for rank 1, and so on."""
    return items - 1 - rank


def fnv64(number: int) -> int:
    """FNV-1a over the eight bytes of a number, the least significant first."""
    digest = _FNV_OFFSET
    for _ in range(8):
        digest = ((digest ^ number & 0xFF) * _FNV_PRIME) & _MASK
        number >>= 8
    return digest
