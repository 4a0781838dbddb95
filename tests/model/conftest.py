from __future__ import annotations

from hypothesis import settings

# `pytest tests/model --hypothesis-profile thorough`; test_model says how many examples that are.
settings.register_profile("thorough")
