"""Views: parts of prepared data, without preparing anything again."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules import MultimodalDataModule
from datamodules.core.mixture import MixtureSampler
from datamodules.core.options import SamplingOptions
from datamodules.core.view import SMALLEST, DataView
from datamodules.phantom import PhantomCohort
from datamodules.sources import WisconsinBreastCancer
from zoo.errors import SpecError, UnknownNameError


@pytest.fixture(scope="module")
def whole() -> MultimodalDataModule:
    cohort = PhantomCohort(n=120, size=16, modalities=["ct", "xray", "eeg", "question"], presence=0.6)
    return MultimodalDataModule(
        [cohort, WisconsinBreastCancer()], sampling=SamplingOptions(batch_size=64, source_temperature=2.0)
    )


def test_everything_is_kept_by_default(whole: MultimodalDataModule) -> None:
    view = DataView(whole)
    assert [s.name for s in view.modality_specs] == [s.name for s in whole.modality_specs]
    for split in ("train", "val", "test"):
        assert np.array_equal(view.view.rows[split], whole.pipeline.rows[split])
    assert len(view.train_dataloader()) == len(whole.train_dataloader())


def test_a_part_holds_only_rows_that_can_be_learned(whole: MultimodalDataModule) -> None:
    view = DataView(whole, tasks=["disease"], modalities=["ct"])
    assert [s.name for s in view.modality_specs] == ["ct"]
    assert view.task_specs[0].modalities == ("ct",)
    rows = view.view.rows["train"]
    assert 0 < len(rows) < len(whole.pipeline.rows["train"])
    availability = whole.pipeline.availability
    assert (availability.present["ct"] & availability.labelled["disease"])[rows].all()
    assert set(rows.tolist()) <= set(whole.pipeline.rows["train"].tolist())
    labels, _ = view.view.labels("train", "disease")
    assert len(labels) == len(rows)
    for batch in view.test_dataloader():
        batch.validate(view.modality_specs, view.task_specs)
        assert set(batch.inputs) == {"ct"}
        assert bool(batch.observed["disease"].all())


def test_modalities_that_inform_nothing_are_left_out(whole: MultimodalDataModule) -> None:
    view = DataView(whole, tasks=["breast_cancer"])
    assert [s.name for s in view.modality_specs] == ["cytology"]


def test_names_and_tasks_that_cannot_be_learned_are_refused(whole: MultimodalDataModule) -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'diseas'; did you mean 'disease'"):
        DataView(whole, tasks=["diseas"])
    with pytest.raises(UnknownNameError, match="unknown modality 'mri'"):
        DataView(whole, modalities=["mri"])
    with pytest.raises(SpecError, match="task 'disease' cannot be learned from the modalities \\('eeg',\\)"):
        DataView(whole, tasks=["disease"], modalities=["eeg"])
    with pytest.raises(SpecError, match="always 'question'"):
        DataView(whole, tasks=["vqa"], modalities=["ct"])


def test_a_part_is_visited_as_often_as_in_the_whole(whole: MultimodalDataModule) -> None:
    rows = whole.pipeline.rows_by_source("train")
    draws = MixtureSampler(rows, batch_size=1, temperature=2.0).draws
    view = DataView(whole, tasks=["breast_cancer"])
    assert view.passes()[1] == pytest.approx(draws[1] / len(rows[1]))
    assert len(view.train_dataloader()) == int(np.ceil(draws[1] / 64))
    small = DataView(whole, tasks=["breast_cancer"], least_steps=15)
    assert SMALLEST <= small.sampling.batch_size < 64
    assert len(small.train_dataloader()) >= 15
    tiny = DataView(whole, tasks=["breast_cancer"], least_steps=10**6)
    assert tiny.sampling.batch_size == SMALLEST
    visited = [i for batch in small.train_dataloader() for i in batch.ids]
    assert len(visited) == pytest.approx(draws[1], abs=small.sampling.batch_size)


def test_other_rows_and_splits(whole: MultimodalDataModule) -> None:
    chosen = whole.pipeline.rows["test"][:10]
    view = DataView(whole, rows={"extra": chosen, "val": chosen[:3]}, evaluate={"test": "extra"})
    assert sum(len(b) for b in view.test_dataloader()) == 10
    assert sum(len(b) for b in view.val_dataloader()) == 3


def test_passes_of_the_sampler_replace_its_temperature() -> None:
    rows = [np.arange(10), np.arange(0), np.arange(10, 30)]
    sampler = MixtureSampler(rows, batch_size=5, passes=[2.0, 9.0, 0.5])
    plan = sampler.plan()
    assert plan.size == 30
    assert (plan < 10).sum() == 20
    assert sorted(plan[plan < 10].tolist()) == sorted([*range(10), *range(10)])
