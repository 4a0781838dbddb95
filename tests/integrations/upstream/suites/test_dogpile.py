"""The tests that dogpile.cache has for all backends, for Petra's; with the lock of a process, and with that of all."""

from __future__ import annotations

import os
from uuid import uuid4

from dogpile.testing.fixtures import (
    _GenericBackendTestSuite,
    _GenericMutexTestSuite,
    _GenericSerializerTestSuite,
)

LOCATION = f"petra://{os.environ['UPSTREAM_ADDRESS']}/?namespace={uuid4().hex}"


class TestBackend(_GenericBackendTestSuite):
    backend = "dogpile.cache.petra"
    config_args = {"arguments": {"location": LOCATION}}  # noqa: RUF012 - as theirs


class TestDistributedBackend(_GenericBackendTestSuite):
    backend = "dogpile.cache.petra"
    config_args = {"arguments": {"location": LOCATION, "distributed_lock": True}}  # noqa: RUF012 - as theirs


class TestSerializer(_GenericSerializerTestSuite, _GenericBackendTestSuite):
    backend = "dogpile.cache.petra"
    config_args = {"arguments": {"location": LOCATION}}  # noqa: RUF012 - as theirs


class TestMutex(_GenericMutexTestSuite):
    backend = "dogpile.cache.petra"
    config_args = {"arguments": {"location": LOCATION, "distributed_lock": True}}  # noqa: RUF012 - as theirs
