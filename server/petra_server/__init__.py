"""The Petra server.

PYTEST_DONT_REWRITE (or pytest, which loads a plugin of this distribution, warns programs that import it before pytest)
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("petra")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
