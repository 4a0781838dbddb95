"""What is public is what `__all__` says: no more, no less, and it can be imported."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import petra

PUBLIC = [
    "petra",
    "petra.auth",
    "petra.datastore",
    "petra.errors",
    "petra.ratelimit",
    "petra.sessions",
    "petra.stores",
    "petra.sync",
    "petra.sync.auth",
    "petra.sync.datastore",
    "petra.sync.ratelimit",
    "petra.sync.sessions",
    "petra.sync.stores",
    "petra.testing",
    "petra.values",
]
# Of petra, the modules that users may import beside it.
PUBLIC_MODULES = {"petra.errors", "petra.sync", "petra.testing", "petra.values"}


def imported_for_types() -> dict[str, str]:
    """The names that petra/__init__.py imports for type checkers, each with its module."""
    assert petra.__file__
    tree = ast.parse(Path(petra.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    return {name.asname or name.name: node.module or "" for node in imports for name in node.names}


def test_type_checkers_see_the_names_of_all() -> None:
    assert sorted(imported_for_types()) == petra.__all__


@pytest.mark.parametrize("name", petra.__all__)
def test_a_name_is_what_type_checkers_take_it_for(name: str) -> None:
    assert getattr(petra, name) is getattr(importlib.import_module(imported_for_types()[name]), name)


def test_no_other_name_is_public() -> None:
    """Whatever was used before: in a fresh interpreter that has used all of it."""
    program = f"""
import sys, types
import petra
for name in petra.__all__: getattr(petra, name)
for name in {sorted(PUBLIC_MODULES)}: __import__(name)
ours = {{name: thing for name, thing in vars(petra).items() if not name.startswith("_")}}
modules = {{name for name, thing in ours.items() if isinstance(thing, types.ModuleType)}}
assert all(vars(petra)[name] is sys.modules["petra." + name] for name in modules)
print(sorted(ours.keys() - modules))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # What __init__.py itself needs is neither public nor worth a second name.
    assert set(ast.literal_eval(result.stdout)) - {"annotations", "TYPE_CHECKING", "import_module"} == set(
        petra.__all__
    )


@pytest.mark.parametrize("module", PUBLIC)
def test_all_is_sorted_complete_and_there(module: str) -> None:
    package = importlib.import_module(module)
    names: list[str] = package.__all__
    assert names == sorted(set(names))
    assert all(hasattr(package, name) for name in names)


def test_every_error_is_public() -> None:
    errors = [thing for _, thing in inspect.getmembers(petra.errors, inspect.isclass) if issubclass(thing, Exception)]
    assert sorted(error.__name__ for error in errors) == petra.errors.__all__


def test_another_name_is_an_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match="module 'petra' has no attribute 'Clientt'"):
        petra.Clientt  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from petra import Clientt  # type: ignore[attr-defined]  # noqa: F401


def test_dir_lists_what_was_not_used_yet() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import petra; print(dir(petra))"], capture_output=True, text=True, check=True
    )
    assert set(petra.__all__) <= set(ast.literal_eval(result.stdout))
