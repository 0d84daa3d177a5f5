"""What processors and codecs have learned, as JSON: written beside an index and read back without unpickling."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

_DATACLASSES = {c.__name__: c for c in (RawModality, RawTask)}
_PLAIN = (str, int, float, bool, type(None))


def to_plain(value: Any) -> Any:
    """Turn a value into what JSON can hold; tuples, arrays, fractions and specs are tagged with their type.

    Raises:
        SpecError: the type has no JSON form here.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return [to_plain(v) for v in value]
    if isinstance(value, tuple):
        return {"type": "tuple", "value": [to_plain(v) for v in value]}
    if isinstance(value, dict):
        return {"type": "dict", "value": [[to_plain(k), to_plain(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return {"type": "number", "dtype": str(value.dtype), "value": value.item()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return stored_array(value)
    if isinstance(value, Fraction):
        return {"type": "fraction", "value": [value.numerator, value.denominator]}
    if is_dataclass(value) and type(value).__name__ in _DATACLASSES:
        content = {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, "value": content}
    raise SpecError(f"a value of type {type(value).__name__} cannot be stored: {str(value)[:80]}")


def from_plain(value: Any) -> Any:
    """Invert ``to_plain``.

    Raises:
        DataError: the value was not written by ``to_plain``.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return [from_plain(v) for v in value]
    try:
        return _tagged(value["type"], value["value"], value)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a stored state ({type(error).__name__}: {error})") from error


def _tagged(kind: str, content: Any, whole: dict[str, Any]) -> Any:
    if kind == "tuple":
        return tuple(from_plain(v) for v in content)
    if kind == "dict":
        return {from_plain(k): from_plain(v) for k, v in content}
    if kind == "number":
        return np.dtype(whole["dtype"]).type(content)
    if kind == "array":
        return array_of(whole)
    if kind == "fraction":
        return Fraction(*content)
    return _DATACLASSES[kind](**{k: from_plain(v) for k, v in content.items()})


def stored_array(value: npt.NDArray[Any]) -> dict[str, Any]:
    """An array of numbers or texts as JSON holds it."""
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"type": "array", "dtype": str(value.dtype), "shape": list(value.shape), "value": data}


def array_of(value: Mapping[str, Any]) -> npt.NDArray[Any] | None:
    """Invert ``stored_array``; None where something else is stored."""
    if value.get("type") != "array":
        return None
    flat = np.frombuffer(base64.b64decode(value["value"]), dtype=np.dtype(value["dtype"]))
    return flat.reshape(value["shape"]).copy()


def get_state(fitted: Any) -> dict[str, Any]:
    """The attributes of a fitted processor or codec as JSON holds them."""
    state = fitted.__getstate__()
    return {name: to_plain(value) for name, value in state.items()}


def set_state(fitted: Any, state: dict[str, Any]) -> None:
    """Give a processor or codec the attributes that ``get_state`` returned."""
    for name, value in state.items():
        setattr(fitted, name, from_plain(value))
