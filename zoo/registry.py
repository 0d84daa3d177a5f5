"""One flat registry a family of classes: the key is the class name, which is also the name in YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from zoo.errors import SpecError, unknown_name

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Map class names to classes of one family.

    >>> shapes: Registry[object] = Registry("shape")
    >>> @shapes.register
    ... class Circle: ...
    >>> shapes.names()
    ['Circle']
    >>> shapes.get("circle")
    Traceback (most recent call last):
    ...
    zoo.errors.UnknownNameError: unknown shape 'circle'; did you mean 'Circle'? known: Circle
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: C) -> C:
        """Class decorator. A second class of the same name is refused."""
        self.add(cls.__name__, cls)
        return cls

    def register_as(self, name: str) -> Callable[[C], C]:
        """Class decorator that registers under ``name`` instead of the class name."""

        def decorate(cls: C) -> C:
            self.add(name, cls)
            return cls

        return decorate

    def add(self, name: str, cls: type[T]) -> None:
        """Register ``cls`` under ``name``."""
        if name in self._classes:
            raise SpecError(
                f"{self.family} '{name}' is already registered by {self._classes[name].__module__}; "
                "choose another class name"
            )
        self._classes[name] = cls

    def get(self, name: str) -> type[T]:
        """Return the class registered under ``name``."""
        if name not in self._classes:
            raise unknown_name(self.family, name, self._classes)
        return self._classes[name]

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        return sorted(self._classes)

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._classes)
