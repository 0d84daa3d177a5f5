"""Class-balanced sampling through a data module and its views."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from datamodules import MultimodalDataModule
from datamodules.core.view import DataView
from datamodules.phantom import PhantomCohort
from datamodules.sources import WisconsinBreastCancer
from tests.options import grouped
from zoo.errors import SpecError, UnknownNameError


def data(**options: Any) -> MultimodalDataModule:
    cohort = PhantomCohort(n=60, size=16, modalities=["ct", "xray"], tasks=["disease", "bone_age"], presence=0.8)
    return MultimodalDataModule([cohort, WisconsinBreastCancer()], **grouped(batch_size=16, **options))


@pytest.fixture(scope="module")
def balanced() -> MultimodalDataModule:
    return data(balance="breast_cancer")


def drawn(loader: Any, task: str = "breast_cancer") -> tuple[Counter[int], int]:
    """Rows of each class of a task that an epoch draws, and rows without its label."""
    found, others = Counter[int](), 0
    for batch in loader:
        found.update(batch.targets[task].tolist())
        others += len(batch) - len(batch.targets[task])
    return found, others


def test_an_epoch_draws_classes_alike_and_other_rows_as_before(balanced: MultimodalDataModule) -> None:
    plain = data()
    before, others = drawn(plain.train_dataloader())
    after, others_after = drawn(balanced.train_dataloader())
    assert max(before.values()) > 1.4 * min(before.values())
    assert max(after.values()) - min(after.values()) <= 2
    assert abs(others - others_after) <= 16
    assert len(balanced.train_dataloader()) == len(plain.train_dataloader())
    half, _ = drawn(data(balance="breast_cancer", balance_power=0.5).train_dataloader())
    assert min(before.values()) < min(half.values()) < min(after.values())
    assert torch.equal(plain.class_counts("breast_cancer"), balanced.class_counts("breast_cancer"))


def test_evaluation_is_not_touched_and_off_is_as_before(balanced: MultimodalDataModule) -> None:
    plain = data()
    for split in ("val", "test"):
        assert [b.ids for b in balanced.split_dataloader(split)] == [b.ids for b in plain.split_dataloader(split)]
    off = data(balance="", balance_power=0.3)
    assert [b.ids for b in off.train_dataloader()] == [b.ids for b in plain.train_dataloader()]


def test_an_epoch_resumes_in_the_middle(balanced: MultimodalDataModule) -> None:
    whole = [b.ids for b in balanced.train_dataloader()]
    broken = balanced.train_dataloader()
    iterator = iter(broken)
    for _ in range(3):
        next(iterator)
    resumed = balanced.train_dataloader()
    resumed.load_state_dict(broken.state_dict())
    assert [b.ids for b in resumed] == whole[3:]


def test_views_are_balanced_too(balanced: MultimodalDataModule) -> None:
    found, others = drawn(DataView(balanced, tasks=["breast_cancer"]).train_dataloader())
    assert others == 0
    assert max(found.values()) - min(found.values()) <= 2
    rows = balanced.pipeline.rows["train"][::2]
    found, _ = drawn(DataView(balanced, rows={"train": rows}).train_dataloader())
    assert max(found.values()) - min(found.values()) <= 2
    without = DataView(balanced, tasks=["disease"])
    assert sum(len(b) for b in without.train_dataloader()) > 0


def test_what_cannot_be_balanced_is_refused() -> None:
    with pytest.raises(
        UnknownNameError, match=r"data\.sampling\.balance 'breast_cancr'; did you mean 'breast_cancer'"
    ):
        _ = data(balance="breast_cancr").pipeline
    with pytest.raises(SpecError, match=r"task 'bone_age' is of kind 'ordinal', not of classes without order"):
        _ = data(balance="bone_age").pipeline
    with pytest.raises(SpecError, match=r"cannot be used with data\.sampling\.homogeneous"):
        data(balance="breast_cancer", homogeneous=True)
    with pytest.raises(SpecError, match="balance_power must be from 0 to 1, got 2"):
        data(balance="breast_cancer", balance_power=2)
