"""The state of fitted processors and codecs as plain data and arrays, and back, by the names of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.core.state import array_of, get_state, set_state, stored_array
from zoo.carried import Box, packed, unpacked
from zoo.errors import DataError, UnknownNameError
from zoo.raw import RawTask
from zoo.task import TASKS, TargetCodec

Arrays = dict[str, npt.NDArray[np.generic]]
SMALL = 64
"""Arrays of at most so many values stay in the plain data."""


def fitted_state(fitted: Processor | TargetCodec, place: str, arrays: Arrays, box: Box) -> dict[str, Any]:
    """Class and state of a processor or codec.

    Args:
        fitted: the processor or codec.
        place: what names of its arrays begin with.
        arrays: takes its large arrays.
        box: takes the files that it needs.
    """
    state = packed(type(fitted), get_state(fitted), box)
    return {"class": type(fitted).__name__, "state": lift(state, place, arrays)}


def restored_processor(stored: Mapping[str, Any], arrays: Mapping[str, Any], box: Box) -> Processor:
    """Invert ``fitted_state`` of a processor.

    Args:
        stored: what it returned.
        arrays: of the bundle.
        box: that has the files.
    """
    cls = PROCESSORS.get(str(stored["class"]))
    made: Processor = object.__new__(cls)
    set_state(made, unpacked(cls, lower(stored["state"], arrays), box))
    return made


def restored_codec(stored: Mapping[str, Any], task: RawTask, arrays: Mapping[str, Any], box: Box) -> TargetCodec:
    """Invert ``fitted_state`` of a codec.

    Args:
        stored: what it returned.
        task: whose labels it encodes; the class is its kind's, or derived from it.
        arrays: of the bundle.
        box: that has the files.
    """
    own, name = TASKS.get(task.kind).codec, str(stored["class"])
    known = {c.__name__: c for c in (own, *_below(own))}
    if name not in known:
        raise UnknownNameError(f"unknown codec '{name}' of a task of kind '{task.kind}'; known: {', '.join(known)}")
    made: TargetCodec = object.__new__(known[name])
    set_state(made, unpacked(known[name], lower(stored["state"], arrays), box))
    return made


def _below(cls: type[TargetCodec]) -> list[type[TargetCodec]]:
    found: list[type[TargetCodec]] = list(cls.__subclasses__())
    return [*found, *(c for sub in found for c in _below(sub))]


def lift(value: Any, place: str, arrays: Arrays) -> Any:
    """Replace large arrays in what ``to_plain`` made by their names.

    Args:
        value: what ``to_plain`` made.
        place: name of the array, should it be one; parts of it are named after it.
        arrays: where the arrays are put.
    """
    if isinstance(value, list):
        return [lift(v, f"{place}.{k}", arrays) for k, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    array = array_of(value)
    if array is not None and array.size > SMALL and array.dtype.kind in "biuf":
        arrays[place] = array
        return {"type": "stored", "value": place}
    return {k: lift(v, f"{place}.{k}", arrays) for k, v in value.items()}


def lower(value: Any, arrays: Mapping[str, Any]) -> Any:
    """Invert ``lift``.

    Raises:
        DataError: an array is not there.
    """
    if isinstance(value, list):
        return [lower(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "stored":
        if value.get("value") not in arrays:
            raise DataError(f"the bundle lacks the array {value.get('value')!r}")
        return stored_array(arrays[value["value"]])
    return {k: lower(v, arrays) for k, v in value.items()}
