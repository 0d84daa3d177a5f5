"""The files that parts of a model are made from: taken along when it is saved, and found again when it is loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zoo.bundle.build import canonical
from zoo.carried import Box, packed, unpacked

Change = Callable[[type, Mapping[str, Any], Box], dict[str, Any]]


def take_along(config: Mapping[str, Any], box: Box) -> dict[str, Any]:
    """The configuration of a model with the files of its parts in a box.

    Args:
        config: as ``model_config`` returns it.
        box: takes the files.

    Raises:
        SpecError: a file is not there, or cannot go along.
    """
    return dict(_changed(config, packed, box))


def find_again(config: Mapping[str, Any], box: Box) -> dict[str, Any]:
    """Invert ``take_along``, with the paths of the files as they are now.

    Raises:
        DataError: a path leaves the bundle, or is missing.
        SpecError: a class that a bundle may not name.
    """
    return dict(_changed(config, unpacked, box))


def left_behind(config: object) -> list[str]:
    """Arguments that still name local files or folders, as "name='path'"; lists, as of words, are passed over."""
    return [f"{name}={value!r}" for name, value in _texts("", config) if os.sep in value and os.path.exists(value)]


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(str(key), each)


def _changed(value: Any, change: Change, box: Box) -> Any:
    if isinstance(value, list):
        return [_changed(v, change, box) for v in value]
    if not isinstance(value, Mapping):
        return value
    owner: type = object
    if isinstance(value.get("class_path"), str):  # before its arguments: the module of a model imports its registries
        home, _, name = canonical(value["class_path"]).rpartition(".")
        owner = getattr(sys.modules.get(home), name, object)
    made = {k: _changed(v, change, box) for k, v in value.items()}
    if isinstance(made.get("init_args"), dict):
        made["init_args"] = change(owner, made["init_args"], box)
    return made
