"""The pages of a listing, one call after the other. Pure."""

from __future__ import annotations

from petra._transport.arguments import uint32
from petra._transport.operations import List
from petra._transport.requests import Requests
from petra.errors import InvalidArgument
from petra.values import Entry

# What the server gives at most, and what it gives unless it is asked for another number.
_LARGEST_PAGE = 10_000
_USUAL_PAGE = 1_000


class Pages:
    """A listing under way: take `next_call`, make it, and hand its answer to `take`, until there is none."""

    def __init__(
        self,
        requests: Requests,
        *,
        prefix: str,
        start: str,
        start_after: str,
        end: str,
        reverse: bool,
        limit: int | None,
        page_size: int | None,
        keys_only: bool,
    ) -> None:
        """`limit` bounds the entries in all; raises InvalidArgument."""
        if start and start_after:
            raise InvalidArgument("Give start or start_after, not both.", field="start_after")
        size = _USUAL_PAGE if page_size is None else uint32(page_size, "page_size")
        if not 0 < size <= _LARGEST_PAGE:
            raise InvalidArgument(f"page_size is {size}; it must be from 1 to {_LARGEST_PAGE}.", field="page_size")
        self._requests = requests
        self._prefix = prefix
        self._start = start
        self._start_after = start_after
        self._end = end
        self._reverse = reverse
        self._left = None if limit is None else uint32(limit, "limit")
        self._page_size = size
        self._keys_only = keys_only
        self._token = b""
        self._more = True

    def next_call(self) -> List | None:
        """The call of the next page, or None after the last one."""
        if not self._more or self._left == 0:
            return None
        return self._requests.list(
            prefix=self._prefix,
            start=self._start,
            start_after=self._start_after,
            end=self._end,
            reverse=self._reverse,
            limit=self._page_size if self._left is None else min(self._page_size, self._left),
            keys_only=self._keys_only,
            page_token=self._token,
        )

    def take(self, page: tuple[list[Entry], bytes]) -> list[Entry]:
        """The entries of an answer."""
        entries, self._token = page
        self._more = bool(self._token)
        if self._left is not None:
            self._left -= len(entries)
        return entries
