"""The rows that went most wrong, and how their inputs are shown."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.core.base import BaseDataModule
from datamodules.core.options import ProcessingOptions, SamplingOptions
from datamodules.phantom import PhantomCohort
from zoo.callbacks.examples import SIDE, show_input, worst_examples
from zoo.contract import TaskSpec
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict
from zoo.raw import RawModality
from zoo.results import Example, Result, load_result
from zoo.tasks.base import LETTERS, task_kind
from zoo.training.collector import Evaluated


def test_scores_of_rows() -> None:
    kind = task_kind(TaskSpec("q", "vqa", 2, ("yes", "no"), reads="question"))
    scores = kind.example_scores(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), torch.tensor([0, 0, -1]))
    assert scores[:2].tolist() == pytest.approx([0.9, 0.2])
    assert math.isnan(scores[2])  # an answer outside the vocabulary
    kind = task_kind(TaskSpec("f", "multilabel", 2, ("a", "b")))
    target = torch.tensor([[[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    scores = kind.example_scores(torch.tensor([[0.5, 0.25], [0.1, 0.9], [0.5, 0.5]]), target)
    assert scores[:2].tolist() == pytest.approx([(math.log(0.5) + math.log(0.75)) / 2, math.log(0.1)])
    assert math.isnan(scores[2])
    kind = task_kind(TaskSpec("r", "regression", 2, ("a", "b")))
    target = torch.tensor([[[1.0, math.nan], [1.0, 0.0]]])
    assert kind.example_scores(torch.tensor([[3.0, 9.0]]), target).tolist() == [-2.0]


@pytest.fixture(scope="module")
def cohort() -> tuple[BaseDataModule, MultitaskModule, dict[str, Evaluated]]:
    source = PhantomCohort(
        n=40, size=16, modalities=["ct", "xray", "genomics", "text", "protein", "question"], presence=0.8
    )
    data = BaseDataModule(
        [source], sampling=SamplingOptions(batch_size=64), processing=ProcessingOptions(augment=False)
    )
    torch.manual_seed(0)
    module = MultitaskModule(data.modality_specs, data.task_specs).eval()
    return data, module, predict(module, data.test_dataloader()).results


def test_the_worst_rows_of_each_task_with_their_inputs(
    cohort: tuple[BaseDataModule, MultitaskModule, dict[str, Evaluated]], tmp_path: Path
) -> None:
    data, module, results = cohort
    made = worst_examples(module.kinds, results, data.pipeline, tmp_path, per_task=2)
    assert {e.task for e in made} == set(results)
    assert {e.data for e in made} == {"simulated"}
    for task, result in results.items():
        mine = [e for e in made if e.task == task]
        scores = module.kinds[task].example_scores(result.prediction, result.target)
        order = sorted((v, i) for v, i in zip(scores.tolist(), result.ids, strict=True) if v == v)
        assert [e.score for e in mine] == [v for v, _ in order[:2]]
        for example in mine:
            assert example.truth
            assert example.prediction
            raw = next(
                data.pipeline.dataset.raw(r)
                for r in data.pipeline.rows["test"]
                if data.pipeline.join.id(r) == example.id
            )
            spec = module.tasks[task]
            expected = {m for m in raw.inputs if m in module.modalities and (spec.uses(m) or m == spec.reads)}
            assert {*example.pictures, *example.texts} == expected
            for name in example.pictures.values():
                with Image.open(tmp_path / name) as image:
                    assert max(image.size) == SIDE
            assert all(len(t) <= LETTERS for t in example.texts.values())
    Result("fit", "t", examples=made).save(tmp_path)
    assert load_result(tmp_path).examples == made


def test_none_are_wanted(
    cohort: tuple[BaseDataModule, MultitaskModule, dict[str, Evaluated]], tmp_path: Path
) -> None:
    data, module, results = cohort
    assert worst_examples(module.kinds, results, data.pipeline, tmp_path, per_task=0) == []
    assert list(tmp_path.iterdir()) == []


def test_signals_are_traces_and_float_images_are_spread(tmp_path: Path) -> None:
    example = Example("t", "i", "", "")
    time = np.linspace(0, 2, 200)
    signal = np.stack([np.sin(time * k) for k in range(12)]).astype(np.float32)
    show_input(
        example,
        RawModality("eeg", "signal", "uV", 100.0, ("C3", "C4", *map(str, range(10)))),
        signal,
        tmp_path,
        "e.png",
    )
    flat = np.zeros((2, 50), dtype=np.float32)
    show_input(example, RawModality("flat", "signal"), flat, tmp_path, "f.png")
    ramp = np.linspace(-1000, 1000, 60 * 30, dtype=np.float32).reshape(30, 60)
    show_input(example, RawModality("ct", "image", "HU"), ramp, tmp_path, "c.png")
    show_input(example, RawModality("skin", "image"), np.zeros((500, 300, 3), dtype=np.uint8), tmp_path, "s.png")
    assert example.pictures == {
        "eeg": "examples/e.png",
        "flat": "examples/f.png",
        "ct": "examples/c.png",
        "skin": "examples/s.png",
    }
    with Image.open(tmp_path / "examples/c.png") as image:
        assert image.size == (SIDE, SIDE // 2)
        assert image.getextrema() == ((0, 255),) * 3
    with Image.open(tmp_path / "examples/s.png") as image:
        assert image.size == (96, SIDE)
    with Image.open(tmp_path / "examples/e.png") as image:
        assert len(image.convert("RGB").getcolors(2**20) or []) > 10
