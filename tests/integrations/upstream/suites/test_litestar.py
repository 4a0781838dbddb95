"""The tests that Litestar has for all stores, for Petra's."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

# The one module of theirs, without what is set up around it for databases in containers.
_spec = spec_from_file_location("litestar_stores", Path(os.environ["UPSTREAM_SOURCE"]) / "tests/unit/test_stores.py")
assert _spec is not None
assert _spec.loader is not None
_module = module_from_spec(_spec)
sys.modules[_spec.name] = _module
_spec.loader.exec_module(_module)
globals().update({name: thing for name, thing in vars(_module).items() if name.startswith("test_")})
