"""Plugins that a command line or its configurations name: imported before any of their classes is looked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from zoo.errors import SpecError
from zoo.registry import use_plugins

OPTION = "--plugins"
CONFIG = ("--config", "-c")


def use_named_plugins(arguments: Sequence[str]) -> None:
    """Import the packages that ``--plugins`` and the key ``plugins`` of each configuration name.

    A package may lie in the current folder.

    Args:
        arguments: of the command line; configurations are given as paths.

    Raises:
        SpecError: ``plugins`` is no list of names, or a package cannot be imported.
    """
    names = named_plugins(arguments)
    here = os.getcwd()
    if names and here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    use_plugins(names)


def named_plugins(arguments: Sequence[str]) -> list[str]:
    """Names of the packages, those of configurations first, without repetition.

    >>> named_plugins(["fit", "--plugins", "[a, b]", "--plugins=c"])
    ['a', 'b', 'c']

    Raises:
        SpecError: ``plugins`` is no list of names.
    """
    found: list[str] = []
    for path in _values(arguments, CONFIG):
        found += _in_file(Path(path))
    for text in _values(arguments, (OPTION,)):
        try:
            found += _names(yaml.safe_load(text), OPTION)
        except yaml.YAMLError as error:
            raise SpecError(f"{OPTION} {text} is no list of names; write such as {OPTION} '[my_package]'") from error
    return list(dict.fromkeys(found))


def _values(arguments: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """The values of options, whether they stand behind a blank or an equals sign."""
    for k, argument in enumerate(arguments):
        head, equals, value = argument.partition("=")
        if head in options and equals:
            yield value
        elif argument in options and k + 1 < len(arguments):
            yield arguments[k + 1]


def _in_file(path: Path) -> list[str]:
    """Plugins of a configuration; none where it cannot be read, of which the parser says more."""
    try:
        held = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    return _names(held.get("plugins"), f"plugins in {path}") if isinstance(held, dict) else []


def _names(value: object, where: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise SpecError(f"{where} must be a list of names of packages, such as [my_package]; got {value!r}")
    return value
