"""The columns of pipeline messages, read without a server."""

from __future__ import annotations

from typing import Any, cast

import pytest

from petra.v1 import storage_pb2 as pb
from petra_server.actor.actor import Actor
from petra_server.actor.addresses import Addresses
from petra_server.actor.operations import (
    Delete,
    Get,
    Increment,
    Operation,
    Set,
    Touch,
)
from petra_server.errors import Reason, Refusal
from petra_server.intake.checks import Checks, Limits
from petra_server.rpc.columns import Columns
from petra_server.rpc.requests import Requests
from petra_server.storage.keys import entry_prefix

FLAT = entry_prefix(b"default", b"")
ROOM = entry_prefix(b"space", b"room")
LIMITS = Limits(
    max_namespace_bytes=8,
    max_object_bytes=8,
    max_key_bytes=8,
    max_value_bytes=8,
    max_batch_items=4,
    max_message_bytes=1 << 20,
    max_page_entries=10,
    max_page_bytes=1 << 20,
    max_sql_bytes=1 << 10,
    max_sql_value_bytes=1 << 10,
    max_sql_rows=10,
    max_sql_result_bytes=1 << 10,
)


@pytest.fixture
def requests() -> Requests:
    nothing = cast(Any, None)
    actors = [Actor(index, 2, nothing, nothing, nothing, 0) for index in range(2)]
    return Requests(Addresses(actors, max_namespace_bytes=8, max_object_bytes=8), Checks(LIMITS))


def read(requests: Requests, message: pb.PipelineRequest) -> list[Operation | Refusal]:
    columns = Columns(message, requests)
    operations: list[Operation | Refusal] = []
    for row in columns.rows():
        try:
            operations.append(columns.asked(row)[2])
        except Refusal as refusal:
            operations.append(refusal)
    return operations


def refusal(requests: Requests, message: pb.PipelineRequest) -> tuple[Reason, str]:
    with pytest.raises(Refusal) as caught:
        Columns(message, requests)
    return caught.value.reason, caught.value.field


class TestRead:
    def test_empty_columns_hold_the_default_for_every_operation(self, requests: Requests) -> None:
        message = pb.PipelineRequest(
            ids=[7, 5], methods=[pb.METHOD_GET, pb.METHOD_SET], keys=["a", "b"], timeouts_ms=[0, 90]
        )
        assert read(requests, message) == [Get(FLAT + b"a"), Set(FLAT + b"b", b"", 1)]
        columns = Columns(message, requests)
        rows = list(columns.rows())
        assert [(row[0], row[-1]) for row in rows] == [(7, 0), (5, 90)]
        assert [columns.asked(row)[3:] for row in rows] == [(True, b"")] * 2

    def test_every_column_goes_to_its_field(self, requests: Requests) -> None:
        message = pb.PipelineRequest(
            ids=[1, 2, 3, 4],
            methods=[pb.METHOD_SET, pb.METHOD_DELETE, pb.METHOD_INCREMENT, pb.METHOD_TOUCH],
            addresses=[pb.Address(), pb.Address(namespace="space", object="room")],
            address_indexes=[1, 0, 1, 0],
            keys=["a", "b", "c", "d"],
            values=[b"v", b"", b"", b""],
            encodings=[pb.ENCODING_JSON, *[pb.ENCODING_UNSPECIFIED] * 3],
            ttl_ms=[0, 0, 30, 40],
            if_versions=[0, 9, 9, 9],
            options=[
                pb.OPERATION_OPTION_IF_VERSION | pb.OPERATION_OPTION_KEEP_TTL,
                pb.OPERATION_OPTION_IF_VERSION,
                0,
                0,
            ],
            numbers=[0, 0, -3, 0],
            initials=[0, 0, 100, 0],
        )
        assert read(requests, message) == [
            Set(ROOM + b"a", b"v", 2, 0, 0, True),
            Delete(FLAT + b"b", 9),
            Increment(ROOM + b"c", -3, 100, 30),
            Touch(FLAT + b"d", 40),
        ]

    def test_a_version_without_its_option_is_no_condition(self, requests: Requests) -> None:
        message = pb.PipelineRequest(ids=[1], methods=[pb.METHOD_DELETE], keys=["a"], if_versions=[9])
        assert read(requests, message) == [Delete(FLAT + b"a")]

    def test_one_bad_operation_leaves_the_others_alone(self, requests: Requests) -> None:
        message = pb.PipelineRequest(
            ids=[1, 2, 3, 4],
            methods=[pb.METHOD_GET, pb.METHOD_GET, cast(pb.Method, 99), pb.METHOD_GET],
            addresses=[pb.Address(), pb.Address(namespace="far too long")],
            address_indexes=[0, 1, 0, 0],
            keys=["a", "b", "c", ""],
        )
        good, *bad = read(requests, message)
        assert good == Get(FLAT + b"a")
        assert [one.reason for one in bad if isinstance(one, Refusal)] == [
            Reason.INVALID_NAMESPACE,
            Reason.INVALID_PIPELINE,
            Reason.INVALID_KEY,
        ]

    @pytest.mark.parametrize(
        ("columns", "field"),
        [
            ({"ids": [1]}, "ids"),
            ({"ids": [1, 2], "keys": ["a"]}, "keys"),
            ({"ids": [1, 2], "values": [b""] * 3}, "values"),
            ({"ids": [1, 2], "timeouts_ms": [1]}, "timeouts_ms"),
            ({"ids": [1, 2], "address_indexes": [0, 1]}, "address_indexes"),
            ({"ids": [1, 2], "address_indexes": [0]}, "address_indexes"),
        ],
    )
    def test_columns_that_do_not_fit_together_are_refused_by_name(
        self, requests: Requests, columns: dict[str, Any], field: str
    ) -> None:
        message = pb.PipelineRequest(methods=[pb.METHOD_GET] * 2, **columns)
        assert refusal(requests, message) == (Reason.INVALID_PIPELINE, field)

    def test_more_operations_than_allowed_are_refused(self, requests: Requests) -> None:
        message = pb.PipelineRequest(ids=range(5), methods=[pb.METHOD_GET] * 5)
        assert refusal(requests, message) == (Reason.BATCH_TOO_LARGE, "methods")

    def test_more_addresses_than_allowed_are_refused(self, requests: Requests) -> None:
        message = pb.PipelineRequest(addresses=[pb.Address()] * 5)
        assert refusal(requests, message) == (Reason.BATCH_TOO_LARGE, "addresses")
        assert read(requests, pb.PipelineRequest(addresses=[pb.Address()] * 4)) == []

    @pytest.mark.parametrize(
        ("addresses", "indexes", "reason"),
        [(5, 1, Reason.BATCH_TOO_LARGE), (4, 2, Reason.INVALID_PIPELINE), (1, 1_000, Reason.INVALID_PIPELINE)],
    )
    def test_addresses_are_not_looked_up_before_their_number_is_found_good(
        self, addresses: int, indexes: int, reason: Reason
    ) -> None:
        message = pb.PipelineRequest(
            ids=[1],
            methods=[pb.METHOD_GET],
            addresses=[pb.Address(object=f"{number}") for number in range(addresses)],
            address_indexes=[0] * indexes,
        )
        # Looking one up would fail.
        assert refusal(Requests(cast(Addresses, None), Checks(LIMITS)), message)[0] is reason

    @pytest.mark.parametrize("method", [pb.METHOD_GET, pb.METHOD_TOUCH])
    @pytest.mark.parametrize(
        ("columns", "field"),
        [
            ({"request_ids": [b"i", b"i", b""]}, "request_ids"),
            ({"durabilities": [pb.DURABILITY_FSYNC, pb.DURABILITY_BUFFERED, 0]}, "durabilities"),
        ],
    )
    def test_what_writes_nothing_durable_has_no_envelope(
        self, requests: Requests, method: pb.Method, columns: dict[str, Any], field: str
    ) -> None:
        message = pb.PipelineRequest(
            ids=[1, 2, 3], methods=[method, pb.METHOD_SET, method], keys=["a", "b", "c"], **columns
        )
        fit = Columns(message, requests)
        bad, *good = fit.rows()
        with pytest.raises(Refusal) as caught:
            fit.asked(bad)
        assert (caught.value.reason, caught.value.field) == (Reason.INVALID_PIPELINE, field)
        assert [fit.asked(row)[3:] for row in good] == [
            (True, b"i") if field == "request_ids" else (False, b""),
            (True, b""),
        ]

    def test_an_empty_message_holds_no_operations(self, requests: Requests) -> None:
        assert read(requests, pb.PipelineRequest()) == []
