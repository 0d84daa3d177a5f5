"""The state of every registered processor, and of the codec of every kind of task, as JSON and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.processor import PROCESSORS
from datamodules.preprocessing.store import fitted_state, restored_codec, restored_processor
from zoo.carried import Box
from zoo.raw import RawModality, RawTask
from zoo.task import TASKS

DRAW = np.random.default_rng(0)
RECORD = {"numbers": ["age"], "raw_numbers": [], "categories": ["sex"], "lists": {}}
VALUES: dict[str, tuple[dict[str, Any], RawModality, list[Any]]] = {
    "DNAProcessor": ({}, RawModality("m", "dna"), ["ACGTN", "GGA"]),
    "ExpressionProcessor": (
        {},
        RawModality("m", "expression", "counts", features=tuple(f"g{k}" for k in range(80))),
        list(DRAW.poisson(3.0, (4, 80)).astype(np.float32)),
    ),
    "ImageProcessor": (
        {"size": 8},
        RawModality("m", "image"),
        list(DRAW.integers(0, 255, (3, 9, 9)).astype(np.uint8)),
    ),
    "MoleculeProcessor": ({}, RawModality("m", "molecule"), ["CCO", "c1ccccc1"]),
    "ProteinProcessor": ({}, RawModality("m", "protein"), ["ACDE", "KL"]),
    "RecordProcessor": (RECORD, RawModality("m", "tabular"), [{"age": 3.0, "sex": "f"}, {"age": 5.0, "sex": "m"}]),
    "SignalProcessor": (
        {},
        RawModality("m", "signal", "uV", 100.0, ("C3", "C4")),
        list(DRAW.normal(size=(3, 2, 400)).astype(np.float32)),
    ),
    "TabularProcessor": ({}, RawModality("m", "tabular"), [{"a": 1.0, "b": "x"}, {"a": None, "b": "y"}]),
    "TextProcessor": ({}, RawModality("m", "text"), ["a round shadow", "clear lungs"]),
}
LABELS: dict[str, tuple[tuple[str, ...], list[Any]]] = {
    "classification": (("a", "b"), ["a", "b"]),
    "ordinal": (("a", "b", "c"), ["a", "c"]),
    "multilabel": (("a", "b"), [{"a": 1, "b": 0}]),
    "regression": (("x", "y"), [{"x": 3.0, "y": 1.0}, {"x": 5.0}]),
    "structure": ((), [np.ones((3, 4), np.float32)]),
    "survival": ((), [{"time": float(t), "event": t % 2} for t in range(1, 60)]),
    "token_classification": (("H", "E"), ["HE-"]),
    "vqa": ((), ["yes", "no", "yes"]),
}


@pytest.mark.parametrize("name", PROCESSORS.names())
def test_every_processor_comes_back(name: str, tmp_path: Path) -> None:
    assert name in VALUES, f"add a raw value of {name}"
    options, raw, values = VALUES[name]
    processor = PROCESSORS.get(name)(**options)
    processor.fit(raw, values)
    arrays: dict[str, Any] = {}
    box = Box(tmp_path)
    told = json.loads(json.dumps(fitted_state(processor, "m", arrays, box)))
    again = restored_processor(told, arrays, box)
    assert again.spec(raw) == processor.spec(raw)
    assert again.reading(raw) == processor.reading(raw)
    for value in values:
        assert torch.equal(again(value), processor(value))


@pytest.mark.parametrize("kind", TASKS.names())
def test_the_codec_of_every_kind_of_task_comes_back(kind: str, tmp_path: Path) -> None:
    assert kind in LABELS, f"add labels of {kind}"
    classes, labels = LABELS[kind]
    task = RawTask("t", kind, classes, ("m",), reads="m" if TASKS.get(kind).reads_tokens else "")
    codec = TASKS.get(kind).codec()
    codec.bind(task)
    codec.fit(labels, 3)
    arrays: dict[str, Any] = {}
    box = Box(tmp_path)
    told = json.loads(json.dumps(fitted_state(codec, "t", arrays, box)))
    again = restored_codec(told, task, arrays, box)
    assert again.spec() == codec.spec()
    for label in labels:
        assert torch.equal(again(label, "r"), codec(label, "r"))
