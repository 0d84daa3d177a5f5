"""Tables of JSON: an object on each line (.jsonl, .ndjson), or a list of objects (.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from zoo.errors import DataError

JSON = (".jsonl", ".ndjson", ".json")


def json_columns(file: BinaryIO, path: Path, encoding: str, *, lines: bool) -> dict[str, list[Any]]:
    """The columns of a table of JSON objects: name -> a value for each row, None where an object lacks it.

    A field of an object within an object is called by both names, as in ``Case.History``. A list of numbers stays
    one; other lists are text, as JSON writes them.

    Args:
        file: the unpacked bytes.
        path: what errors call it.
        encoding: of the letters.
        lines: whether there is an object on each line, else a list of all of them.

    Raises:
        DataError: it is no JSON of this form, or an object repeats a name.
    """
    rows = [_flat(o, path, row) for row, o in enumerate(_objects(file.read(), path, encoding, lines=lines))]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_value(row.get(name)) for row in rows] for name in names}


def _objects(content: bytes, path: Path, encoding: str, *, lines: bool) -> Iterator[Any]:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"the text is not {encoding}; give its 'encoding'", file=path) from error
    if lines:
        for row, line in enumerate(li for li in text.split("\n") if li.strip()):
            yield _parse(line, path, row)
        return
    whole = _parse(text, path, None)
    if not isinstance(whole, list):
        raise DataError(
            f"the file holds one {type(whole).__name__}, and a table is a list of objects; write one object for each "
            "row",
            file=path,
        )
    yield from whole


def _parse(text: str, path: Path, row: int | None) -> Any:
    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({n for n in names if names.count(n) > 1})
            raise DataError(
                f"an object repeats the names {twice[:5]}; give each a name of its own", file=path, row=row
            )
        return made

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise DataError(f"this is no JSON ({error}); expected an object for each row", file=path, row=row) from error


def _flat(value: Any, path: Path, row: int) -> dict[str, Any]:
    """An object without objects in it.

    Raises:
        DataError: it is no object, or two fields get one name.
    """
    if not isinstance(value, Mapping):
        raise DataError(f'a row is {value!r:.60}, and must be an object such as {{"age": 40}}', file=path, row=row)
    made: dict[str, Any] = {}
    for name, held in value.items():
        inner = {f"{name}.{n}": v for n, v in _flat(held, path, row).items()} if isinstance(held, Mapping) else None
        for full, cell in (inner if inner is not None else {name: held}).items():
            if full in made:
                raise DataError(f"two fields of a row are called '{full}'; rename one", file=path, row=row)
            made[full] = cell
    return made


def _value(value: Any) -> Any:
    """A cell: lists of anything but numbers become text."""
    if isinstance(value, list) and not all(type(v) in (int, float) for v in value):
        return json.dumps(value, ensure_ascii=False)
    return [float(v) for v in value] if isinstance(value, list) else value
