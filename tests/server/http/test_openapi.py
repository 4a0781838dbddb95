"""The OpenAPI document is true: schemathesis makes requests from it, and holds the answers to it.

Every status, header and body must be one of the document, what the document forbids must be refused, and nothing may be
a fault of the server.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from petra_server.http.endpoints import ENDPOINTS
from petra_server.http.incoming import MAX_TIMEOUT_MS, MIN_TIMEOUT_MS, TIMEOUT_HEADER
from petra_server.http.openapi import document
from petra_server.http.status import STATUS_OF_REASON

SCHEMA = schemathesis.openapi.from_dict(document())
EXAMPLES = 15
# A schema does not say which members exclude each other, what SQL is, or how much one server takes: requests that fit
# it may be refused, with a status that the document has.
EXCLUDED: Any = CHECKS.get_by_names(["positive_data_acceptance"])
# A header that nobody knows is nobody's concern.
UNKNOWN_HEADER = "x-schemathesis-unknown-property"


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
def test_answers_are_those_of_the_document(case: schemathesis.Case[Any], http: httpx.Client) -> None:
    given = str(case.headers.get(TIMEOUT_HEADER, ""))
    if given.isascii() and given.isdigit() and MIN_TIMEOUT_MS <= int(given) <= MAX_TIMEOUT_MS:
        # A time that is long enough on any machine: a request whose time is up is no fault of the server.
        case.headers[TIMEOUT_HEADER] = str(MAX_TIMEOUT_MS)
    unknown: Any = CHECKS.get_by_names(["negative_data_rejection"]) if UNKNOWN_HEADER in case.headers else []
    case.call_and_validate(base_url=str(http.base_url), excluded_checks=[*EXCLUDED, *unknown])


def test_the_server_gives_the_document(http: httpx.Client) -> None:
    answer = http.get("/openapi.json")
    assert answer.json() == document()
    assert answer.json()["openapi"].startswith("3.1")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation_id or endpoint.name)
def test_every_status_of_an_endpoint_is_in_the_document(endpoint: Any) -> None:  # noqa: ANN401
    responses = document()["paths"][endpoint.path][endpoint.verb.lower()]["responses"]
    assert set(responses) == {"200", *(str(int(STATUS_OF_REASON[reason])) for reason in endpoint.reasons)}


def test_operations_have_different_names() -> None:
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
