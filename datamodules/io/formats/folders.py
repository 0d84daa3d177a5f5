"""Data sets that are folders of classes: listings, and patients on both sides of a published split."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules.io.files import image_files, parts_to_read
from zoo.errors import DataError

HELD_OUT = {"": 0, "train": 0, "val": 1, "test": 2}
"""Split -> how far it is held out."""
_BY_SYSTEM = ("__MACOSX", "$RECYCLE.BIN")
"""Folders that operating systems leave behind."""


def subfolders(folder: Path) -> list[str]:
    """List the names of the folders directly in ``folder``, sorted; hidden ones do not count.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError("the folder is missing; restore it from the data set", file=folder)
    names = (e.name for e in os.scandir(folder) if e.is_dir())
    return sorted(n for n in names if not n.startswith(".") and n not in _BY_SYSTEM)


def require_classes(folder: Path, classes: Collection[str], *, beside: Collection[str] = ()) -> None:
    """Check that the folders in ``folder`` are the classes, each of them and no other.

    Args:
        folder: folder of the classes.
        classes: names of their folders.
        beside: names of folders that may be there too.

    Raises:
        DataError: a class lacks its folder, or there is a folder more; names both.
    """
    found = set(subfolders(folder)) - set(beside)
    if found != set(classes):
        raise DataError(
            f"the folders of classes must be {sorted(classes)}; missing: {sorted(set(classes) - found)}, "
            f"unknown: {sorted(found - set(classes))}",
            file=folder,
        )


def class_images(
    folder: Path, classes: Mapping[str, str], *, prefix: str = "", beside: Collection[str] = ()
) -> list[tuple[str, str]]:
    """List the images of a folder of classes: (``prefix`` + "class folder/name", class).

    Args:
        folder: folder of the class folders.
        classes: class folder -> class.
        prefix: put before every name, such as ``"train/"``.
        beside: names of folders that may lie beside those of the classes.

    Raises:
        DataError: the folder is missing, or its folders are not the classes.
    """
    require_classes(folder, classes, beside=beside)
    return [
        (f"{prefix}{name}/{file}", label) for name, label in classes.items() for file in image_files(folder / name)
    ]


def leaking(groups: Sequence[str], splits: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Mark the rows whose group is also in a more held-out split: test, before val, before the rest.

    Args:
        groups: (N,) groups; "" is a group of its own.
        splits: (N,) "train", "val", "test" or "".

    >>> leaking(["a", "a", "b", ""], ["train", "test", "train", "train"]).tolist()
    [True, False, False, False]
    """
    most: dict[str, int] = {}
    for group, split in zip(groups, splits, strict=True):
        most[group] = max(most.get(group, 0), HELD_OUT[split])
    pairs = zip(groups, splits, strict=True)
    return np.array([g != "" and HELD_OUT[s] < most[g] for g, s in pairs], dtype=np.bool_)


def spread(count: int, of: int, extent: tuple[float, float] = (0.0, 1.0)) -> list[int]:
    """Choose ``count`` evenly spaced positions of ``of``, each in the middle of its share of ``extent``.

    Args:
        count: how many; at most ``of``.
        of: length of what is chosen from.
        extent: first and last position to choose between, as fractions of ``of``.

    >>> spread(1, 9), spread(3, 9), spread(2, 10, (0.5, 1.0))
    ([4], [1, 4, 7], [6, 8])
    """
    low, high = extent
    return [min(of - 1, int((low + (high - low) * (k + 0.5) / count) * of)) for k in range(count)]


def published_images(
    root: Path, classes: Mapping[str, str], *, published_split: bool, published_val: bool
) -> list[tuple[str, str, str]]:
    """List the images of ``train``, ``test`` and perhaps ``val``, each a folder of classes: (file, class, split).

    Args:
        root: folder of the three.
        classes: class folder -> class.
        published_split: give ``test`` the split "test"; False takes all that is there, with the split "".
        published_val: give ``val`` and ``train`` splits of their own too; False gives both the split "".

    Raises:
        DataError: ``train`` or ``test`` is missing, ``val`` is wanted and missing, or class folders do not fit.
    """
    wanted_val = published_split and published_val
    parts = ["train", "val", "test"] if wanted_val or (root / "val").is_dir() else ["train", "test"]
    rows = []
    for part in parts_to_read(parts, lambda p: (root / p).is_dir(), published=published_split):
        split = part if wanted_val or (published_split and part == "test") else ""
        rows += [(n, label, split) for n, label in class_images(root / part, classes, prefix=f"{part}/")]
    return rows
