"""What the adapters' modules offer is what their `__all__` says, wherever their libraries are installed."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.integrations.conftest import is_installed

# The modules that users import, each with its library. Django's are named in settings.
MODULES = {
    "dogpile": "dogpile.cache",
    "key_value": "key_value",
    "langgraph": "langgraph.checkpoint",
    "limits": "limits",
    "litestar": "litestar",
    "starsessions": "starsessions",
}


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_there_and_documented(name: str) -> None:
    if not is_installed(MODULES[name]):
        pytest.skip(f"{MODULES[name]} not installed: pip install --group integrations")
    module = importlib.import_module(f"petra.integrations.{name}")
    names: list[str] = module.__all__
    assert names == sorted(set(names))
    assert all(inspect.getdoc(getattr(module, each)) for each in names)
