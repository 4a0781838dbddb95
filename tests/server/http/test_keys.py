"""Keys over HTTP: every key can be named, every value comes back, and the Python client sees the same."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.http.api import Api, path_of

# What a path, a proxy or a framework is likely to take for something else.
ODD_KEYS = [
    "a/b/c",
    "/",
    "//",
    "trailing/",
    "with space",
    "+",
    "100%",
    "%2F",
    "?a=b&c#d",
    "ключ/鍵/🔑",
    "\x00\x01",
    "two\nlines\r\n",
    'quote"\\',
    "list",
    "clear",
    "batch/get",
    "batch/set",
    "batch/delete",
    "batch",
    "k" * 2048,
]
# Keys of the same spelling as a reserved path are named by a parameter, or with their slash encoded.
RESERVED = {"list", "clear"}


@pytest.mark.parametrize("key", [key for key in ODD_KEYS if key not in RESERVED])
def test_any_key_can_stand_in_the_path(api: Api, key: str) -> None:
    api.set(key, [key])
    assert api.get(key) == [key]
    with api.client() as client:
        assert client.get(key) == [key]
    assert api.done("DELETE", path_of(key))["data"] == {"deleted": True}
    assert api.refused("GET", path_of(key)) == (404, "KEY_NOT_FOUND", "key")


@pytest.mark.parametrize("key", [*ODD_KEYS, ".", "..", "a/../b"])
def test_any_key_can_be_a_parameter(api: Api, key: str) -> None:
    api.done("POST", "/storage", params={"key": key}, json={"value": key})
    assert api.done("GET", "/storage", params={"key": key})["data"] == key
    with api.client() as client:
        assert client.get(key) == key
    assert api.done("DELETE", "/storage", params={"key": key})["data"] == {"deleted": True}


def test_a_reserved_path_is_never_a_key(api: Api) -> None:
    with api.client() as client:
        for key in ("list", "clear", "batch/get", "batch/set", "batch/delete"):
            client.set(key, "kept")
            assert api.refused("DELETE", f"/storage/{key}")[:2] == (405, "METHOD_NOT_ALLOWED")
            # A body that is meant for a key is none of these.
            assert api.ask("POST", f"/storage/{key}", json={"value": 1}).status_code in (400, 405)
            assert client.get(key) == "kept"


def test_bytes_of_the_path_that_are_no_text_are_refused(api: Api) -> None:
    assert api.refused("GET", "/storage/%FF") == (400, "INVALID_KEY", "key")
    assert api.refused("GET", "/storage/")[:2] == (400, "INVALID_KEY")
    assert api.refused("POST", "/sql/%C3", json={"sql": "SELECT 1"})[:2] == (400, "INVALID_OBJECT")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=JSON)
def test_json_is_the_same_over_http_and_for_the_python_client(api: Api, value: object) -> None:
    api.set("by http", value)
    with api.client() as client:
        assert client.get("by http") == value
        client.set("by client", value)
    assert api.get("by client") == value == api.get("by http")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200))
def test_bytes_are_the_same_over_http_and_for_the_python_client(api: Api, data: bytes) -> None:
    with api.client() as client:
        client.set("by client", data)
        body = api.done("GET", path_of("by client"))
        assert body["encoding"] == "bytes"
        api.set("by http", body["data"], encoding="bytes")
        assert client.get("by http") == data


def test_json_that_looks_like_bytes_is_json(api: Api) -> None:
    api.set("k", {"base64": "AAH/"})
    assert api.done("GET", path_of("k"))["encoding"] == "json"
    with api.client() as client:
        assert client.get("k") == {"base64": "AAH/"}


def test_numbers_keep_all_their_digits(api: Api) -> None:
    digits = "[9223372036854775807,-123456789012345678901234567890,0.1]"
    api.done("POST", path_of("k"), content=f'{{"value":{digits}}}', headers={"content-type": "application/json"})
    assert digits in api.ask("GET", path_of("k")).text


def test_versions_and_conditions(api: Api) -> None:
    first = api.set("k", 1, ifAbsent=True)
    assert api.refused("POST", path_of("k"), json={"value": 2, "ifAbsent": True})[:2] == (409, "VERSION_CONFLICT")
    second = api.set("k", 2, ifVersion=first)
    assert api.done("GET", path_of("k"))["version"] == second > first
    answer = api.ask("DELETE", path_of("k"), params={"ifVersion": first})
    assert answer.status_code == 409
    assert answer.json()["error"]["details"]["version"] == str(second)
    assert api.done("DELETE", path_of("k"), params={"ifVersion": second})["data"] == {"deleted": True}
    assert api.set("k", 3, ifVersion=0) > second


def test_expiry_is_told_and_kept(api: Api) -> None:
    api.set("k", 1, ttlMs=3_600_000)
    expires_at_ms = api.done("GET", path_of("k"))["expiresAtMs"]
    api.set("k", 2, keepTtl=True)
    assert api.done("GET", path_of("k"))["expiresAtMs"] == expires_at_ms
    api.set("k", 3)
    assert api.done("GET", path_of("k"))["expiresAtMs"] is None


def test_an_object_has_its_own_keys(api: Api) -> None:
    api.set("k", "flat")
    api.done("POST", path_of("k"), params={"object": "room/1"}, json={"value": "in it"})
    assert api.done("GET", path_of("k"), params={"object": "room/1"})["data"] == "in it"
    assert api.get("k") == "flat"
    with api.client() as client:
        assert client.object("room/1").get("k") == "in it"


def test_names_may_be_of_any_letters(api: Api) -> None:
    params = {"object": string.punctuation + " ü"}
    api.done("POST", path_of("k"), params=params, json={"value": 1})
    assert api.done("GET", "/storage/list", params=params)["data"]["entries"][0]["key"] == "k"


def test_what_says_that_it_is_json_and_is_not_is_shown_as_bytes(api: Api, http_raw_set: None) -> None:
    body = api.done("GET", "/storage/broken", params={"namespace": "raw"})
    assert (body["encoding"], body["data"]) == ("bytes", {"base64": "eyJub3Q="})
    assert json.loads(api.ask("GET", "/storage/list", params={"namespace": "raw"}).text)["success"]


@pytest.fixture
def http_raw_set(server: object, api: Api) -> None:
    """An entry of a client that breaks its word."""
    import grpc

    from petra.v1 import storage_pb2, storage_pb2_grpc

    with grpc.insecure_channel(api.grpc_address) as channel:
        storage_pb2_grpc.StorageServiceStub(channel).Set(
            storage_pb2.SetRequest(namespace="raw", key="broken", value=b'{"not', encoding=storage_pb2.ENCODING_JSON)
        )
