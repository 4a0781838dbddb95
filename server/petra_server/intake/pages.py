"""List: from what a request asks for to a page of entries, and the token of the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from zlib import crc32

from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.listing import Page, PageRequest, list_page
from petra_server.actor.router import Router
from petra_server.errors import Reason, Refusal
from petra_server.intake.checks import MESSAGE_OVERHEAD_BYTES, Checks
from petra_server.storage.keys import prefix_end

_MERGED_AT_ONCE = 4

# A token is this, a checksum of what is listed (4 bytes, big-endian), and the key to go on from.
_TOKEN_MARK = b"\x01"
_TOKEN_HEAD_BYTES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is listed, in which order, and how much at once; the fields of petra.v1.ListRequest."""

    namespace: str
    object_name: str
    prefix: str
    start: str
    start_after: str
    end: str
    limit: int
    reverse: bool
    keys_only: bool
    page_token: bytes


class Pages:
    """Answers listings."""

    def __init__(self, addresses: Addresses, checks: Checks, router: Router) -> None:
        self._addresses = addresses
        self._checks = checks
        self._router = router
        # A page of flat keys holds some of every actor while it is made.
        self._merging = asyncio.Semaphore(_MERGED_AT_ONCE)

    async def page(self, listing: Listing, *, deadline: float | None) -> tuple[Page, bytes]:
        """One page, and the token of the next, empty at the end. Raises Refusal."""
        address = self._addresses.find(listing.namespace, listing.object_name)
        checksum = _checksum(listing, address)
        request = self._request(listing, address.prefix, checksum)
        if address.owner is None:
            async with self._merging:
                page = await list_page(self._router, address, request, deadline=deadline)
        else:
            page = await list_page(self._router, address, request, deadline=deadline)
        return page, b"" if page.resume is None else _TOKEN_MARK + checksum + page.resume

    def _request(self, listing: Listing, prefix: bytes, checksum: bytes) -> PageRequest:
        checks = self._checks
        if listing.start and listing.start_after:
            raise Refusal(
                Reason.INVALID_RANGE, "start and start_after exclude each other. Send one of them.", field="start_after"
            )
        begins = prefix + checks.bound(listing.prefix, "prefix")
        lower = max(begins, prefix + checks.bound(listing.start, "start"))
        after = checks.bound(listing.start_after, "start_after")
        if after:
            lower = max(lower, prefix + after + b"\x00")
        upper = prefix_end(begins)
        end = checks.bound(listing.end, "end")
        if end:
            upper = min(upper, prefix + end)
        limit = checks.page_entries(listing.limit)
        if listing.page_token:
            resume = prefix + _read_token(listing.page_token, checksum)
            if listing.reverse:
                upper = min(upper, resume)
            else:
                lower = max(lower, resume + b"\x00")
        # With its token, a page of the default 4 MiB must fit into the 4 MiB that gRPC clients take by default.
        limit_bytes = max(1, min(checks.limits.max_page_bytes - MESSAGE_OVERHEAD_BYTES, checks.answer_bytes))
        return PageRequest(lower, upper, limit, limit_bytes, listing.reverse, listing.keys_only)


def _checksum(listing: Listing, address: Address) -> bytes:
    """Of everything that decides which entries are listed, and in which order."""
    bounds = (listing.prefix, listing.start, listing.start_after, listing.end)
    # No name or key can hold what separates them here, as their lengths stand before them.
    parts = [address.namespace, address.object_name, *(bound.encode() for bound in bounds)]
    flags = bytes((listing.reverse, listing.keys_only))
    return crc32(flags + b"".join(len(part).to_bytes(4, "big") + part for part in parts)).to_bytes(4, "big")


def _read_token(token: bytes, checksum: bytes) -> bytes:
    if not token.startswith(_TOKEN_MARK + checksum):
        raise Refusal(
            Reason.INVALID_PAGE_TOKEN,
            "The page token does not belong to this listing. Send the fields of the page before, or no token.",
            field="page_token",
        )
    return token[_TOKEN_HEAD_BYTES:]
