"""A Node client, with nothing but the .proto files, against a real server.

The client runs once and reports each of its scenarios (see client.mjs); here each is a test of its own.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.npm import INSTALL_TIMEOUT_S, node_with_packages
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
PROTO_ROOT = HERE.parents[1] / "proto"

CLIENT_TIMEOUT_S = 90

SCENARIOS = {
    "entries": [
        "absent_key_has_no_entry",
        "buffered_write_is_read_back",
        "delete_says_whether_there_was_an_entry",
        "expired_entry_is_gone",
        "increment_counts_in_64_bits",
        "json_keeps_its_encoding",
        "keep_ttl_keeps_and_plain_set_removes",
        "many_at_once_flat_and_in_an_object",
        "objects_keep_entries_apart",
        "set_then_get",
        "touch_sets_and_removes_the_expiry",
        "ttl_is_an_absolute_expiry",
        "unusual_keys",
    ],
    "conditions": [
        "failed_transaction_changes_nothing",
        "if_version_guards_set_and_delete",
        "request_id_belongs_to_one_request",
        "request_id_is_applied_once",
        "transaction_answers_with_the_conflicts",
        "transaction_applies_every_operation",
        "version_grows_across_deletion",
    ],
    "lists": [
        "bounds_hold_in_both_directions",
        "clear_removes_what_has_the_prefix",
        "keys_only_leaves_the_values_out",
        "order_is_that_of_the_bytes",
        "pages_join_without_gap",
        "token_belongs_to_its_listing",
    ],
    "throttle": ["cost_and_burst", "fixed_window", "gcra", "other_entries_are_no_limits", "sliding_window"],
    "pipeline": [
        "columns_that_do_not_fit_end_the_stream",
        "embedded_requests",
        "errors_stand_in_place",
        "many_messages_answered_by_id",
        "mixed_methods_in_one_message",
    ],
    "errors": [
        "increment_needs_an_integer",
        "limits_are_refused",
        "transaction_needs_an_object",
        "wrong_field_is_named",
    ],
    "admin": [
        "actors_share_all_slots",
        "health_of_server_and_services",
        "info",
        "namespaces_and_objects",
    ],
    "reflection": [
        "list_through_the_descriptors_of_the_server",
        "methods_are_those_of_the_proto_files",
        "services_are_listed",
    ],
}
NAMES = [*(f"{group}.{name}" for group, names in SCENARIOS.items() for name in names), "every_method_called"]

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(INSTALL_TIMEOUT_S + CLIENT_TIMEOUT_S + 60)]


@pytest.fixture(scope="module")
def node() -> str:
    """The path of Node, with the packages of package-lock.json installed beside the client."""
    return node_with_packages(HERE)


@pytest.fixture(scope="module")
def results(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What each scenario reported: empty, or why it failed."""
    with ServerProcess(tmp_path_factory.mktemp("interop")) as server:
        client = subprocess.run(
            [node, "client.mjs", server.address, str(PROTO_ROOT)],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
        )
        reports = [json.loads(line) for line in client.stdout.splitlines()]
        assert client.returncode == 0, client.stderr
        yield {report["scenario"]: report.get("error", "") for report in reports}


@pytest.mark.parametrize("scenario", NAMES)
def test_node_client(results: Mapping[str, str], scenario: str) -> None:
    assert not results[scenario], results[scenario]


def test_node_client_reports_every_scenario_and_no_other(results: Mapping[str, str]) -> None:
    assert sorted(results) == sorted(NAMES)
