"""Petra as a dictionary: what every StorageService call has to answer, and what is there afterwards.

`Reference.check` takes a request and what the server made of it, and fails when that is not what storage.proto says.
Two things are the server's own choice and are taken over when first seen: versions, of which only the growth is
checked, and how the state of a rate limit is written down.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from petra.v1 import storage_pb2 as pb
from tests.model.shelf import Conflict, Refused, Shelf
from tests.support.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.pipelines import Outcome, Request

REPLAY_MS = 600_000

_STATUS = {
    "VERSION_CONFLICT": grpc.StatusCode.ABORTED,
    "NOT_AN_INTEGER": grpc.StatusCode.FAILED_PRECONDITION,
    "INTEGER_OVERFLOW": grpc.StatusCode.FAILED_PRECONDITION,
    "NOT_A_THROTTLE": grpc.StatusCode.FAILED_PRECONDITION,
}

Address = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Applied:
    """The first time that a request id was applied."""

    fingerprint: tuple[str, bytes]
    outcome: Outcome
    at_ms: int


@dataclass(slots=True)
class Reference:
    """Everything that the server should hold."""

    shelves: defaultdict[Address, Shelf] = field(default_factory=lambda: defaultdict(Shelf))
    applied: dict[bytes, _Applied] = field(default_factory=dict)

    def shelf(self, request: Request) -> Shelf:
        return self.shelves[address_of(request)]

    def check(self, request: Request, outcome: Outcome, now_ms: int) -> None:
        """Fails unless `outcome` is right for `request`, and takes over what the request changed."""
        request_id: bytes = getattr(request, "request_id", b"")
        first = self.applied.get(request_id) if request_id else None
        if first is not None and now_ms < first.at_ms + REPLAY_MS:
            if first.fingerprint == fingerprint(request):
                assert outcome == first.outcome, f"a replay answers {outcome}, the first time it was {first.outcome}"
            else:
                _expect_refusal(outcome, Refused("REQUEST_ID_REUSED"))
            return
        if isinstance(request, pb.ListRequest):
            assert isinstance(outcome, pb.ListResponse), f"{request} was refused: {outcome}"
            self.check_page(request, outcome, now_ms)
            return
        shelf = self.shelf(request)
        try:
            applied = _dry_run(copy.deepcopy(shelf), request, now_ms)
        except Refused as refused:
            _expect_refusal(outcome, refused)
            return
        assert not isinstance(outcome, Refusal), f"{request} was refused: {outcome}"
        _run(shelf, request, outcome, now_ms)
        if request_id and applied:
            self.applied[request_id] = _Applied(fingerprint(request), outcome, now_ms)

    def check_page(self, request: pb.ListRequest, page: pb.ListResponse, now_ms: int, *, skip: int = 0) -> None:
        """Fails unless this is a page of the listing, after the first `skip` entries of it."""
        shelf = self.shelf(request)
        assert len(page.entries) <= (request.limit or 1_000)
        expected = shelf.listing(request, now_ms)[skip:]
        keys = [entry.key for entry in page.entries]
        assert keys == expected[: len(keys)], f"the page of {request} holds {keys}, and the listing is {expected}"
        assert page.next_page_token or keys == expected, f"the listing of {request} ends before {expected[len(keys) :]}"
        for entry in page.entries:
            shelf.observe(entry, now_ms, keys_only=request.keys_only)

    def expiries(self) -> Iterable[int]:
        """When something expires, of the entries and of the request ids."""
        for shelf in self.shelves.values():
            yield from shelf.expiries()
        for applied in self.applied.values():
            yield applied.at_ms + REPLAY_MS


def address_of(request: Request) -> Address:
    """Namespace and object; the empty namespace is the default one."""
    return request.namespace or "default", request.object


def fingerprint(request: Request) -> tuple[str, bytes]:
    """Two requests are the same when these are."""
    same = copy.deepcopy(request)
    same.namespace = request.namespace or "default"
    return type(request).__name__, same.SerializeToString(deterministic=True)


def _expect_refusal(outcome: Outcome, expected: Refused) -> None:
    assert isinstance(outcome, Refusal), f"expected {expected.reason}, the answer was {outcome}"
    status = _STATUS.get(expected.reason, grpc.StatusCode.INVALID_ARGUMENT)
    assert (outcome.code, outcome.reason) == (status, expected.reason), outcome
    assert outcome.message
    if isinstance(expected, Conflict):
        expected.check_version(int(outcome.metadata["version"]))


def _dry_run(scratch: Shelf, request: Request, now_ms: int) -> bool:
    """Raises Refused when the request has to be refused; otherwise whether it is applied, and its id used up."""
    if isinstance(request, pb.TransactRequest):
        return not scratch.transact(request, None, now_ms)
    if isinstance(request, pb.ThrottleRequest):
        return scratch.throttle(request, None, now_ms)
    _run(scratch, request, None, now_ms)
    return True


def _run(shelf: Shelf, request: Request, seen: Outcome | None, now_ms: int) -> None:  # noqa: C901  # one case a method
    match request, seen:
        case pb.GetRequest(), pb.GetResponse() | None:
            shelf.get(request, seen, now_ms)
        case pb.SetRequest(), pb.SetResponse() | None:
            shelf.set(request, seen, now_ms)
        case pb.DeleteRequest(), pb.DeleteResponse() | None:
            shelf.delete(request, seen, now_ms)
        case pb.GetManyRequest(), pb.GetManyResponse() | None:
            shelf.get_many(request, seen, now_ms)
        case pb.SetManyRequest(), pb.SetManyResponse() | None:
            shelf.set_many(request, seen, now_ms)
        case pb.DeleteManyRequest(), pb.DeleteManyResponse() | None:
            shelf.delete_many(request, seen, now_ms)
        case pb.ClearRequest(), pb.ClearResponse() | None:
            shelf.clear(request, seen, now_ms)
        case pb.IncrementRequest(), pb.IncrementResponse() | None:
            shelf.increment(request, seen, now_ms)
        case pb.TouchRequest(), pb.TouchResponse() | None:
            shelf.touch(request, seen, now_ms)
        case pb.ThrottleRequest(), pb.ThrottleResponse() | None:
            shelf.throttle(request, seen, now_ms)
        case pb.TransactRequest(), pb.TransactResponse():
            shelf.transact(request, seen, now_ms)
        case _:
            raise AssertionError(f"{type(request).__name__} was answered with {seen}")
