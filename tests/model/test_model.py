"""The real server and the dictionary of tests.model.reference, side by side through every RPC.

Hypothesis draws the calls, the moments between them and the restarts, and shrinks what goes wrong to a few lines.
`pytest tests/model --hypothesis-profile thorough` looks much longer.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from typing import TYPE_CHECKING, ClassVar

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from petra.v1 import admin_pb2, admin_pb2_grpc
from petra.v1 import storage_pb2 as pb
from tests.model import requests as drawn
from tests.model.reference import REPLAY_MS, Reference, address_of
from tests.support.inprocess import running_server
from tests.support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.pipelines import Request

# Few, so that objects and flat keys share them, and so that a server opens quickly.
ACTORS = 3
THOROUGH = "thorough"
EXAMPLES = {THOROUGH: 2_000}
QUICK_EXAMPLES = 100


class PetraMachine(RuleBasedStateMachine):
    """One server with an empty directory, one connection to it, and what it should hold."""

    # Shared by all examples, as gRPC likes it best.
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        runner = self.runner
        self.running = running_server(actors=ACTORS)
        self.server = runner.run(self.running.__aenter__())
        self.wire = runner.run(self._connected())
        self.reference = Reference()
        self.identified: list[Request] = []

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.everything_is_as_the_dictionary_says()
        finally:
            self.runner.run(self.wire.close())
            self.runner.run(self.running.__aexit__(None, None, None))

    async def _connected(self) -> Wire:
        return Wire(self.server.address)

    @property
    def now_ms(self) -> int:
        return self.server.clock.now_ms()

    # Calls, one at a time.

    @rule(request=drawn.gets, piped=st.booleans())
    def get(self, request: pb.GetRequest, piped: bool) -> None:
        self._ask(request, piped=piped)

    @rule(request=drawn.sets, piped=st.booleans(), identified=st.booleans())
    def set(self, request: pb.SetRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.deletes, piped=st.booleans(), identified=st.booleans())
    def delete(self, request: pb.DeleteRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.increments, piped=st.booleans(), identified=st.booleans())
    def increment(self, request: pb.IncrementRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.touches, piped=st.booleans())
    def touch(self, request: pb.TouchRequest, piped: bool) -> None:
        self._ask(request, piped=piped)

    @rule(request=drawn.throttle_calls, piped=st.booleans(), identified=st.booleans())
    def throttle(self, request: pb.ThrottleRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.get_manys(), piped=st.booleans())
    def get_many(self, request: pb.GetManyRequest, piped: bool) -> None:
        self._ask(request, piped=piped)

    @rule(request=drawn.set_manys(), piped=st.booleans(), identified=st.booleans())
    def set_many(self, request: pb.SetManyRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.delete_manys(), piped=st.booleans(), identified=st.booleans())
    def delete_many(self, request: pb.DeleteManyRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    @rule(request=drawn.clears(), piped=st.booleans())
    def clear(self, request: pb.ClearRequest, piped: bool) -> None:
        self._ask(request, piped=piped)

    @rule(request=drawn.transacts(), piped=st.booleans(), identified=st.booleans())
    def transact(self, request: pb.TransactRequest, piped: bool, identified: bool) -> None:
        self._ask(request, piped=piped, identified=identified)

    # Calls that belong together.

    @rule(requests=st.lists(drawn.single_calls | drawn.object_calls, min_size=2, max_size=8), dense=st.booleans())
    def many_in_one_message(self, requests: list[Request], dense: bool) -> None:
        resolved = [self._resolved(request) for request in requests]
        outcomes = self.runner.run(self.wire.ask_together(resolved, dense=dense))
        for request, outcome in zip(resolved, outcomes, strict=True):
            self.reference.check(request, outcome, self.now_ms)
        self._learn()

    @rule(request=drawn.lists())
    def list_all_pages(self, request: pb.ListRequest) -> None:
        skip = 0
        for page in self._pages(request):
            self.reference.check_page(request, page, self.now_ms, skip=skip)
            skip += len(page.entries)

    @rule(request=drawn.lists(), between=st.lists(drawn.single_calls, min_size=1, max_size=3))
    def list_while_others_write(self, request: pb.ListRequest, between: Sequence[Request]) -> None:
        """Keys that are there throughout are listed exactly once, and in order, whatever else happens."""
        request = copy.copy(request)
        request.limit = 1
        shelf = self.reference.shelf(request)
        throughout = ever = frozenset(shelf.listing(request, self.now_ms))
        listed: list[str] = []
        for page in self._pages(request):
            for entry in page.entries:
                shelf.observe(entry, self.now_ms, keys_only=request.keys_only)
                listed.append(entry.key)
            for write in between:
                if address_of(write) == address_of(request):
                    self._ask(write)
                    now_listed = shelf.listing(request, self.now_ms)
                    throughout, ever = throughout.intersection(now_listed), ever.union(now_listed)
        assert listed == sorted(set(listed), key=str.encode, reverse=request.reverse)
        assert throughout <= set(listed) <= ever

    # Request ids.

    @precondition(lambda self: self.identified)
    @rule(data=st.data(), piped=st.booleans())
    def repeat_with_the_same_id(self, data: st.DataObject, piped: bool) -> None:
        self._ask(data.draw(st.sampled_from(self.identified)), piped=piped)

    @precondition(lambda self: self.identified)
    @rule(data=st.data(), piped=st.booleans())
    def use_an_id_for_something_else(self, data: st.DataObject, piped: bool) -> None:
        other = _altered(data.draw(st.sampled_from(self.identified)))
        if other is not None:
            self._ask(other, piped=piped)

    # Time, and the process.

    @rule(ms=st.sampled_from([1, 99, 1_000, REPLAY_MS]))
    def time_goes_on(self, ms: int) -> None:
        self.server.clock.advance(ms)

    @rule(which=st.integers(0, 3), offset_ms=st.sampled_from([-1, 0, 1]))
    def time_goes_on_to_an_expiry(self, which: int, offset_ms: int) -> None:
        upcoming = sorted({at_ms for at_ms in self.reference.expiries() if at_ms > self.now_ms + 1})
        if upcoming:
            self.server.clock.advance(upcoming[which % len(upcoming)] + offset_ms - self.now_ms)

    @rule()
    def sweep(self) -> None:
        """Removes what has expired, which nobody may notice."""
        self.runner.run(self.server.sweep())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.wire.close())
        self.runner.run(self.server.restart())
        self.wire = self.runner.run(self._connected())

    @rule()
    def everything_is_as_the_dictionary_says(self) -> None:
        for namespace, object_name in drawn.ADDRESSES:
            self.list_all_pages(pb.ListRequest(namespace=namespace, object=object_name))
        shelves = self.reference.shelves
        filled = [address for address, shelf in shelves.items() if shelf.live_keys(self.now_ms)]
        namespaces, objects = self.runner.run(self._names())
        assert namespaces == sorted({namespace for namespace, _ in filled}, key=str.encode)
        assert objects == {
            namespace: sorted((name for other, name in filled if other == namespace and name), key=str.encode)
            for namespace in namespaces
        }

    # How it is done.

    def _ask(self, request: Request, *, piped: bool = False, identified: bool = False) -> None:
        request = self._resolved(request)
        if identified:
            request.request_id = b"id %d" % len(self.identified)  # type: ignore[union-attr]  # the caller knows
            self.identified.append(request)
        if piped:
            [outcome] = self.runner.run(self.wire.ask_together([request]))
        else:
            outcome = self.runner.run(self.wire.ask(request))
        self.reference.check(request, outcome, self.now_ms)
        self._learn()

    def _learn(self) -> None:
        """Reads what only the server knows as yet, before time goes on."""
        for (namespace, object_name), shelf in self.reference.shelves.items():
            for key in shelf.unknown_keys():
                request = pb.GetRequest(namespace=namespace, object=object_name, key=key)
                self.reference.check(request, self.runner.run(self.wire.ask(request)), self.now_ms)

    def _resolved(self, request: Request) -> Request:
        """The request with real versions in its conditions."""
        request = copy.deepcopy(request)
        shelf = self.reference.shelf(request)
        for part, field in _conditions(request):
            present = shelf.present_version(part.key, self.now_ms)
            # Far from any version that an operation of the same request may get.
            wanted = {drawn.PRESENT: present, drawn.WRONG: present + 2**32}
            setattr(part, field, wanted.get(getattr(part, field), getattr(part, field)))
        return request

    def _pages(self, request: pb.ListRequest) -> Iterator[pb.ListResponse]:
        request = copy.copy(request)
        while True:
            page = self.runner.run(self.wire.ask(request))
            assert isinstance(page, pb.ListResponse), page
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _names(self) -> tuple[list[str], dict[str, list[str]]]:
        async with grpc.aio.insecure_channel(self.server.address) as channel:
            admin = admin_pb2_grpc.AdminServiceStub(channel)
            namespaces = list((await admin.ListNamespaces(admin_pb2.ListNamespacesRequest())).namespaces)
            objects = {
                namespace: list((await admin.ListObjects(admin_pb2.ListObjectsRequest(namespace=namespace))).objects)
                for namespace in namespaces
            }
        return namespaces, objects


_Conditional = pb.SetRequest | pb.DeleteRequest | pb.SetItem | pb.DeleteItem | pb.Condition


def _conditions(request: Request) -> Iterator[tuple[_Conditional, str]]:
    """The parts of a request that name a version, and the name of that field."""
    match request:
        case pb.TransactRequest():
            yield from ((condition, "version") for condition in request.conditions)
            candidates: list[_Conditional] = [
                operation.set if operation.HasField("set") else operation.delete
                for operation in request.operations
                if operation.HasField("set") or operation.HasField("delete")
            ]
        case pb.SetManyRequest():
            candidates = list(request.items)
        case pb.SetRequest() | pb.DeleteRequest():
            candidates = [request]
        case _:
            candidates = []
    for candidate in candidates:
        if candidate.HasField("if_version"):
            yield candidate, "if_version"


def _altered(request: Request) -> Request | None:
    """Another request for the same key or object with the same id."""
    other = copy.deepcopy(request)
    match other:
        case pb.SetRequest():
            other.value += b"!"
        case pb.DeleteRequest():
            return pb.SetRequest(
                namespace=other.namespace, object=other.object, key=other.key, request_id=other.request_id
            )
        case pb.IncrementRequest():
            other.delta ^= 1
        case pb.ThrottleRequest():
            other.peek = not other.peek
        case pb.TransactRequest():
            other.operations.append(pb.Operation(get=pb.GetItem(key="a")))
        case pb.SetManyRequest() if other.items:
            for item in other.items:
                item.value += b"!"
        case _:
            return None
    return other


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_rpc_agrees_with_the_dictionary() -> None:
    examples = EXAMPLES.get(settings.get_current_profile_name(), QUICK_EXAMPLES)
    with asyncio.Runner() as PetraMachine.runner:
        run_state_machine_as_test(
            PetraMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
