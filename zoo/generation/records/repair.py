"""The rules by which an invalid record is repaired, once; what no rule fits stays, and the record is rejected.

1. Keys that no record has are dropped; a section or field that is missing or null becomes "unknown", a list empty.
2. A number given as text is read: digits with a unit of the field (years; mm, or cm times ten; percent), or an
   English number word below one hundred, after "about" or "~" if need be. Other text (a range, "low", "N/A") and a
   number that is not finite become "unknown". Numbers outside of their range are not repaired.
3. A malignancy risk given in percent is divided by 100: with a percent sign, or a whole number from 2 to 100.
4. A sex other than those allowed is read without case, from "m" or "f" too; else it becomes "unknown".
5. A single text or order where a list is due becomes a list of it (of nothing if it says "unknown"); null and blank
   entries are dropped.
6. A list of texts where one text is due is joined with "; "; a blank text becomes "unknown"; a number is written out.
7. An order given as a text is its type; types are read without case, with spaces or hyphens for underscores; orders
   of other types are dropped; the note may be missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zoo.generation.records.schema import ORDERS, SECTIONS, SEXES, UNKNOWN, shown

_NOTHING = {"", UNKNOWN, "n/a", "na", "none", "null", "not available", "not specified"}
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_SMALL += [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: float(n) for n, word in enumerate(_SMALL)} | {word: 20.0 + 10 * n for n, word in enumerate(_TENS)}
_YEARS = dict.fromkeys(("y", "yr", "yrs", "year", "years", "yo", "y/o", "years old", "year old", "years of age"), 1.0)
_SIZES = dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0)
_SIZES |= dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0)
_UNITS = {"age_years": _YEARS, "size_mm": _SIZES, "malignancy_risk": dict.fromkeys(("%", "percent"), 0.01)}
_NUMBER = re.compile(r"(?:about|approximately|approx\.?|circa|ca\.?|~)?\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)[\s-]*(.*)")


def repair(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Apply the rules of this module to a record that is an object.

    Returns:
        The repaired record, which may still be invalid, and one note a repair.
    """
    notes = [f"{shown(key)}: dropped, no field of a record" for key in record if key not in (*SECTIONS, "orders")]
    made: dict[str, Any] = {}
    for section, model in SECTIONS.items():
        given = record.get(section)
        if given is None:
            notes.append(f"{section}: missing, all of it unknown")
            made[section] = {name: _nothing(name) for name in model.model_fields}
        elif isinstance(given, Mapping):
            made[section] = _section(section, given, tuple(model.model_fields), notes)
        else:
            made[section] = given
    if "orders" not in record:
        notes.append("orders: missing, taken as none")
    made["orders"] = _orders(record.get("orders", []), notes)
    return made, notes


def _section(section: str, given: Mapping[str, Any], fields: Sequence[str], notes: list[str]) -> dict[str, Any]:
    notes += [f"{section}.{shown(key)}: dropped, no field of a record" for key in given if key not in fields]
    notes += [f"{section}.{name}: missing, taken as unknown" for name in fields if name not in given]
    return {n: _field(f"{section}.{n}", given[n], notes) if n in given else _nothing(n) for n in fields}


def _nothing(name: str) -> Any:
    return [] if _RULES.get(name) is _words else UNKNOWN


def _field(path: str, value: Any, notes: list[str]) -> Any:
    name = path.rpartition(".")[2]
    new = _number(name, value) if name in _UNITS else _RULES.get(name, _word)(value)
    if type(new) is not type(value) or new != value:
        notes.append(f"{path}: {shown(value)} read as {shown(new)}")
    return new


def _number(name: str, value: Any) -> Any:
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        text = value.strip().lower()
        value = _spoken(name, text)
        if text.endswith(("%", "percent")):
            return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return UNKNOWN
    if name == "malignancy_risk" and 2 <= value <= 100 and value == int(value):
        return value / 100
    return value


def _spoken(name: str, text: str) -> float | str:
    """Read a text as a number in the unit of the field."""
    if found := _NUMBER.fullmatch(text):
        unit = found[2].strip().rstrip(".").replace("-", " ")
        factor = _UNITS[name].get(unit) if unit else 1.0
        return UNKNOWN if factor is None else round(float(found[1]) * factor, 9)
    words = [w for w in re.split(r"[\s-]+", text) if w]
    while words and " ".join(words[-2:]) in _UNITS[name]:
        words = words[:-2]
    factor = 1.0
    if words and words[-1] in _UNITS[name]:
        factor = _UNITS[name][words.pop()]
    values = [_WORDS.get(w) for w in words]
    if len(values) == 1 and values[0] is not None:
        return values[0] * factor
    if len(values) == 2 and words[0] in _TENS and words[1] in _SMALL[1:10]:
        return (_WORDS[words[0]] + _WORDS[words[1]]) * factor
    return UNKNOWN


def _sex(value: Any) -> str:
    word = value.strip().lower() if isinstance(value, str) else UNKNOWN
    word = {"m": "male", "f": "female"}.get(word, word)
    return word if word in SEXES else UNKNOWN


def _word(value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return UNKNOWN
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if abs(value) < 1e15 else value
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return "; ".join(v for v in value if v.strip()) or UNKNOWN
    return value


def _words(value: Any) -> Any:
    if value is None:
        return []
    if isinstance(value, str):
        return [] if value.strip().lower() in _NOTHING else [value]
    if isinstance(value, list):
        return [v for v in value if v is not None and not (isinstance(v, str) and not v.strip())]
    return value


_RULES: dict[str, Callable[[Any], Any]] = {"sex": _sex, "visual_findings": _words, "rationale": _words}


def _orders(given: Any, notes: list[str]) -> Any:
    entries = [given] if isinstance(given, Mapping) else _words(given)
    if not isinstance(entries, list):
        return entries
    if entries != given:
        notes.append(f"orders: {shown(given)} read as {shown(entries)}")
    made: list[Any] = []
    for number, entry in enumerate(entries):
        new = _order(entry)
        if new != entry:
            notes.append(f"orders.{number}: {shown(entry)} " + (f"read as {shown(new)}" if new else "dropped"))
        if new is not None:
            made.append(new)
    return made


def _order(entry: Any) -> Any:
    """Read one order; None drops it, and what is neither text nor object stays."""
    if isinstance(entry, str):
        entry = {"type": entry}
    if not isinstance(entry, Mapping):
        return entry
    kind = entry.get("type")
    kind = re.sub(r"[\s-]+", "_", kind.strip().lower()) if isinstance(kind, str) else kind
    return {"type": kind, "note": _word(entry.get("note"))} if kind in ORDERS else None
