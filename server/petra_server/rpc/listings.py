"""List: from a message to what is asked for, and from a page to a message."""

from __future__ import annotations

from petra.v1 import storage_pb2 as pb
from petra_server.intake.pages import Listing, Pages


async def list_entries(pages: Pages, request: pb.ListRequest, *, deadline: float | None) -> pb.ListResponse:
    """One page. Raises Refusal."""
    listing = Listing(
        namespace=request.namespace,
        object_name=request.object,
        prefix=request.prefix,
        start=request.start,
        start_after=request.start_after,
        end=request.end,
        limit=request.limit,
        reverse=request.reverse,
        keys_only=request.keys_only,
        page_token=request.page_token,
    )
    page, token = await pages.page(listing, deadline=deadline)
    response = pb.ListResponse(next_page_token=token)
    add = response.entries.add
    for key, (version, expires_at_ms, encoding, value) in page.entries:
        add(key=key.decode(), value=value, encoding=encoding, version=version, expires_at_ms=expires_at_ms)
    return response
