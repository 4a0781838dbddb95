"""List: from the request to a page of entries, and its token."""

from __future__ import annotations

import asyncio
from zlib import crc32

from petra.v1 import storage_pb2 as pb
from petra_server.actor.listing import PageRequest, list_page
from petra_server.actor.router import Router
from petra_server.errors import Reason, Refusal
from petra_server.rpc.checks import MESSAGE_OVERHEAD_BYTES
from petra_server.rpc.requests import Requests
from petra_server.storage.keys import prefix_end

_MERGED_AT_ONCE = 4

# A token is this, a checksum of what is listed (4 bytes, big-endian), and the key to go on from.
_TOKEN_MARK = b"\x01"
_TOKEN_HEAD_BYTES = 5


class Listings:
    """Answers List."""

    def __init__(self, requests: Requests, router: Router) -> None:
        self._requests = requests
        self._router = router
        # A page of flat keys holds some of every actor while it is made.
        self._merging = asyncio.Semaphore(_MERGED_AT_ONCE)

    async def list(self, request: pb.ListRequest, *, deadline: float | None) -> pb.ListResponse:
        """One page. Raises Refusal."""
        address = self._requests.addresses.find(request.namespace, request.object)
        page_request, checksum = self._page_request(request, address.prefix)
        if address.owner is None:
            async with self._merging:
                page = await list_page(self._router, address, page_request, deadline=deadline)
        else:
            page = await list_page(self._router, address, page_request, deadline=deadline)
        response = pb.ListResponse()
        add = response.entries.add
        for key, (version, expires_at_ms, encoding, value) in page.entries:
            add(key=key.decode(), value=value, encoding=encoding, version=version, expires_at_ms=expires_at_ms)
        if page.resume is not None:
            response.next_page_token = _TOKEN_MARK + checksum + page.resume
        return response

    def _page_request(self, request: pb.ListRequest, prefix: bytes) -> tuple[PageRequest, bytes]:
        checks = self._requests.checks
        if request.start and request.start_after:
            raise Refusal(
                Reason.INVALID_RANGE, "start and start_after exclude each other. Send one of them.", field="start_after"
            )
        begins = prefix + checks.bound(request.prefix, "prefix")
        lower = max(begins, prefix + checks.bound(request.start, "start"))
        after = checks.bound(request.start_after, "start_after")
        if after:
            lower = max(lower, prefix + after + b"\x00")
        upper = prefix_end(begins)
        end = checks.bound(request.end, "end")
        if end:
            upper = min(upper, prefix + end)
        limit = checks.page_entries(request.limit)
        checksum = _checksum(request)
        if request.page_token:
            resume = prefix + _read_token(request.page_token, checksum)
            if request.reverse:
                upper = min(upper, resume)
            else:
                lower = max(lower, resume + b"\x00")
        # With its token, a page of the default 4 MiB must fit into the 4 MiB that gRPC clients take by default.
        limit_bytes = max(1, min(checks.limits.max_page_bytes - MESSAGE_OVERHEAD_BYTES, checks.answer_bytes))
        return PageRequest(lower, upper, limit, limit_bytes, request.reverse, request.keys_only), checksum


def _checksum(request: pb.ListRequest) -> bytes:
    """Of everything that decides which entries are listed, and in which order."""
    first_page = pb.ListRequest()
    first_page.CopyFrom(request)
    first_page.ClearField("page_token")
    first_page.ClearField("limit")
    return crc32(first_page.SerializeToString(deterministic=True)).to_bytes(4, "big")


def _read_token(token: bytes, checksum: bytes) -> bytes:
    if not token.startswith(_TOKEN_MARK + checksum):
        raise Refusal(
            Reason.INVALID_PAGE_TOKEN,
            "The page token does not belong to this listing. Send the fields of the page before, or no token.",
            field="page_token",
        )
    return token[_TOKEN_HEAD_BYTES:]
