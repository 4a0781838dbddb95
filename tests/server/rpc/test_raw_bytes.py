"""Bytes that are no messages, strings that are no UTF-8, and values and keys that are anything at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petra.v1 import storage_pb2 as pb
from tests.server.rpc.calls import Connection, is_answer, refused
from tests.support.pipelines import METHODS
from tests.support.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import ServerProcess

INVALID = grpc.StatusCode.INVALID_ARGUMENT
BAD_UTF8 = [b"\xff", b"a\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
RESPONSES = dict(METHODS.values())
REQUESTS = {name: request for request, (name, _) in METHODS.items()}

examples = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shared(server: ServerProcess) -> Iterator[Connection]:
    """One connection for all examples of Hypothesis."""
    with Connection(server.address) as connection:
        connection.ask(pb.SetRequest(namespace="witness", key="k", value=b"v"))
        yield connection


@pytest.fixture(scope="module", autouse=True)
def _server_is_well_afterwards(server: ServerProcess) -> Iterator[None]:
    yield
    with Connection(server.address) as connection:
        assert [entry.key for entry in connection.entries("witness")] == ["k"]
        assert isinstance(connection.ask(pb.SetRequest(key="last", value=b"v")), pb.SetResponse)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field as it stands on the wire. For data of up to 127 bytes."""
    return bytes((number << 3 | 2, len(data))) + data


@pytest.mark.parametrize("bad", BAD_UTF8, ids=bytes.hex)
@pytest.mark.parametrize(
    ("method", "number", "reason", "field"),
    [
        ("Get", 1, "INVALID_NAMESPACE", "namespace"),
        ("Get", 2, "INVALID_OBJECT", "object"),
        ("Get", 3, "INVALID_KEY", "key"),
        ("Set", 3, "INVALID_KEY", "key"),
        ("GetMany", 3, "INVALID_KEY", "keys"),
        ("DeleteMany", 3, "INVALID_KEY", "keys"),
        ("List", 3, "INVALID_RANGE", "prefix"),
        ("List", 4, "INVALID_RANGE", "start"),
        ("List", 5, "INVALID_RANGE", "start_after"),
        ("List", 6, "INVALID_RANGE", "end"),
        ("Clear", 3, "INVALID_RANGE", "prefix"),
    ],
)
def test_string_that_is_no_utf8(
    shared: Connection, bad: bytes, method: str, number: int, reason: str, field: str
) -> None:
    refusal = refused(shared.ask_raw(method, _field(number, bad)))
    assert (refusal.code, refusal.reason) == (INVALID, reason)
    assert refusal.fields[0].startswith(field)


@pytest.mark.parametrize("bad", BAD_UTF8, ids=bytes.hex)
def test_nested_string_that_is_no_utf8(shared: Connection, bad: bytes) -> None:
    in_item = refused(shared.ask_raw("SetMany", _field(3, _field(1, bad))))
    in_condition = refused(shared.ask_raw("Transact", _field(2, b"o") + _field(3, _field(1, bad))))
    in_operation = refused(shared.ask_raw("Transact", _field(2, b"o") + _field(4, _field(6, _field(1, bad)))))
    for refusal in (in_item, in_condition, in_operation):
        assert (refusal.code, refusal.reason) == (INVALID, "INVALID_KEY")


@pytest.mark.parametrize("bad", BAD_UTF8, ids=bytes.hex)
def test_bad_string_in_an_embedded_request_is_refused_in_its_place(shared: Connection, bad: bytes) -> None:
    message = pb.PipelineRequest(ids=[1, 2], methods=[pb.METHOD_LIST, pb.METHOD_GET], keys=["", "k"])
    message.values.extend([_field(3, bad), b""])
    answers = list(shared.pipeline(message))
    [error] = [error for answer in answers for error in answer.errors]
    assert (error.id, error.code, error.reason) == (1, INVALID.value[0], "INVALID_RANGE")
    assert [id_ for answer in answers for id_ in answer.ids] == [2]


@pytest.mark.parametrize("bad", BAD_UTF8, ids=bytes.hex)
def test_bad_string_in_a_column_ends_the_stream(shared: Connection, bad: bytes) -> None:
    message = pb.PipelineRequest(ids=[1], methods=[pb.METHOD_GET]).SerializeToString()
    refusal = refused(shared.pipeline_raw(message + _field(5, bad)))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_KEY")


def test_bytes_that_are_no_message(shared: Connection) -> None:
    for method in RESPONSES:
        refusal = refused(shared.ask_raw(method, b"\x0a\xff"))
        assert (refusal.code, refusal.reason) == (INVALID, "MALFORMED_MESSAGE")
        assert "petra.v1" in refusal.message
    refusal = refused(shared.pipeline_raw(b"\x0a\xff"))
    assert (refusal.code, refusal.reason) == (INVALID, "MALFORMED_MESSAGE")


def test_unknown_method_is_unimplemented(shared: Connection) -> None:
    outcome = shared.ask_raw("Conjure", b"")
    assert isinstance(outcome, Refusal)
    assert outcome.code is grpc.StatusCode.UNIMPLEMENTED


@given(method=st.sampled_from(sorted(RESPONSES)), message=st.binary(max_size=200))
@examples
def test_random_bytes_as_a_message(shared: Connection, method: str, message: bytes) -> None:
    _check_answered(shared, method, _harmless(method, message))


@given(data=st.data(), method=st.sampled_from(sorted(RESPONSES)))
@examples
def test_damaged_messages(shared: Connection, data: st.DataObject, method: str) -> None:
    whole = REQUESTS[method](namespace="damage", object="o").SerializeToString() + _field(3, b"key") + _field(4, b"val")
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:position] + data.draw(st.binary(max_size=4)) + whole[position + data.draw(st.integers(0, 3)) :]
    _check_answered(shared, method, _harmless(method, damaged))


@given(messages=st.lists(st.binary(max_size=100), max_size=3))
@examples
def test_random_bytes_in_a_pipeline(shared: Connection, messages: list[bytes]) -> None:
    outcome = shared.pipeline_raw(*messages)
    if isinstance(outcome, Refusal):
        assert outcome.code is INVALID
    else:
        assert all(is_answer(answer, pb.PipelineResponse) for answer in outcome)


@given(key=st.text(min_size=1, max_size=300), object_name=st.text(max_size=100), value=st.binary(max_size=1_000))
@examples
def test_any_text_is_a_key_and_any_bytes_are_a_value(
    shared: Connection, key: str, object_name: str, value: bytes
) -> None:
    request = pb.SetRequest(namespace="any", object=object_name, key=key, value=value, encoding=pb.ENCODING_JSON)
    assert isinstance(shared.ask(request), pb.SetResponse)
    listed = pb.ListRequest(namespace="any", object=object_name, start=key, limit=1)
    for piped in (False, True):
        ask = shared.ask_piped if piped else shared.ask
        answer = ask(pb.GetRequest(namespace="any", object=object_name, key=key))
        assert isinstance(answer, pb.GetResponse)
        assert (answer.entry.key, answer.entry.value, answer.entry.encoding) == (key, value, pb.ENCODING_JSON)
        page = ask(listed)
        assert isinstance(page, pb.ListResponse)
        assert list(page.entries) == [answer.entry]


def _harmless(method: str, message: bytes) -> bytes:
    """Keeps what random bytes happen to mean away from the witness: they act on a namespace of their own."""
    return message + _field(1, b"damage") if method in ("Clear", "DeleteMany", "Delete") else message


def _check_answered(connection: Connection, method: str, message: bytes) -> None:
    outcome = connection.ask_raw(method, message)
    if isinstance(outcome, Refusal):
        # The bytes may by chance be a good request that does not fit the data.
        assert outcome.code in (INVALID, grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION), outcome
        assert outcome.reason
    else:
        assert is_answer(outcome, RESPONSES[method])
