"""Find the record in what a language model said: code fences, text and other objects may stand around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from zoo.generation.records.schema import SECTIONS

MOST_CHARACTERS, MOST_OBJECTS = 50_000, 50
"""Texts longer than this are not read, nor objects after this many."""
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}"]', re.DOTALL)
_COMMA = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+")|,(?=\s*[}\]])', re.DOTALL)


def find_object(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the last JSON object that holds a section of a record, and what had to be mended to read it.

    Objects inside of others are not looked at, but for a record that is the only such value of an object.

    Returns:
        The object and the notes; or None and the reason in one note.
    """
    if len(text) > MOST_CHARACTERS:
        return None, [f"the text has {len(text)} characters, more than {MOST_CHARACTERS}"]
    texts, is_open, too_many = _objects(text)
    if too_many:
        return None, [f"the text opens more than {MOST_OBJECTS} objects"]
    read: list[tuple[dict[str, Any], list[str]]] = []
    fault = "the text holds no JSON object"
    for candidate in texts:
        found, notes = _decode(candidate)
        if found is None:
            fault = f"the JSON object cannot be read ({notes[0]})"
            continue
        found, unwrapped = _unwrap(found)
        if any(section in found for section in SECTIONS):
            read.append((found, notes + unwrapped))
        else:
            fault = f"the JSON object holds none of {', '.join(SECTIONS)}"
    if is_open and not read:
        fault = "the JSON object is not closed: the text ends before it (allow more tokens)"
    if not read:
        return None, [fault]
    found, notes = read[-1]
    return found, notes + ([f"{len(read)} records, the last is read"] if len(read) > 1 else [])


def _objects(text: str) -> tuple[list[str], bool, bool]:
    """List the outermost {...}; say whether one is never closed, and whether there are too many to try."""
    spans: list[str] = []
    is_open = False
    start = text.find("{")
    for _ in range(MOST_OBJECTS):
        if start < 0:
            return spans, is_open, False
        end = _closing(text, start)
        is_open = is_open or end < 0
        if end >= 0:
            spans.append(text[start:end])
        start = text.find("{", max(end, start + 1))
    return spans, is_open, start >= 0


def _closing(text: str, start: int) -> int:
    """Position after the brace that closes the one at ``start``, -1 for none."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if mark == '"':
            return -1
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth == 0:
            return token.end()
    return -1


def _decode(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Read an object as it is, then with control characters allowed in strings, then without trailing commas."""
    without = _COMMA.sub(lambda m: m.group(1) or "", text)
    tries = ((text, True, ""), (text, False, "control characters in texts"), (without, False, "trailing commas"))
    fault = ""
    for candidate, strict, note in tries:
        repeated: list[str] = []

        def pairs(items: list[tuple[str, Any]], repeated: list[str] = repeated) -> dict[str, Any]:
            made = dict(reversed(items))
            if len(made) < len(items):
                repeated.append("a key is given twice, the first is read")
            return {key: made[key] for key, _ in items}

        try:
            found = json.loads(candidate, strict=strict, object_pairs_hook=pairs)
        except ValueError as error:
            fault = fault or str(error)
            continue
        return found, [*([note] if note else []), *repeated[:1]]
    return None, [fault]


def _unwrap(found: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    if any(section in found for section in SECTIONS):
        return found, []
    inner = [k for k, v in found.items() if isinstance(v, Mapping) and any(s in v for s in SECTIONS)]
    if len(inner) != 1:
        return found, []
    return found[inner[0]], [f"the record is read from the key {ascii(inner[0])[:40]}"]
