"""Made and real values, as the preprocessing of the model reads them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from experiments.commands.generate import LINES
from experiments.core.progress import steps
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.bundle.load import Bundle
    from zoo.data import ReadRow

ROWS = 64
"""Rows that are read at once."""


@dataclass
class Values:
    """Values of one modality in one set.

    Attributes:
        decoded: as raw values: pictures, texts.
        tensors: as the model sees them; [] for texts.
        units: unit of independence of each.
        names: of each, for people.
    """

    decoded: list[Any] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, decoded: object, tensor: Tensor | None, unit: str, name: str) -> None:
        """Add a value; ``tensor`` is None for a text."""
        self.decoded.append(decoded)
        self.units.append(unit)
        self.names.append(name)
        if tensor is not None:
            self.tensors.append(tensor)


def made_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of what was made.

    Args:
        folder: that generate wrote.

    Raises:
        DataError: there are none, or a line is not one that generate writes.
    """
    path = folder / LINES
    if not path.is_file():
        raise DataError(f"there is no {LINES}, which zoo generate --out writes", file=folder)
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            found.append({k: line[k] for k in ("row", "id", "draw", "made")})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(
                f"line {number} is not one that zoo generate writes ({type(error).__name__}: {error}); make the "
                f"folder anew",
                file=path,
            ) from error
    if not any(line["made"] for line in found):
        raise DataError("none of the lines holds anything that was made, so there is nothing to audit", file=path)
    return found


def modalities_made(bundle: Bundle, folder: Path, lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The modalities that were made.

    Args:
        bundle: of the model.
        folder: of the lines, for errors.
        lines: of generated.ndjson.

    Raises:
        DataError: one is not of the model.
    """
    names = list(dict.fromkeys(m for line in lines for m in line["made"]))
    for name in names:
        if name not in bundle.model.modalities:
            raise DataError(
                f"'{name}' was made, and the model has {', '.join(bundle.model.modalities)}; give the --model that "
                f"made it",
                file=folder / LINES,
            )
    return names


def made_values(
    bundle: Bundle, folder: Path, lines: Sequence[Mapping[str, Any]], texts: Collection[str]
) -> dict[str, Values]:
    """Modality -> what was made of it; what is no text is read by the preprocessing of the model.

    Args:
        bundle: of the model.
        folder: that paths in lines are relative to.
        lines: of generated.ndjson.
        texts: modalities whose values are texts.

    Raises:
        DataError: a value cannot be read.
    """
    columns = {m: [c.name for c in bundle.preprocessing.columns if c.part == m] for m in bundle.model.modalities}
    found: dict[str, Values] = {}
    for number, line in enumerate(lines, 1):
        # draws of one row are no more independent than images of one patient
        unit, name = f"row:{line['row']}", f"row {line['row']} ({line['id']}), draw {line['draw']}"
        for m, value in line["made"].items():
            values = found.setdefault(m, Values())
            if m in texts:
                values.add(str(value), None, unit, name)
                continue
            tensor = processed(bundle, m, cells(folder, value, m, columns[m]), f"line {number} of {folder / LINES}")
            values.add(bundle.preprocessing.decode(m, tensor), tensor, unit, name)
    return found


def cells(folder: Path, value: Any, modality: str, columns: Sequence[str]) -> dict[str, Any]:
    """A made value as cells of a table of new rows.

    Args:
        folder: that a path is relative to.
        value: as a line holds it.
        modality: its name.
        columns: of the modality.

    Raises:
        DataError: the file of a value is missing, broken, or not in the folder.
    """
    if isinstance(value, Mapping):
        return {c: value.get(c, value.get(c.removeprefix(f"{modality}."))) for c in columns}
    if not isinstance(value, str):
        return {columns[0]: value}
    path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise DataError(f"{LINES} names the file '{value}', which is not there; make the folder anew", file=folder)
    try:
        if path.suffix == ".npy":
            return {columns[0]: np.load(path)}
        from PIL import Image

        with Image.open(path) as image:
            return {columns[0]: np.asarray(image)}
    except (OSError, ValueError) as error:
        raise DataError(f"the made file is broken ({error}); make the folder anew", file=path) from error


def processed(bundle: Bundle, modality: str, row: Mapping[str, Any], where: str) -> Tensor:
    """A made value as the model sees it.

    Args:
        bundle: of the model.
        modality: its name.
        row: its cells.
        where: it stands, for errors.

    Raises:
        DataError: it cannot be read.
    """
    read = bundle.rows([row]).read(0, 1)[0]
    if modality not in read.sample.inputs:
        said = "; ".join(read.problems) or "the value is unknown"
        raise DataError(f"{where}: '{modality}' cannot be read ({said}); give the --model that made it")
    tensor: Tensor = read.sample.inputs[modality]
    return tensor


def table_values(
    bundle: Bundle, table: Path, folder: Path | None, name: str, modalities: Sequence[str]
) -> dict[str, Values]:
    """Modality -> the real values in a table.

    Args:
        bundle: whose preprocessing reads them.
        table: path of the table.
        folder: what paths in cells are relative to; None for that of the table.
        name: "train" or "heldout".
        modalities: to read.

    Raises:
        DataError: the table cannot be read, what a row has cannot be read, or no row has one of the modalities.
    """
    found = {m: Values() for m in modalities}
    for place, read in _rows(bundle, table, folder, name):
        broken = [
            p for p in read.problems for m in modalities if p.startswith(f"{m}: ") and m not in read.sample.inputs
        ]
        if broken:
            raise DataError(f"row {place}: {broken[0]}; mend the cell or leave the row out", file=table)
        sample = read.sample
        unit = sample.unit or (f"row:{sample.id}" if sample.id else f"{name} row:{place}")
        for m in modalities:
            if m in sample.inputs:
                decoded = bundle.preprocessing.decode(m, sample.inputs[m])
                tensor = None if isinstance(decoded, str) else sample.inputs[m]
                found[m].add(decoded, tensor, unit, sample.id or f"row {place}")
    for m, values in found.items():
        if not values.units:
            raise DataError(f"no row has '{m}', which was made; give a table whose rows have it", file=table)
    return found


def _rows(bundle: Bundle, table: Path, folder: Path | None, name: str) -> Iterator[tuple[int, ReadRow]]:
    rows = bundle.rows(table, folder)
    with steps(f"reading {name}", len(rows)) as progress:
        for start in range(0, len(rows), ROWS):
            stop = min(start + ROWS, len(rows))
            yield from enumerate(rows.read(start, stop), start)
            progress.to(stop)
