"""What every kind of modality and every processor keeps to: each registered one has a row here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.choice import default_processor
from datamodules.core.fingerprints import Prints
from datamodules.core.processor import PROCESSORS, Processor
from datamodules.io.table_values import TableCell
from zoo.contract import MODALITIES, ModalitySpec
from zoo.encoders.choice import default_encoder
from zoo.evaluation.corruptions.base import CORRUPTIONS, corruptions_for
from zoo.modality import WORDS
from zoo.raw import RawModality

RNG = np.random.default_rng(0)
RAW: dict[str, RawModality] = {
    "image": RawModality("photo", "image"),
    "signal": RawModality("eeg", "signal", "uV", 100.0, ("C3", "C4")),
    "dna": RawModality("promoter", "dna"),
    "protein": RawModality("chain", "protein"),
    "molecule": RawModality("drug", "molecule"),
    "expression": RawModality("cell", "expression", "counts", features=("A", "B", "C", "D")),
    "text": RawModality("note", "text"),
    "tabular": RawModality("table", "tabular"),
}
"""Kind -> a modality of it."""
VALUES: dict[str, list[Any]] = {
    "image": [RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(3)],
    "signal": [RNG.normal(0, 20, (2, 200)).astype(np.float32) for _ in range(3)],
    "dna": ["ACGTNACG", "GGGTTTAACC", "ACACAC"],
    "protein": ["MKVLA", "ACDEFGHIKLMNPQRSTVWY", "MX"],
    "molecule": ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"],
    "expression": [np.array(v, dtype=np.float32) for v in ((0, 2, 5, 3), (1, 0, 0, 9), (4, 4, 1, 1))],
    "text": ["the heart is large and the lungs are clear", "the lungs are large", "heart clear"] * 3,
    "tabular": [
        {"age": 41.5, "sex": "f", "weight": None},
        {"age": 60.0, "sex": "m", "weight": 80.0},
        {"age": 33.0, "sex": "f", "weight": 64.0},
    ],
}
"""Kind -> raw values of three samples and more, all different in the first three."""
CELLS: dict[str, Callable[[Path, Any], TableCell]] = {
    "image": lambda folder, value: TableCell({"c": _saved(folder, value)}, folder, "{}"),
    "signal": lambda folder, value: TableCell({"c": _saved(folder, value)}, folder, "{}"),
    "dna": lambda folder, value: TableCell({"c": value.lower()}, folder),
    "protein": lambda folder, value: TableCell({"c": _written(folder, f">name\n{value}\n")}, folder, "{}.txt"),
    "molecule": lambda folder, value: TableCell({"c": value}, folder),
    "expression": lambda folder, value: TableCell(dict(enumerate(value.tolist())), folder, listed=True),  # type: ignore[arg-type]
    "text": lambda folder, value: TableCell({"c": _written(folder, value)}, folder, "{}.txt"),
    "tabular": lambda folder, value: TableCell(value, folder, listed=True),
}
"""Kind -> the cells of a table that say a raw value."""


def _saved(folder: Path, value: Any) -> str:
    np.save(folder / "value.npy", value)
    return "value.npy"


def _written(folder: Path, text: str) -> str:
    (folder / "value.txt").write_text(text)
    return "value"


def same(one: Any, other: Any, within: float = 1e-4) -> bool:
    """Whether two raw values are equal, numbers within a share of themselves."""
    if isinstance(one, str) or one is None:
        return bool(one == other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k], within) for k, v in one.items())
    return np.shape(one) == np.shape(other) and np.allclose(
        np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64), rtol=within, atol=within
    )


def fitted(kind: str) -> Processor:
    processor = default_processor(kind)
    processor.fit(RAW[kind], VALUES[kind])
    processor.admit(VALUES[kind])
    return processor


def packed(kind: str) -> tuple[ModalitySpec, torch.Tensor]:
    processor = fitted(kind)
    return processor.spec(RAW[kind]), torch.stack([processor(v) for v in VALUES[kind][:3]])


def test_every_kind_has_a_row() -> None:
    assert set(MODALITIES) == set(RAW) == set(VALUES) == set(CELLS)


@pytest.mark.parametrize("kind", sorted(RAW))
def test_processor_and_encoder_of_a_kind_fit_it(kind: str) -> None:
    processor = fitted(kind)
    assert processor.kind == kind
    spec, rows = packed(kind)
    assert tuple(rows.shape[1:]) == spec.shape
    assert rows.dtype == (torch.long if MODALITIES.get(kind).codes else torch.float32)
    assert default_encoder(kind).takes(spec)


@pytest.mark.parametrize("kind", sorted(RAW))
def test_a_value_is_read_from_a_table(kind: str, tmp_path: Path) -> None:
    value = VALUES[kind][0]
    assert same(MODALITIES.get(kind).read(CELLS[kind](tmp_path, value)), value)


@pytest.mark.parametrize("kind", sorted(RAW))
def test_equal_values_share_a_fingerprint_and_others_do_not(kind: str) -> None:
    prints = Prints(kind)
    for row, value in enumerate([*VALUES[kind][:3], VALUES[kind][0]]):
        prints.add(row, value)
    assert prints.contents == [0, 1, 2, 0]
    assert all(len(key) == 16 for key in prints.keys)
    assert prints.pictured == (MODALITIES.get(kind).grey(VALUES[kind][0]) is not None)


@pytest.mark.parametrize("side", [96, 160])
@pytest.mark.parametrize("kind", sorted(RAW))
def test_a_value_is_shown(kind: str, side: int) -> None:
    shown = MODALITIES.get(kind).show(RAW[kind], VALUES[kind][0], side)
    assert shown.words or shown.picture is not None
    assert len(shown.words) <= WORDS
    if shown.picture is not None:
        assert shown.picture.dtype == np.uint8
        assert shown.picture.ndim == 3
        assert shown.picture.shape[2] == 3
        assert max(shown.picture.shape) == side
        assert shown.picture.min() < shown.picture.max()  # something is drawn


@pytest.mark.parametrize("kind", sorted(RAW))
def test_features_are_finite_numbers_of_one_width(kind: str) -> None:
    spec, rows = packed(kind)
    of = MODALITIES.get(kind).features
    numbers = of(spec, rows)
    assert numbers.shape[0] == 3
    assert numbers.dtype == torch.float32
    assert bool(numbers.isfinite().all())
    assert not torch.equal(numbers[0], numbers[1])
    assert of(spec, rows[:0]).shape == (0, numbers.shape[1])
    torch.testing.assert_close(of(spec, rows[1:2])[0], numbers[1])  # no row depends on the others


@pytest.mark.parametrize("kind", sorted(RAW))
def test_a_kind_has_one_standard_corruption(kind: str) -> None:
    spec, _ = packed(kind)
    fitting = corruptions_for(spec)
    assert [c.standard for c in fitting].count(True) == 1
    assert fitting[0].standard
    for name in CORRUPTIONS:
        assert set(CORRUPTIONS.get(name).kinds) <= set(MODALITIES)


@pytest.mark.parametrize("kind", ["dna", "protein", "molecule", "tabular", "signal", "text"])
def test_decode_takes_a_processed_value_back(kind: str) -> None:
    processor = fitted(kind)
    for value in VALUES[kind]:
        if kind == "molecule":  # the canonical form of a molecule comes back
            once = processor.decode(processor(value))
            assert MODALITIES.get(kind).fingerprint(once) == MODALITIES.get(kind).fingerprint(value)
        else:
            assert same(processor.decode(processor(value)), value)


@pytest.mark.parametrize("channels", [1, 3])
def test_decode_of_an_image_of_the_final_size_is_exact(channels: int) -> None:
    processor = PROCESSORS.get("ImageProcessor")(size=16, channels=channels)  # type: ignore[call-arg]
    image = RNG.integers(0, 256, (16, 16, 3) if channels == 3 else (16, 16), dtype=np.uint8)
    processor.fit(RAW["image"], [image])
    assert np.array_equal(processor.decode(processor(image)), image)


def test_decode_of_an_image_in_a_unit_is_in_the_unit() -> None:
    processor = PROCESSORS.get("ImageProcessor")(size=16, window=(-160.0, 240.0))  # type: ignore[call-arg]
    scan = np.linspace(-160, 240, 256, dtype=np.float32).reshape(16, 16)
    processor.fit(RawModality("ct", "image", "HU"), [scan])
    assert same(processor.decode(processor(scan)), scan, 1e-3)


def test_decode_of_expression_is_counts_per_ten_thousand() -> None:
    processor = fitted("expression")
    value = VALUES["expression"][0]
    assert same(processor.decode(processor(value)), value / value.sum() * 1e4, 1e-3)


def test_decode_of_a_scaled_signal_is_in_its_unit() -> None:
    processor = PROCESSORS.get("SignalProcessor")(scale="training")  # type: ignore[call-arg]
    processor.fit(RAW["signal"], VALUES["signal"])
    assert same(processor.decode(processor(VALUES["signal"][1])), VALUES["signal"][1], 1e-3)


def test_decode_of_a_record() -> None:
    processor = PROCESSORS.get("RecordProcessor")(  # type: ignore[call-arg]
        numbers=("age",), raw_numbers=("risk",), categories=("sex",), lists={"found": ("dark", "round")}
    )
    rows = [
        {"age": 40.0, "risk": 0.5, "sex": "f", "found": "dark; round"},
        {"age": 60.0, "risk": 0.25, "sex": "m", "found": None},
    ]
    processor.fit(RAW["tabular"], rows)
    assert same(processor.decode(processor(rows[0])), {**rows[0], "found": "dark;round"})
    assert same(processor.decode(processor(rows[1])), rows[1])


def test_every_processor_is_the_default_of_its_kind_or_named_here() -> None:
    defaults = {MODALITIES.get(kind).processor for kind in MODALITIES}
    assert set(PROCESSORS) == defaults | {"RecordProcessor"}
