"""What is refused before any actor is asked, and how every refusal is said."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
import pytest

from petra_server.errors import Reason, Refusal
from petra_server.http.endpoints import ENDPOINTS
from petra_server.http.exchange import failure_answer
from petra_server.http.status import STATUS_OF_REASON, AnyReason, HttpReason, HttpRefusal
from petra_server.rpc import status as rpc_status
from tests.server.http.api import Api, refusal_of

# Of gRPC statuses, the classes of HTTP that may stand for them.
CLASSES = {
    "INVALID_ARGUMENT": {400, 413, 422},
    "ABORTED": {409},
    "FAILED_PRECONDITION": {409},
    "RESOURCE_EXHAUSTED": {503, 507},
    "UNAVAILABLE": {503},
    "DATA_LOSS": {500},
    "INTERNAL": {500},
    "DEADLINE_EXCEEDED": {504},
}
# Requests that this API has none of.
NOT_OVER_HTTP = {
    Reason.INVALID_THROTTLE,
    Reason.INVALID_OPERATION,
    Reason.INVALID_PIPELINE,
    Reason.NOT_AN_INTEGER,
    Reason.INTEGER_OVERFLOW,
    Reason.NOT_A_THROTTLE,
}


def test_every_reason_has_a_status() -> None:
    assert STATUS_OF_REASON.keys() == {*Reason, *HttpReason}


@pytest.mark.parametrize("reason", Reason)
def test_a_status_says_the_same_as_that_of_grpc(reason: Reason) -> None:
    assert STATUS_OF_REASON[reason] in CLASSES[rpc_status.STATUS_OF_REASON[reason].name]


def test_every_reason_is_one_of_some_endpoint() -> None:
    said: set[AnyReason] = set().union(*(endpoint.reasons for endpoint in ENDPOINTS))
    assert said | NOT_OVER_HTTP | {HttpReason.PATH_NOT_FOUND} == {*Reason, *HttpReason}
    assert not said & NOT_OVER_HTTP


def test_a_refusal_is_said_with_all_that_it_knows() -> None:
    refusal = Refusal(
        Reason.INVALID_TTL, "ttl_ms is -1.", field="items[3].ttl_ms", metadata={"a": "b"}, retry_after_ms=1200
    )
    error = failure_answer(refusal).error
    assert (error.code, error.message, error.field) == ("INVALID_TTL", "ttlMs is -1.", "items[3].ttlMs")
    assert (error.details, error.retry_after_ms) == ({"a": "b"}, 1200)
    # A key may be called anything; its name stays as it is.
    kept = failure_answer(HttpRefusal(HttpReason.KEY_NOT_FOUND, "There is no key 'ttl_ms'.", field="key")).error
    assert kept.message == "There is no key 'ttl_ms'."


SET: dict[str, Any] = {"verb": "POST", "path": "/storage/k", "json": {"value": 1}}
JSON_TYPE = {"content-type": "application/json"}


def set_with(**members: object) -> dict[str, Any]:
    return {**SET, "json": {"value": 1, **members}}


ROWS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("no path", {"verb": "GET", "path": "/"}, 404, "PATH_NOT_FOUND", ""),
    ("unknown path", {"verb": "GET", "path": "/keys/k"}, 404, "PATH_NOT_FOUND", ""),
    ("another method", {"verb": "PUT", "path": "/storage/k"}, 405, "METHOD_NOT_ALLOWED", ""),
    ("method of a page", {"verb": "POST", "path": "/metrics"}, 405, "METHOD_NOT_ALLOWED", ""),
    ("no key", {"verb": "GET", "path": "/storage"}, 400, "INVALID_PARAMETER", "key"),
    ("empty key", {"verb": "GET", "path": "/storage", "params": {"key": ""}}, 400, "INVALID_KEY", "key"),
    ("long key", {"verb": "GET", "path": "/storage/" + "k" * 2049}, 400, "INVALID_KEY", "key"),
    ("long object", {**SET, "params": {"object": "o" * 1025}}, 400, "INVALID_OBJECT", "object"),
    ("long namespace", {**SET, "params": {"namespace": "n" * 256}}, 400, "INVALID_NAMESPACE", "namespace"),
    ("unknown parameter", {**SET, "params": {"ttl": "1"}}, 400, "INVALID_PARAMETER", "ttl"),
    ("no text", {"verb": "GET", "path": "/storage/k?object=%FF"}, 400, "INVALID_PARAMETER", ""),
    ("no number", {"verb": "DELETE", "path": "/storage/k", "params": {"ifVersion": "x"}}, 400, "INVALID_CONDITION", "ifVersion"),  # noqa: E501
    ("no JSON", {**SET, "json": None, "content": b"{", "headers": JSON_TYPE}, 400, "MALFORMED_MESSAGE", ""),
    ("no body", {**SET, "json": None}, 400, "MALFORMED_MESSAGE", ""),
    ("not UTF-8", {**SET, "json": None, "content": b'{"value":"\xff"}', "headers": JSON_TYPE}, 400, "MALFORMED_MESSAGE", ""),  # noqa: E501
    ("NaN", {**SET, "json": None, "content": b'{"value":NaN}', "headers": JSON_TYPE}, 400, "MALFORMED_MESSAGE", ""),
    ("half a surrogate", {**SET, "json": None, "content": b'{"value":"\\ud800"}', "headers": JSON_TYPE}, 400, "MALFORMED_MESSAGE", ""),  # noqa: E501
    ("too deep", {**SET, "json": None, "content": b'{"value":' + b"[" * 100_000, "headers": JSON_TYPE}, 400, "MALFORMED_MESSAGE", ""),  # noqa: E501
    ("no value", {**SET, "json": {}}, 400, "MALFORMED_MESSAGE", "value"),
    ("unknown member", set_with(ttl=1), 400, "MALFORMED_MESSAGE", "ttl"),
    ("a member by its name in gRPC", set_with(ttl_ms=1), 400, "MALFORMED_MESSAGE", "ttl_ms"),
    ("a parameter by its name in gRPC", {"verb": "GET", "path": "/storage/list", "params": {"start_after": "a"}}, 400, "INVALID_PARAMETER", "start_after"),  # noqa: E501
    ("negative ttl", set_with(ttlMs=-1), 400, "INVALID_TTL", "ttlMs"),
    ("ttl of text", set_with(ttlMs="1"), 400, "INVALID_TTL", "ttlMs"),
    ("endless ttl", set_with(ttlMs=10**30), 400, "INVALID_TTL", "ttlMs"),
    ("two ttls", set_with(ttlMs=1, keepTtl=True), 400, "INVALID_TTL", "keepTtl"),
    ("two conditions", set_with(ifVersion=1, ifAbsent=True), 400, "INVALID_CONDITION", "ifAbsent"),
    ("negative version", set_with(ifVersion=-1), 400, "INVALID_CONDITION", "ifVersion"),
    ("no such encoding", set_with(encoding="xml"), 400, "INVALID_ENCODING", "encoding"),
    ("no bytes", set_with(encoding="bytes"), 400, "INVALID_ENCODING", "value"),
    ("no such durability", set_with(durability="maybe"), 400, "INVALID_DURABILITY", "durability"),
    ("large value", set_with(value="x" * (2 << 20)), 413, "VALUE_TOO_LARGE", "value"),
    ("a body of text", {**SET, "headers": {"content-type": "text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE", "content-type"),  # noqa: E501
    ("a form", {**SET, "json": None, "data": {"value": "1"}}, 415, "UNSUPPORTED_MEDIA_TYPE", "content-type"),
    ("compressed", {**SET, "headers": {"content-encoding": "gzip"}}, 415, "UNSUPPORTED_MEDIA_TYPE", "content-encoding"),
    ("of a page", {**SET, "headers": {"origin": "https://example.com"}}, 403, "ORIGIN_NOT_ALLOWED", "origin"),
    ("of a page that reads", {"verb": "GET", "path": "/storage/k", "headers": {"sec-fetch-site": "same-origin"}}, 403, "ORIGIN_NOT_ALLOWED", "sec-fetch-site"),  # noqa: E501
    ("hardly any time", {**SET, "headers": {"petra-timeout-ms": "99"}}, 400, "INVALID_PARAMETER", "Petra-Timeout-Ms"),
    ("no number of time", {**SET, "headers": {"petra-timeout-ms": "1s"}}, 400, "INVALID_PARAMETER", "Petra-Timeout-Ms"),
    ("empty id", {**SET, "headers": {"idempotency-key": ""}}, 400, "INVALID_REQUEST_ID", "Idempotency-Key"),
    ("long id", {**SET, "headers": {"idempotency-key": "i" * 256}}, 400, "INVALID_REQUEST_ID", "Idempotency-Key"),
    ("id of a clear", {"verb": "POST", "path": "/storage/clear", "headers": {"idempotency-key": "i"}}, 400, "INVALID_REQUEST_ID", "Idempotency-Key"),  # noqa: E501
    ("a body to read by", {"verb": "DELETE", "path": "/storage/k", "json": {}}, 400, "INVALID_PARAMETER", "body"),
    ("a key twice", {"verb": "POST", "path": "/storage/batch/set", "json": {"items": [{"key": "a", "value": 1}] * 2}}, 400, "DUPLICATE_KEY", "items[1].key"),  # noqa: E501
    ("an item", {"verb": "POST", "path": "/storage/batch/set", "json": {"items": [{"key": "a", "value": 1, "ttlMs": -1}]}}, 400, "INVALID_TTL", "items[0].ttlMs"),  # noqa: E501
    ("a key of a batch", {"verb": "POST", "path": "/storage/batch/get", "json": {"keys": ["a", ""]}}, 400, "INVALID_KEY", "keys[1]"),  # noqa: E501
    ("two beginnings", {"verb": "GET", "path": "/storage/list", "params": {"start": "a", "startAfter": "a"}}, 400, "INVALID_RANGE", "startAfter"),  # noqa: E501
    ("many entries", {"verb": "GET", "path": "/storage/list", "params": {"limit": "10001"}}, 400, "INVALID_LIMIT", "limit"),  # noqa: E501
    ("no cursor", {"verb": "GET", "path": "/storage/list", "params": {"cursor": "zz"}}, 400, "INVALID_PAGE_TOKEN", "cursor"),  # noqa: E501
    ("no cursor at all", {"verb": "GET", "path": "/storage/list", "params": {"cursor": "\u00e9"}}, 400, "INVALID_PAGE_TOKEN", "cursor"),  # noqa: E501
    ("few entries", {"verb": "GET", "path": "/storage/list", "params": {"limit": "-1"}}, 400, "INVALID_LIMIT", "limit"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "status", "code", "field"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_it_is_refused_by_name(
    http: httpx.Client, request_: dict[str, Any], status: int, code: str, field: str
) -> None:
    request = dict(request_)
    answer = http.request(request.pop("verb"), request.pop("path"), **request)
    assert refusal_of(answer) == (status, code, field), answer.text
    assert answer.headers["content-type"] == "application/json"
    # A field that the message names is named as it was sent.
    assert "ttl_ms" not in answer.text or field == "ttl_ms"
    assert "start_after" not in answer.text or field == "start_after"
    if field in ("ttl_ms", "start_after"):
        assert f"`{field}`" in answer.json()["error"]["message"]


def test_a_parameter_or_header_twice_is_refused(http: httpx.Client) -> None:
    answer = http.get("/storage/k?object=a&object=b")
    assert refusal_of(answer) == (400, "INVALID_PARAMETER", "object")
    twice = [("Petra-Timeout-Ms", "1"), ("Petra-Timeout-Ms", "2")]
    assert refusal_of(http.get("/storage/k", headers=twice))[:2] == (400, "INVALID_PARAMETER")


def test_other_methods_are_told_which_there_are(http: httpx.Client) -> None:
    assert http.put("/storage/k").headers["allow"] == "DELETE, GET, POST"
    assert http.delete("/storage/list").headers["allow"] == "GET"


@pytest.mark.parametrize(("path", "can_be_a_key"), [("/storage/list", True), ("/sql/o", False), ("/metrics", False)])
def test_another_method_is_told_of_keys_where_there_are_any(http: httpx.Client, path: str, can_be_a_key: bool) -> None:
    assert ("/storage?key=" in http.put(path).text) is can_be_a_key


def test_a_request_id_makes_a_request_once(api: Api) -> None:
    # As long as the UUIDs that people use.
    headers = {"Idempotency-Key": "0b9d8f7e-6a5b-4c3d-9e2f-1a0b9c8d7e6f"}
    first = api.done("POST", "/storage/k", json={"value": 1, "ifAbsent": True}, headers=headers)
    again = api.done("POST", "/storage/k", json={"value": 1, "ifAbsent": True}, headers=headers)
    assert first == again
    other = api.refused("POST", "/storage/k", json={"value": 2}, headers=headers)
    assert other == (HTTPStatus.UNPROCESSABLE_ENTITY, "REQUEST_ID_REUSED", "Idempotency-Key")
    assert api.get("k") == 1
    api.done("DELETE", "/storage/k", headers={"Idempotency-Key": "another"})
    assert api.done("DELETE", "/storage/k", headers={"Idempotency-Key": "another"})["data"] == {"deleted": True}
