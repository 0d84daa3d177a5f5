"""Two rows to try a trained model with: rows of the test split where their licence allows it, else made-up values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.query import Pipeline
from datamodules.core.source import SourceCard
from datamodules.preprocessing.fields import CellReader
from datamodules.preprocessing.reader import RowReader
from zoo.contract import MODALITIES, ModalitySpec
from zoo.data import ExampleRows
from zoo.errors import DataError, SpecError

FREE = re.compile(r"\b(cc0|cc[- ]by(?!-n)|public domain|apache|mit|bsd|open data commons)\b", re.IGNORECASE)
"""Words of licences under which rows may be passed on."""


def example_rows(pipeline: Pipeline, reader: RowReader, folder: Path, count: int) -> ExampleRows:
    """Rows of a table that the reader takes; their files are written into a folder.

    Args:
        pipeline: the prepared rows.
        reader: what reads new rows.
        folder: that exists.
        count: number of rows.
    """
    if all(may_pass_on(s.card) for s in pipeline.sources) and not pipeline.generated:
        rows = _fullest(pipeline, count)
        found = [cells_of(reader, pipeline.dataset.raw(r).inputs, folder, str(k)) for k, r in enumerate(rows)]
        return ExampleRows(found, made_up=False)
    generator = np.random.default_rng(0)
    made = [cells_of(reader, _made_up(reader, generator), folder, str(k)) for k in range(count)]
    return ExampleRows(made, made_up=True)


def may_pass_on(card: SourceCard) -> bool:
    """Whether rows of a source may lie beside a model: simulated ones, and those that a free licence covers."""
    return card.simulated or (card.access in ("open", "packaged") and bool(FREE.search(card.licence)))


def _fullest(pipeline: Pipeline, count: int) -> list[int]:
    """The test rows that have most modalities."""
    rows = pipeline.rows["test"]
    held = np.sum([pipeline.availability.present[m][rows].astype(int) for m in pipeline.raw_modalities], axis=0)
    return [int(r) for r in rows[np.argsort(-held, kind="stable")[:count]]]


def _made_up(reader: RowReader, generator: np.random.Generator) -> dict[str, Any]:
    """A raw value of each modality, decoded from random numbers; modalities that refuse them are left out."""
    found = {}
    for spec in reader.modality_specs:
        processor = reader.processors[spec.name]
        try:
            value = processor.decode(_random(spec, generator))
            processor(processor.tolerate(value)[0])
            found[spec.name] = value
        except Exception:  # not every code is a value: two letters at random are no molecule
            continue
    return found


def _random(spec: ModalitySpec, generator: np.random.Generator) -> Tensor:
    if spec.is_integer:
        codes = generator.integers(1, MODALITIES.get(spec.kind).number_of_codes(spec), spec.shape)
        return torch.from_numpy(codes).long()
    values = generator.uniform(-1, 1, spec.shape).astype(np.float32)
    for k, size in enumerate(spec.cardinalities):
        if size > 1:
            values[k] = generator.integers(1, size)
    return torch.from_numpy(values)


def cells_of(reader: RowReader, inputs: Mapping[str, Any], folder: Path, name: str) -> dict[str, str]:
    """The cells of a row of a new table; files that they name are written.

    A modality is left out whose files are of a form that is read and not written, such as DICOM.

    Args:
        reader: what will read the row.
        inputs: modality -> raw value.
        folder: of the table, which exists.
        name: of the row, for names of files.
    """
    cells: dict[str, str] = {}
    for modality, value in inputs.items():
        for each in reader.readers:
            if modality in each.modalities:
                with suppress(DataError, SpecError):  # a form of file that is read and not written
                    cells |= _cells(each, modality, value, folder, f"{modality}{name}")
                break
    return cells


def _cells(reader: CellReader, modality: str, value: Any, folder: Path, stem: str) -> dict[str, str]:
    """Column -> cell of one modality of a row; a file is written where its cells name one."""
    told = reader.modalities[modality]
    columns = told.columns or (told.column or modality,)
    if isinstance(value, Mapping):
        cells = {c: value.get(reader.renamed.get(c, c)) for c in columns}
        return {c: "" if cell is None else str(cell) for c, cell in cells.items()}
    array = np.asarray(value)
    if told.columns:
        return {c: str(v) for c, v in zip(columns, array.tolist(), strict=True)}
    if not told.path and MODALITIES.get(told.kind).cheap:
        return {columns[0]: str(value)}
    picture = MODALITIES.get(told.kind).pixels and array.dtype == np.uint8
    suffix = ".png" if picture else ".npy"
    pattern = told.path or "{}"
    cell = f"{stem}{suffix}" if pattern.endswith("{}") else stem
    file = folder / pattern.replace("{}", cell)
    if file.suffix != suffix or folder.resolve() not in file.resolve().parents:
        raise SpecError(f"modality '{modality}': an example cannot be written as '{file.name}'")
    file.parent.mkdir(parents=True, exist_ok=True)
    if picture:
        from PIL import Image

        Image.fromarray(array).save(file)
    else:
        np.save(file, array, allow_pickle=False)
    return {columns[0]: cell}
