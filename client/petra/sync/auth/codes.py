# Written by tools/blocking.py from petra/auth/codes.py: change that, and run make blocking.
"""One-time codes for an e-mail address, a telephone number or whatever else one can be reached by.

All of a subject is in one object, `code:<keyed hash of the subject>`: `code`, the keyed hash of the present code, and
`attempts`. Each attempt is counted, durably, before the code is compared, so that whoever tries many at once has no
more attempts than others. A code is accepted once, and ends when it was tried too often, when a new one is issued, or
when its time is over.
"""

from __future__ import annotations

from datetime import timedelta

from petra._layers import own_handle
from petra.auth.onetime import CodeCheck, code_hash, new_code, same_hash, secret_bytes, subject_hash
from petra.deferred import Deferred
from petra.errors import VersionConflict
from petra.ratelimit.rules import RateLimited
from petra.sync.objects import Namespace, Object
from petra.sync.ratelimit.limiter import RateLimiter
from petra.sync.transaction import Transaction
from petra.values import Entry, RateLimit, Seconds

# Enough for messages that come late.
_ISSUES = RateLimit(5, timedelta(hours=1))


class OneTimeCodes:
    """Issues codes of six characters, and checks them."""

    def __init__(
        self,
        client: Namespace,
        secret: str | bytes,
        *,
        ttl: Seconds = timedelta(minutes=10),
        attempts: int = 5,
        issues: RateLimit = _ISSUES,
    ) -> None:
        """`client` is a Client or a namespace of one.

        `secret` is the key of the hashes that are stored: of 16 bytes at least, and kept where the data is not. A code
        lives for `ttl` and has `attempts`; `issues` bounds how many a subject is sent. Raises InvalidArgument, and
        TypeError for a client of the other tree.
        """
        self._entries = own_handle(client, Namespace, "auth")
        self._secret = secret_bytes(secret)
        self._ttl = ttl
        self._attempts = attempts
        self._issues = RateLimiter(self._entries, limits=[issues], name="one-time-codes")

    def issue(self, subject: str) -> str:
        """A new code for a subject; an earlier one is good no more. Raises RateLimited, and the earlier one stays."""
        owner = subject_hash(self._secret, subject)
        verdict = self._issues.check(owner)
        if not verdict:
            raise RateLimited(subject, verdict)
        code = new_code()

        def replace(transaction: Transaction) -> None:
            transaction.set("code", code_hash(self._secret, subject, code), ttl=self._ttl)
            transaction.set("attempts", 0, ttl=self._ttl)

        self._place(owner).transact(replace)
        return code

    def verify(self, subject: str, code: str) -> CodeCheck:
        """Whether that is the subject's code; then it is used up. White space, dashes and case do not matter."""
        place = self._place(subject_hash(self._secret, subject))
        counted = place.transact(_count_attempt)
        if counted is None:
            return CodeCheck(False, 0)
        stored, count = counted
        left = self._attempts - count.result()
        if left >= 0 and same_hash(stored.value, code_hash(self._secret, subject, code)):
            return CodeCheck(_take(place, stored), 0)
        if left <= 0:
            _take(place, stored)
        return CodeCheck(False, max(0, left))

    def _place(self, owner: str) -> Object:
        return self._entries.object(f"code:{owner}")


def _count_attempt(transaction: Transaction) -> tuple[Entry, Deferred[int]] | None:
    """The present code and how often it was tried with this time; None when there is none."""
    stored = transaction.get_entry("code")
    return None if stored is None else (stored, transaction.increment("attempts"))


def _take(place: Object, stored: Entry) -> bool:
    """Ends a code; false when it has ended already, or there is a new one."""
    try:
        return place.delete("code", if_version=stored.version)
    except VersionConflict:
        return False
