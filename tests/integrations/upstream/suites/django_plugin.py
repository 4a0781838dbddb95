"""Sets Django up for its own tests of caches and sessions, with Petra's cache and sessions."""

from __future__ import annotations

import os

import django
import pytest
from django.conf import settings
from django.test.runner import DiscoverRunner

ADDRESS = os.environ["UPSTREAM_ADDRESS"]


def pytest_configure(config: pytest.Config) -> None:
    settings.configure(
        CACHES={
            "default": {"BACKEND": "petra.integrations.django.cache.PetraCache", "LOCATION": ADDRESS},
        },
        DATABASES={name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sites",
            "django.contrib.sessions",
            "django.contrib.messages",
            "cache",
            "sessions_tests",
        ],
        SECRET_KEY="of these tests",
        SESSION_ENGINE="petra.integrations.django.sessions",
        SESSION_PETRA_LOCATION=ADDRESS,
        SITE_ID=1,
        USE_TZ=False,
    )
    django.setup()
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    runner.setup_databases()
