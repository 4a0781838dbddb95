"""/metrics: parsed as Prometheus does, and equal to what the clients did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from petra import AsyncClient
from petra.errors import VersionConflict
from petra_server.figures import OTHER, TOLD_APART, Histogram, Namespaces
from tests.server.http.api import PATIENCE_S
from tests.support.server import ServerProcess

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose figures nobody else adds to."""
    data = tmp_path_factory.mktemp("counted") / "data"
    options = ("--actors", "8", "--sweep-interval-ms", "5", "--http-timeout-ms", "60000")
    with ServerProcess(data, "--http", "127.0.0.1:0", *options) as server:
        yield server


def scrape(server: ServerProcess) -> Samples:
    answer = httpx.get(f"http://{server.start_line['http']}/metrics", trust_env=False, timeout=PATIENCE_S)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The value of one sample; 0 when it is not there yet."""
    return samples.get((name, frozenset(labels.items())), 0.0)


def requests(samples: Samples, transport: str, method: str, status: str = "OK") -> float:
    return value(samples, "petra_requests_total", transport=transport, method=method, status=status)


def added(before: Samples, after: Samples, name: str, **labels: str) -> float:
    return value(after, name, **labels) - value(before, name, **labels)


SETS, GETS, CONFLICTS, POSTS, MISSING = 400, 300, 20, 60, 15


async def load(server: ServerProcess, scraped: list[Samples]) -> None:
    """Gets, sets and refusals by the Python client and over HTTP, from many tasks at once, with scrapes between."""
    base = f"http://{server.start_line['http']}"
    async with (
        AsyncClient(server.address, namespace="counted", timeout=PATIENCE_S) as client,
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as http,
        asyncio.TaskGroup() as tasks,
    ):
        for number in range(SETS):
            tasks.create_task(client.set(f"k{number % 50}", number))
        for number in range(GETS):
            tasks.create_task(client.get(f"k{number % 50}"))
        for number in range(POSTS):
            tasks.create_task(http.post(f"/storage/h{number}", params={"namespace": "counted"}, json={"value": 1}))
        for _ in range(MISSING):
            tasks.create_task(http.get("/storage/absent", params={"namespace": "counted"}))
        tasks.create_task(conflicts(client))
        scraped += [await asyncio.to_thread(scrape, server) for _ in range(5)]


async def conflicts(client: AsyncClient) -> None:
    """Sets that are refused."""
    refused = [client.set("k0", 1, if_version=1 << 40) for _ in range(CONFLICTS)]
    outcomes = await asyncio.gather(*refused, return_exceptions=True)
    assert all(isinstance(outcome, VersionConflict) for outcome in outcomes)


def test_counts_are_what_the_clients_did_while_others_scrape(counted: ServerProcess) -> None:
    before, scraped = scrape(counted), list[Samples]()
    asyncio.run(load(counted, scraped))
    after = scrape(counted)

    def count(way: str, method: str, status: str = "OK") -> float:
        return requests(after, way, method, status) - requests(before, way, method, status)

    # The client packs what is asked together, and asks alone what comes alone.
    assert count("pipeline", "Set") + count("grpc", "Set") == SETS
    assert count("pipeline", "Get") + count("grpc", "Get") == GETS
    refused = count("pipeline", "Set", "VERSION_CONFLICT") + count("grpc", "Set", "VERSION_CONFLICT")
    assert refused == CONFLICTS
    assert count("http", "Set") == POSTS
    assert count("http", "Get", "KEY_NOT_FOUND") == MISSING
    assert count("http", "Get") == 0
    asked = SETS + GETS + CONFLICTS + POSTS + MISSING
    assert added(before, after, "petra_namespace_requests_total", namespace="counted") == asked
    durations = added(before, after, "petra_request_duration_seconds_count", transport="http", method="Set")
    assert durations == POSTS
    assert added(before, after, "petra_keys") == 50 + POSTS
    # What was scraped meanwhile only grows.
    totals = [requests(one, "pipeline", "Set") for one in [before, *scraped, after]]
    assert max(totals) == totals[-1]
    assert min(totals) == totals[0]


def test_what_is_promised_is_there(counted: ServerProcess) -> None:
    samples = scrape(counted)
    names = {name for name, _ in samples}
    assert names >= {
        "petra_build_info",
        "petra_requests_total",
        "petra_request_duration_seconds_bucket",
        "petra_queue_depth",
        "petra_queue_wait_seconds_bucket",
        "petra_turn_operations_bucket",
        "petra_pipeline_message_operations_bucket",
        "petra_flush_duration_seconds_bucket",
        "petra_flush_answers_bucket",
        "petra_cache_hits_total",
        "petra_cache_misses_total",
        "petra_keys",
        "petra_written_bytes_total",
        "petra_expired_keys_total",
        "petra_sql_open_databases",
        "petra_loop_lag_seconds_bucket",
        "process_resident_memory_bytes",
    }
    assert all(count >= 0 for count in samples.values())


def test_storage_sql_and_expiry_are_counted(counted: ServerProcess) -> None:
    before = scrape(counted)
    with httpx.Client(base_url=f"http://{counted.start_line['http']}", trust_env=False) as http:
        params = {"namespace": "stored"}
        assert http.post("/storage/gone", params=params, json={"value": "x" * 1000, "ttlMs": 1}).status_code == 200
        assert http.post("/storage/kept", params=params, json={"value": "x" * 1000}).status_code == 200
        for _ in range(3):
            assert http.get("/storage/kept", params=params).status_code == 200
        assert http.post("/sql/o", params=params, json={"sql": "SELECT 1"}).status_code == 200
    after = scrape(counted)
    assert added(before, after, "petra_written_bytes_total") >= 2000
    assert added(before, after, "petra_flush_duration_seconds_count") >= 2
    assert added(before, after, "petra_cache_hits_total") >= 3
    assert added(before, after, "petra_sql_open_databases") == 1
    assert added(before, after, "petra_sql_statements_total") == 1
    patience_over = time.monotonic() + PATIENCE_S
    while added(before, scrape(counted), "petra_expired_keys_total") < 1:
        assert time.monotonic() < patience_over
    assert added(before, scrape(counted), "petra_expired_keys_total") == 1


def test_openmetrics_is_given_to_who_accepts_it(counted: ServerProcess) -> None:
    headers = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = httpx.get(f"http://{counted.start_line['http']}/metrics", headers=headers, trust_env=False)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = read_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert any(family.name == "petra_requests" for family in families)


def test_namespaces_beyond_the_first_are_counted_together(counted: ServerProcess) -> None:
    before = scrape(counted)
    with httpx.Client(base_url=f"http://{counted.start_line['http']}", trust_env=False) as http:
        for number in range(TOLD_APART + 20):
            http.get("/storage/k", params={"namespace": f"many{number}"})
    after = scrape(counted)
    labels = [key for key in after if key[0] == "petra_namespace_requests_total"]
    assert len(labels) == TOLD_APART + 1
    assert added(before, after, "petra_namespace_requests_total", namespace=OTHER) >= 20
    total = sum(after[key] - before.get(key, 0.0) for key in labels)
    assert total == TOLD_APART + 20


def test_names_that_are_too_long_are_no_labels() -> None:
    namespaces = Namespaces(most=2)
    namespaces.add("x" * 1000)
    namespaces.add("a", 5)
    namespaces.add("b")
    namespaces.add("c", 2)
    assert namespaces.counts == {OTHER: 3, "a": 5, "b": 1}


def test_a_histogram_counts_each_value_under_the_first_bound_that_holds_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for one in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.observe(one)
    assert histogram.counts == [2, 2, 1]
    assert (histogram.count, histogram.total) == (5, 8.0)
