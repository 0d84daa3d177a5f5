"""Command: what stands after ``zoo`` or ``run.py`` on the command line.

A command is one file or folder in experiments/commands, or a class in a plugin. It is found there by itself.
"""

from __future__ import annotations

import argparse
import ast
import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from zoo.errors import SpecError
from zoo.registry import Registry


class Command(ABC):
    """One command. Its docstring is what ``--help`` says, and its first line stands in the list of all commands.

    Attributes:
        name: what is typed.
        group: heading under which the list of all commands shows it.
        epilog: what ``--help`` says after the options.
        error_code: exit status of an error that the user caused.
        takes_configuration: whether options of zoo fit, --plugins among them, may stand behind it.
    """

    name: ClassVar[str]
    group: ClassVar[str] = "other commands"
    epilog: ClassVar[str] = ""
    error_code: ClassVar[int] = 1
    takes_configuration: ClassVar[bool] = False

    def parser(self) -> argparse.ArgumentParser:
        """The parser of the command's options."""
        parser = argparse.ArgumentParser(
            prog=f"zoo {self.name}",
            description=inspect.getdoc(type(self)),
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.options(parser)
        return parser

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own options."""

    @abstractmethod
    def main(self, arguments: Sequence[str]) -> int:
        """Parse what stands behind the command's name, do it, and return the exit status."""


class Commands(Registry[Command]):
    """The registry of commands: the key is what is typed."""

    def register(self, cls: type) -> type:  # type: ignore[override]
        """Class decorator."""
        self.add(cls.name, cls)  # type: ignore[attr-defined]
        return cls

    def key_in(self, node: ast.ClassDef) -> str:
        """The value of the class attribute ``name``."""
        values = [s.value for s in node.body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "name"]
        return str(ast.literal_eval(values[0])) if values else node.name

    def loaded(self) -> dict[str, type[Command]]:
        """The commands of the modules that are imported already."""
        return dict(self._classes)


COMMANDS = Commands("command", "commands")
"""Commands by what is typed."""


def at_least(options: argparse.Namespace, **least: int) -> None:
    """Refuse options that are too small.

    Args:
        options: as parsed.
        least: option -> its smallest value.

    Raises:
        SpecError: an option is smaller.
    """
    for name, smallest in least.items():
        value = getattr(options, name)
        if value < smallest:
            raise SpecError(f"--{name.replace('_', '-')} must be at least {smallest}, got {value}")


def required(options: argparse.Namespace, command: str, *names: str) -> None:
    """Refuse a command line that lacks options.

    Args:
        options: as parsed; None where one was not given.
        command: its name.
        names: of the options that it cannot do without.

    Raises:
        SpecError: one was not given.
    """
    for name in names:
        if getattr(options, name) is None:
            option = name.replace("_", "-")
            raise SpecError(f"{command} needs --{option}; zoo {command} --help says what it is")


def file_in_folder(path: Path, option: str) -> None:
    """Refuse a file to write whose folder does not exist.

    Raises:
        SpecError: ``path`` is a folder, or lies in none.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise SpecError(f"{option} '{path}': give a file in a folder that exists")
