"""The tests that Django has for all of its caches and sessions, for Petra's."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from django.core.cache import cache
from django.test import SimpleTestCase, TestCase, override_settings

from petra.integrations.django.cache import PetraCache
from petra.integrations.django.sessions import SessionStore

# Theirs, in the folder from which they run.
caches: Any = import_module("cache.tests")
sessions: Any = import_module("sessions_tests.tests")

PETRA = {"BACKEND": "petra.integrations.django.cache.PetraCache", "LOCATION": os.environ["UPSTREAM_ADDRESS"]}


# Two of its caches are to forget entries when there are too many, which Petra's has no need to.
@override_settings(CACHES=caches.caches_setting_for_tests(base=PETRA, exclude={"cull", "zero_cull"}))
class PetraCacheTests(caches.BaseCacheTests, TestCase):  # type: ignore[misc] # known at run time
    def setUp(self) -> None:
        super().setUp()
        self.factory = caches.RequestFactory()

    def tearDown(self) -> None:
        cache.clear()

    @property
    def incr_decr_type_error(self) -> type[Exception]:
        return TypeError

    def test_it_is_petra(self) -> None:
        assert isinstance(caches.caches["default"], PetraCache)


class PetraSessionTests(sessions.SessionTestsMixin, SimpleTestCase):  # type: ignore[misc] # known at run time
    backend = SessionStore
