"""One registry for each family of classes: the key is the class name, which is also the name in YAML.

No list of classes is kept by hand. A registry finds its classes by importing every module of its folder, such as
``zoo/encoders``, and of every plugin: a package that a configuration names under ``plugins``, or that declares the
entry point ``multimodal_zoo``. Which module of its folder has a class is read from the files, so that a class that is
asked for by name costs the import of its own module and of no other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Generic, TypeVar

from zoo.errors import SpecError, unknown_name

T = TypeVar("T")
C = TypeVar("C", bound=type)

ROOTS = ("zoo", "datamodules", "experiments")
"""Packages below which the folders of the registries are looked for."""
ENTRY_POINT = "multimodal_zoo"
"""The group of entry points by which an installed package declares itself a plugin."""
_registries: list[Registry[Any]] = []
_plugins: dict[str, None] = {}
_entry_points_used = False


def use_plugins(names: Iterable[str], *, declared_by: str = "") -> None:
    """Import every module of the packages ``names``, so that the classes they register can be named.

    Args:
        names: importable packages or modules, such as ``my_package``.
        declared_by: name of the installed distribution whose entry point they are, for errors; "" for none.

    Raises:
        SpecError: a package does not exist, or one of its modules cannot be imported.
    """
    for name in names:
        if name in _plugins:
            continue
        _plugins[name] = None
        try:
            import_below(name)
        except Exception as error:
            del _plugins[name]
            missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
            if declared_by:
                fix = f"mend or uninstall '{declared_by}', which declares it under the entry point '{ENTRY_POINT}'"
            elif missing:
                fix = "install it, or start where its folder lies, or add that folder to PYTHONPATH"
            else:
                fix = "mend the package, or install what it needs"
            raise SpecError(f"plugin '{name}' cannot be imported: {type(error).__name__}: {error}; {fix}") from error


def plugins() -> tuple[str, ...]:
    """Names of the plugins in use, those with an entry point among them."""
    global _entry_points_used
    if not _entry_points_used:
        for entry in entry_points(group=ENTRY_POINT):
            use_plugins([entry.module], declared_by=entry.dist.name if entry.dist is not None else entry.name)
        _entry_points_used = True
    return tuple(_plugins)


def import_below(package: str) -> None:
    """Import a package and every module below it, in the order of their names."""
    module = import_module(package)
    for name in modules_below(module):
        if not name.endswith(".__main__"):
            import_module(name)


def modules_below(module: ModuleType) -> list[str]:
    """Dotted names of all modules below a package, which is imported; none where it is a single module.

    >>> import zoo.fusion
    >>> "zoo.fusion.late" in modules_below(zoo.fusion)
    True
    """
    found = []
    for info in iter_modules(getattr(module, "__path__", []), f"{module.__name__}."):
        found.append(info.name)
        if info.ispkg:
            found += modules_below(import_module(info.name))
    return found


def registries() -> list[Registry[Any]]:
    """The registries with folders of all modules that are imported, by the name of their family."""
    return sorted((r for r in _registries if r.folders), key=lambda r: r.family)


def discover_all(*, everything: bool = False) -> list[Registry[Any]]:
    """Find the classes of every registry, and return the registries.

    Args:
        everything: import every module of the packages in ``ROOTS`` first, so that no registry is missed; otherwise
            registries are those of the modules that are imported already.
    """
    if everything:
        for root in ROOTS:
            import_below(root)
    known: list[Registry[Any]] = []
    while len(known) < len(registries()):  # a module that is imported here may hold another registry
        known = registries()
        for registry in known:
            registry.discover()
    return known


class Registry(Generic[T]):
    """Map class names to classes of one family.

    Args:
        family: what the classes are, for error messages, such as "encoder".
        folders: folders of the packages in ``ROOTS`` whose modules register such classes, such as "encoders".

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

    def __init__(self, family: str, *folders: str) -> None:
        self.family = family
        self.folders = folders
        self._classes: dict[str, type[T]] = {}
        self._discovered = False
        self._declared: dict[str, tuple[str, str]] | None = None
        _registries.append(self)

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
        """Register ``cls`` under ``name``.

        Raises:
            SpecError: the name is taken by another class.
        """
        taken = self._classes[name].__module__ if name in self._classes else None
        if taken is None and cls.__module__.partition(".")[0] in _plugins:
            taken = self._homes().get(name, (None, ""))[0]
        if taken is not None:
            raise SpecError(f"{self.family} '{name}' is already registered by {taken}; choose another class name")
        self._classes[name] = cls

    def discover(self) -> None:
        """Import the modules of the folders and of the plugins, once."""
        if self._discovered:
            return
        self._discovered = True  # first, since a module that is imported here may ask for a name
        try:
            for root in ROOTS:
                for folder in self.folders:
                    if find_spec(root) is not None and _exists(f"{root}.{folder}"):
                        import_below(f"{root}.{folder}")
            plugins()
        except BaseException:
            self._discovered = False
            raise

    def get(self, name: str) -> type[T]:
        """Return the class registered under ``name``.

        Raises:
            UnknownNameError: there is none; the message says which name is nearest.
        """
        if name not in self:
            self.discover()
            raise unknown_name(self.family, name, self._classes)
        if name not in self._classes:
            import_module(self._homes()[name][0])
        return self._classes[name]

    def attribute(self, package: str, name: str) -> type[T]:
        """Return a class as an attribute of a package, for its ``__getattr__``.

        Raises:
            AttributeError: no class of that name is registered.
        """
        if name.startswith("_") or not name[:1].isupper() or name not in self:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return self.get(name)

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        self.discover()
        return sorted(self._classes)

    def declared(self) -> dict[str, str]:
        """Name -> first sentence of the docstring of each class, read from files: their modules are not imported."""
        plugins()
        found = {name: words for name, (_, words) in self._homes().items()}
        found |= {name: first_sentence(cls.__doc__) for name, cls in self._classes.items()}
        return dict(sorted(found.items()))

    def _homes(self) -> dict[str, tuple[str, str]]:
        """Name -> module and first sentence of each class that a file of the folders registers, imported or not."""
        if self._declared is None:
            self._declared = {
                n: (home, words) for path, home in self._files() for n, words in self._marked(path, home)
            }
        return self._declared

    def _marked(self, path: Path, home: str) -> Iterator[tuple[str, str]]:
        """Name and first sentence of each class that a decorator of this registry marks in the file of ``home``."""
        body = ast.parse(path.read_text(encoding="utf-8")).body
        imports = [node for node in body if isinstance(node, ast.ImportFrom)]
        sources = {a.asname or a.name: (node.module, a.name) for node in imports for a in node.names}
        for node in [node for node in body if isinstance(node, ast.ClassDef)]:
            for mark in node.decorator_list:
                called = mark.func if isinstance(mark, ast.Call) else mark
                if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                    module, name = sources.get(called.value.id, (home, called.value.id))
                    if getattr(sys.modules.get(module or ""), name, None) is self:
                        given = ast.literal_eval(mark.args[0]) if isinstance(mark, ast.Call) else self.key_in(node)
                        yield given, first_sentence(ast.get_docstring(node))

    def key_in(self, node: ast.ClassDef) -> str:
        """The name under which ``register`` would register the class of a syntax tree."""
        return node.name

    def _files(self) -> Iterator[tuple[Path, str]]:
        """The files of the folders, each with the name of its module."""
        for package in (f"{root}.{folder}" for root in ROOTS for folder in self.folders):
            spec = find_spec(package) if _exists(package) else None
            for place in (spec and spec.submodule_search_locations) or ():
                for path in sorted(Path(place).rglob("*.py")):
                    parts = path.relative_to(place).with_suffix("").parts
                    yield path, ".".join([package, *(p for p in parts if p != "__init__")])

    def __contains__(self, name: object) -> bool:
        if name in self._classes or name in self._homes():
            return True
        plugins()
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def first_sentence(docstring: str | None) -> str:
    """What a docstring says first, on one line, without the full stop.

    >>> first_sentence("Codes of letters, padded. Raw: str.")
    'Codes of letters, padded'
    """
    paragraph = " ".join(cleandoc(docstring or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")


def _exists(package: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
