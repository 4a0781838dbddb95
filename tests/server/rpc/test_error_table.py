"""Every row of the error table, over raw gRPC: what the refusal says, and that nothing has changed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from petra.v1 import errors_pb2
from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection, refused
from tests.server.rpc.error_table import INVALID, NO_VERSION, OBJECT, PREPARED, ROWS, Row
from tests.support.refusals import DOMAIN, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.rpc.calls import Entries
    from tests.support.server import ServerProcess

# Reasons that need more than one request to a healthy server, and the tests that bring them about.
ELSEWHERE = {
    "MALFORMED_MESSAGE": "test_raw_bytes",
    "INVALID_PIPELINE": "test_pipeline_errors",
    "OVERLOADED": "test_pressure",
    "DISK_FULL": "test_pressure",
    "DRAINING": "test_shutdown",
    "STORAGE_FAILED": "test_faults",
    "STORAGE_CORRUPT": "test_faults",
    "INTERNAL_ERROR": "test_faults",
    "DEADLINE_PASSED": "test_deadlines",
    "INVALID_STATEMENT": "test_sql",
    "SQL_ERROR": "test_sql",
    "SQL_CONSTRAINT": "test_sql",
    "SQL_NOT_ALLOWED": "test_sql",
    "SQL_TOO_LARGE": "test_hostile_sql",
    "RESULT_TOO_LARGE": "test_sql",
}


@pytest.fixture(scope="module")
def before(server: ServerProcess) -> Iterator[Entries]:
    """Everything there is, before any row."""
    with Connection(server.address) as connection:
        for request in PREPARED:
            assert not isinstance(connection.ask(request), Refusal)
        yield connection.everything()


@pytest.fixture(scope="module", autouse=True)
def _nothing_changes(server: ServerProcess, before: Entries) -> Iterator[None]:
    yield
    with Connection(server.address) as connection:
        assert connection.everything() == before


def _check(row: Row, refusal: Refusal) -> None:
    assert (refusal.code, refusal.reason, refusal.domain) == (row.code, row.reason, DOMAIN), refusal


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_unary_call_is_refused(connection: Connection, row: Row) -> None:
    refusal = refused(connection.ask(row.request))
    _check(row, refusal)
    # A BadRequest is only for what is wrong with the request, whatever is stored.
    assert refusal.fields == ((row.field,) if row.field and row.code is INVALID else ()), refusal


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_piped_operation_is_refused_in_its_place(connection: Connection, row: Row) -> None:
    first, refusal, last = connection.ask_together([pb.GetRequest(key="text"), row.request, pb.GetRequest(key="count")])
    _check(row, refused(refusal))
    assert refused(refusal).fields == ((row.field,) if row.field else ()), refusal
    assert isinstance(first, pb.GetResponse)
    assert isinstance(last, pb.GetResponse)
    assert (first.entry.value, last.entry.value) == (b"no number", b"9223372036854775807")


def test_unary_and_piped_refusals_are_the_same(connection: Connection) -> None:
    for row in ROWS:
        unary, piped = refused(connection.ask(row.request)), refused(connection.ask_piped(row.request))
        assert dataclasses.replace(unary, fields=()) == dataclasses.replace(piped, fields=()), row.name


def test_conflict_tells_the_present_version(connection: Connection, before: Entries) -> None:
    present = {entry.key: entry.version for entry in before["default", ""]}
    taken = refused(connection.ask(pb.SetRequest(key="text", if_version=0)))
    assert taken.metadata["version"] == str(present["text"])
    absent = refused(connection.ask(pb.SetRequest(key="absent", if_version=7)))
    assert absent.metadata["version"] == "0"


def test_conflicting_transaction_is_answered_with_the_present_entries(connection: Connection, before: Entries) -> None:
    present = {entry.key: entry for entry in before["default", OBJECT]}
    request = pb.TransactRequest(
        object=OBJECT,
        conditions=[
            pb.Condition(key="text", version=NO_VERSION),
            pb.Condition(key="count", version=present["count"].version),
            pb.Condition(key="absent", version=7),
        ],
        operations=[pb.Operation(set=pb.SetItem(key="text", value=b"changed"))],
    )
    for answer in (connection.ask(request), connection.ask_piped(request)):
        assert answer == pb.TransactResponse(committed=False, conflicts=[present["text"], pb.Entry(key="absent")])


def test_conflicting_operation_of_a_transaction_is_answered_with_the_present_entry(
    connection: Connection, before: Entries
) -> None:
    present = {entry.key: entry for entry in before["default", OBJECT]}
    operations = [
        pb.Operation(set=pb.SetItem(key="new", value=b"1")),
        pb.Operation(delete=pb.DeleteItem(key="text", if_version=NO_VERSION)),
    ]
    answer = connection.ask(pb.TransactRequest(object=OBJECT, operations=operations))
    assert answer == pb.TransactResponse(committed=False, conflicts=[present["text"]])


def test_token_of_another_listing_is_refused(connection: Connection) -> None:
    page = connection.ask(pb.ListRequest(limit=1))
    assert isinstance(page, pb.ListResponse)
    assert page.next_page_token
    for other in (
        pb.ListRequest(limit=1, reverse=True),
        pb.ListRequest(limit=1, prefix="c"),
        pb.ListRequest(limit=1, object=OBJECT),
        pb.ListRequest(limit=1, namespace="other"),
        pb.ListRequest(limit=1, keys_only=True),
    ):
        other.page_token = page.next_page_token
        assert refused(connection.ask(other)).reason == "INVALID_PAGE_TOKEN", other


def test_every_reason_is_tested_somewhere() -> None:
    tested = {row.reason for row in ROWS} | {"INVALID_PAGE_TOKEN"} | ELSEWHERE.keys()
    assert tested == set(errors_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
