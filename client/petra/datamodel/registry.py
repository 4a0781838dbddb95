"""The models that a program has defined, by their names.

Each name has one definition: to define another one of the same name is refused, unless it is equal, or replaces it on
purpose. A registry may be used from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from petra.datamodel.definition import ModelDefinition
from petra.datamodel.errors import DefinitionError, UnknownModel, names_shown


class Models:
    """A registry of models. Programs that do not make one of their own share `MODELS`."""

    def __init__(self) -> None:
        self._definitions: dict[str, ModelDefinition] = {}
        self._lock = Lock()

    def __iter__(self) -> Iterator[ModelDefinition]:
        return iter(list(self._definitions.values()))

    def __len__(self) -> int:
        return len(self._definitions)

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __getitem__(self, name: object) -> ModelDefinition:
        """The definition of that name. Raises UnknownModel that names those there are."""
        found = self._definitions.get(name) if isinstance(name, str) else None
        if found is None:
            raise UnknownModel(
                f"There is no model {str(name)[:60]!r}; defined are {names_shown(self._definitions)}.", field="model"
            )
        return found

    def add(self, definition: ModelDefinition, *, replace: bool = False) -> None:
        """Takes a definition. Raises DefinitionError when its name is another one's, unless that is to be replaced."""
        with self._lock:
            present = self._definitions.setdefault(definition.name, definition)
            if present is definition or present == definition:
                return
            if not replace:
                raise DefinitionError(
                    f"There is another model {definition.name!r}. Give one of them another name, or a registry of its"
                    " own.",
                    field="name",
                )
            self._definitions[definition.name] = definition


MODELS = Models()
