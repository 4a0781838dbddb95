"""Names that mean one function of a class, and another one of its instances. Pure."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Concatenate, Generic, ParamSpec, TypeVar, cast, overload

S = TypeVar("S", bound=Callable[..., object])
O = TypeVar("O")  # noqa: E741 - the object
P = ParamSpec("P")
T = TypeVar("T")


class Dual(Generic[S, P, T]):
    """A function for those who ask the class, and a method for those who ask an instance."""

    def __init__(self, of_class: S, of_instance: Callable[Concatenate[O, P], T]) -> None:
        self._of_class = of_class
        self._of_instance = of_instance
        self.__doc__ = of_class.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> S: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, T]: ...

    def __get__(self, instance: object | None, owner: type) -> S | Callable[P, T]:
        if instance is None:
            return self._of_class
        return cast("Callable[P, T]", MethodType(self._of_instance, instance))
