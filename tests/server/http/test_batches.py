"""Batches and listings over HTTP."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from tests.server.http.api import Api, path_of


def test_a_batch_is_set_read_and_deleted(api: Api) -> None:
    items = [{"key": f"k/{number}", "value": {"number": number}} for number in range(30)]
    versions = api.done("POST", "/storage/batch/set", json={"items": items})["data"]["versions"]
    assert len(versions) == 30
    keys = ["k/7", "missing", "k/3"]
    entries = api.done("POST", "/storage/batch/get", json={"keys": keys})["data"]["entries"]
    assert [(entry["key"], entry["value"], entry["version"]) for entry in entries] == [
        ("k/7", {"number": 7}, versions[7]),
        ("k/3", {"number": 3}, versions[3]),
    ]
    assert api.done("POST", "/storage/batch/delete", json={"keys": keys})["data"] == {"deleted": 2}
    with api.client() as client:
        assert client.get_many(["k/7", "k/8"]) == {"k/8": {"number": 8}}


@pytest.mark.parametrize("what", ["get", "delete", "set"])
def test_ten_thousand_keys_are_refused_with_the_limit(api: Api, what: str) -> None:
    keys = [f"k{number}" for number in range(10_000)]
    body = {"items": [{"key": key, "value": 1} for key in keys]} if what == "set" else {"keys": keys}
    answer = api.ask("POST", f"/storage/batch/{what}", json=body)
    assert answer.status_code == 413
    error = answer.json()["error"]
    assert error["code"] == "BATCH_TOO_LARGE"
    assert "10000" in error["message"]
    assert "1024 are allowed" in error["message"]
    assert api.done("GET", "/storage/list")["data"]["entries"] == []


def test_an_object_is_set_whole_or_not_at_all(api: Api) -> None:
    room = {"object": "room"}
    api.done("POST", path_of("a"), params=room, json={"value": 0})
    items = [{"key": "b", "value": 1}, {"key": "a", "value": 1, "ifVersion": 1 << 40}]
    refusal = api.refused("POST", "/storage/batch/set", params=room, json={"items": items})
    assert refusal == (409, "VERSION_CONFLICT", "ifVersion")
    assert api.refused("GET", path_of("b"), params=room)[:2] == (404, "KEY_NOT_FOUND")
    # Flat keys belong to many actors, which have no common condition.
    assert api.refused("POST", "/storage/batch/set", json={"items": items})[1] == "INVALID_CONDITION"


@pytest.mark.parametrize("params", [{}, {"object": "room"}])
def test_pages_follow_one_another(api: Api, params: dict[str, str]) -> None:
    keys = sorted(f"p/{number:03d}" for number in range(45))
    for at in range(0, 45, 15):
        items = [{"key": key, "value": key} for key in keys[at : at + 15]]
        api.done("POST", "/storage/batch/set", params=params, json={"items": items})
    api.done("POST", path_of("q"), params=params, json={"value": 1})
    for reverse in ("false", "true"):
        found, query = [], {**params, "prefix": "p/", "limit": "20", "reverse": reverse}
        while True:
            page = api.done("GET", "/storage/list", params=query)["data"]
            found += [entry["key"] for entry in page["entries"]]
            if page["cursor"] is None:
                break
            query["cursor"] = page["cursor"]
        assert found == (keys[::-1] if reverse == "true" else keys)


def test_bounds_of_a_listing(api: Api) -> None:
    api.done("POST", "/storage/batch/set", json={"items": [{"key": key, "value": 1} for key in "abcdef"]})

    def listed(**query: str) -> str:
        return "".join(entry["key"] for entry in api.done("GET", "/storage/list", params=query)["data"]["entries"])

    assert listed(start="b", end="e") == "bcd"
    assert listed(startAfter="b", end="e") == "cd"
    assert listed(startAfter="b", reverse="true", limit="2") == "fe"
    entries = api.done("GET", "/storage/list", params={"keysOnly": "true"})["data"]["entries"]
    assert all(entry.keys() == {"key", "version", "expiresAtMs"} for entry in entries)


def test_a_cursor_of_another_listing_is_refused(api: Api) -> None:
    api.done("POST", "/storage/batch/set", json={"items": [{"key": key, "value": 1} for key in "abc"]})
    cursor = api.done("GET", "/storage/list", params={"limit": "1"})["data"]["cursor"]
    for query in (
        {"cursor": cursor, "prefix": "b"},
        {"cursor": cursor, "reverse": "true"},
        {"cursor": cursor, "object": "room"},
        {"cursor": "*"},
        {"cursor": "===="},
        {"cursor": "é"},
        {"cursor": urlsafe_b64encode(b"\x01abcd").decode()},
    ):
        assert api.refused("GET", "/storage/list", params=query)[:2] == (400, "INVALID_PAGE_TOKEN"), query


def test_clear_takes_what_it_is_told_and_no_more(api: Api) -> None:
    api.done("POST", "/storage/batch/set", json={"items": [{"key": key, "value": 1} for key in ("a1", "a2", "b")]})
    api.done("POST", path_of("a1"), params={"object": "room"}, json={"value": 1})
    # What is not known is refused before anything is lost.
    assert api.refused("POST", "/storage/clear", params={"prefix": "a"})[:2] == (400, "INVALID_PARAMETER")
    assert api.refused("POST", "/storage/clear", json={"prefixes": "a"})[:2] == (400, "MALFORMED_MESSAGE")
    assert api.done("POST", "/storage/clear", json={"prefix": "a"})["data"] == {"deleted": 2}
    assert api.done("POST", "/storage/clear")["data"] == {"deleted": 1}
    assert api.done("GET", path_of("a1"), params={"object": "room"})["data"] == 1
