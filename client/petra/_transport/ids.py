"""Request ids: unique over all processes and clients, cheap to make, and made anew after a fork.

Eight random bytes for the process and a count of eight. A server keeps ids apart by (namespace, object) and for ten
minutes only, so 64 bits of chance are far more than it takes.
"""

from __future__ import annotations

import os
import secrets
from itertools import count


class _Source:
    """`next` on a count is one step of the interpreter, so threads need no lock."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._prefix = secrets.token_bytes(8)
        self._count = count()

    def next(self) -> bytes:
        return self._prefix + next(self._count).to_bytes(8, "big")


_source = _Source()
next_request_id = _source.next
os.register_at_fork(after_in_child=_source.renew)
