"""Files that a part is made from, such as pretrained weights, and what of them a bundle takes along.

A class whose constructor takes the path of a file names that argument in its attribute ``carried``, with what becomes
of it: nothing, where the weights of the model hold all that was read from it (``forget``), a copy (``copy_file``), or
what a function of its own writes, such as a network's configuration without its weights.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.errors import DataError, SpecError
from zoo.packaged import PREFIX

FILES = "files"
"""Folder, in a bundle, of the files that it takes along."""
MARK = "bundle:"
"""What stands before a path in a bundle, in place of the bundle's folder."""
LAYOUT = "layout:"
"""What a name of pretrained weights begins with that stands for their architecture alone, with random weights."""


class Box:
    """The folder of a bundle, as the parts see it that leave files there and find them again.

    Args:
        folder: of the bundle.

    Attributes:
        told: a sentence of each file that was taken, for the card.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self._taken: dict[tuple[str, str], str] = {}

    def take(self, what: str, source: str, write: Callable[[Path], object]) -> str:
        """Take files along; return what stands for the folder that they are in.

        Args:
            what: they are, in words.
            source: where they come from; what comes from there already is not taken again.
            write: writes them into a folder that exists.
        """
        if (what, source) not in self._taken:
            place = f"{FILES}/{len(self._taken)}"
            (self.folder / place).mkdir(parents=True)
            write(self.folder / place)
            self._taken[what, source] = MARK + place
            self.told.append(f"`{place}` holds the {what} of `{Path(source).name}`")
        return self._taken[what, source]

    def copy(self, what: str, source: str, files: Sequence[Path]) -> list[str]:
        """Take copies of files along; return what stands for each.

        Args:
            what: they are, in words.
            source: the path that the user named.
            files: to copy.

        Raises:
            SpecError: one is not there.
        """
        gone = [f for f in files if not f.is_file()]
        if gone:
            raise SpecError(f"the {what} cannot go along, since the file '{gone[0]}' is no longer there; put it back")
        names = [re.sub(r"[^\w.-]", "_", f.name, flags=re.ASCII) for f in files]

        def write(folder: Path) -> None:
            for file, name in zip(files, names, strict=True):
                shutil.copyfile(file, folder / name)

        place = self.take(what, source, write)
        return [f"{place}/{name}" for name in names]

    def path(self, value: str) -> str:
        """Put the path of a file of the bundle where MARK stands for it; every other text comes back as it is.

        Raises:
            DataError: the path leaves the folder, or nothing is there.
        """
        before, mark, name = value.partition(MARK)
        if not mark:
            return value
        inside = PurePosixPath(name)
        if inside.parts[:1] != (FILES,) or ".." in inside.parts or "\\" in name or str(inside) != name:
            raise DataError(f"the bundle names the file '{name}', a path that leaves its folder '{FILES}'")
        if not (self.folder / name).exists():
            raise DataError(f"the bundle lacks its file '{name}'; copy it again", file=self.folder / name)
        return before + str((self.folder / name).resolve())


Carry = Callable[[str, Mapping[str, Any], Box], Mapping[str, Any]]
"""Takes the name of an argument, all arguments and a Box; returns the arguments that a bundle states differently."""


def forget(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Leave a file at home: a model whose weights follow, or that only predicts, does without it.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.
    """
    return {name: ""}


def copy_file(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Take a file along as it is; what an installed package gives stays by its name.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.

    Raises:
        SpecError: it is no longer there.
    """
    if arguments[name].startswith(PREFIX):
        return {}
    return {name: box.copy("weights", arguments[name], [Path(arguments[name])])[0]}


def packed(owner: type, arguments: Mapping[str, Any], box: Box) -> dict[str, Any]:
    """The arguments of a class with its files in a box.

    Args:
        owner: the class, with an attribute ``carried`` where it takes files.
        arguments: name -> value.
        box: takes the files.
    """
    made = dict(arguments)
    carried: Mapping[str, Carry] = getattr(owner, "carried", {})
    for name, carry in carried.items():
        if isinstance(made.get(name), str) and made[name]:
            made.update(carry(name, made, box))
    return made


def unpacked(owner: type, arguments: Mapping[str, Any], box: Box) -> dict[str, Any]:
    """Invert ``packed``: the arguments with the paths of their files as they are now.

    Args:
        owner: the class.
        arguments: as ``packed`` returned them.
        box: that has the files.

    Raises:
        DataError: a path leaves the box, or is missing.
    """
    named = {n: arguments[n] for n in getattr(owner, "carried", {}) if isinstance(arguments.get(n), str)}
    return {**arguments, **{n: box.path(v) for n, v in named.items()}}
