"""Test-time augmentation: the mean of views made by hand, seeds, rows apart from their batch, and what stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from zoo.contract import Batch, ModalitySpec, Sample, TaskSpec, collate
from zoo.encoders.mlp import MLPEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import SpecError
from zoo.evaluation.tta import predict_tta, view_of
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict
from zoo.training.collector import Predicted

MODALITIES = [
    ModalitySpec("skin", "image", (3, 8, 8)),
    ModalitySpec("table", "tabular", (2,), cardinalities=(0, 3)),
]
TASKS = [TaskSpec("lesion", "classification", 3), TaskSpec("age", "regression", 1)]


def batch_of(rows: list[int]) -> Batch:
    samples = []
    for i in rows:
        g = torch.Generator().manual_seed(i)
        inputs = {"table": torch.tensor([0.1 * i, i % 3])}
        if i % 3:
            inputs["skin"] = torch.rand((3, 8, 8), generator=g) * 2 - 1
        targets = {"lesion": torch.tensor(i % 3), "age": torch.tensor([[float(i)], [1.0]])}
        samples.append(Sample(f"r{i}", inputs, targets))
    return collate(samples, MODALITIES, TASKS)


@pytest.fixture(scope="module")
def module() -> MultitaskModule:
    torch.manual_seed(0)
    encoders = {
        "image": partial(ViTEncoder, dim=8, depth=1, heads=2, patch_size=4),
        "tabular": partial(MLPEncoder, dim=8, hidden=(8,)),
    }
    return MultitaskModule(MODALITIES, TASKS, encoders=encoders).train()


def seen(module: MultitaskModule, batches: Iterable[Batch], **options: Any) -> Predicted:
    """predict_tta of a module."""
    return predict_tta(partial(predict, module, batches), MODALITIES, TASKS, **options)


def test_the_mean_of_the_views(module: MultitaskModule) -> None:
    from torchvision.transforms.v2 import ColorJitter

    batches = [batch_of([1, 2, 3]), batch_of([4, 0])]
    found = seen(module, batches, views=3, seed=4, brightness=0.3)
    jitter = ColorJitter(brightness=0.3, contrast=0.1, saturation=0.1, hue=0.02)
    parts = [predict(module, batches)]
    for v in (1, 2):
        changed = [view_of(b, images=["skin"], jitter=jitter, seed=4, view=v) for b in batches]
        assert not torch.equal(changed[0].inputs["skin"], batches[0].inputs["skin"])
        assert changed[0].inputs["table"] is batches[0].inputs["table"]
        parts.append(predict(module, changed))
    for task in ("lesion", "age"):
        expected = torch.stack([p.results[task].prediction for p in parts]).mean(0)
        torch.testing.assert_close(found.results[task].prediction, expected)
        assert not torch.allclose(expected, parts[0].results[task].prediction, atol=1e-6)
        assert found.results[task].ids == parts[0].results[task].ids
    torch.testing.assert_close(found.vectors, torch.stack([p.vectors for p in parts]).mean(0))
    blind = found.ids.index("r0")  # a row without an image: all its views are the same
    torch.testing.assert_close(
        found.results["lesion"].prediction[blind], parts[0].results["lesion"].prediction[blind]
    )
    assert module.training


def test_one_view_is_predict(module: MultitaskModule) -> None:
    batches = [batch_of([1, 2])]
    one, plain = seen(module, batches, views=1), predict(module, batches)
    assert torch.equal(one.results["lesion"].prediction, plain.results["lesion"].prediction)


def test_seeds_batches_and_the_random_state(module: MultitaskModule) -> None:
    state = torch.get_rng_state()
    one = seen(module, [batch_of([1, 2, 4, 5])], views=3, seed=1)
    two = seen(module, [batch_of([5, 1]), batch_of([4]), batch_of([2])], views=3, seed=1)
    other = seen(module, [batch_of([1, 2, 4, 5])], views=3, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(one.results["lesion"].prediction, two.results["lesion"].prediction)
    assert not torch.equal(one.results["lesion"].prediction, other.results["lesion"].prediction)


def test_images_stay_on_their_scale_and_their_batch_as_it_was(module: MultitaskModule) -> None:
    from torchvision.transforms.v2 import ColorJitter

    batch = batch_of([1, 2, 4])
    before = batch.inputs["skin"].clone()
    made = view_of(batch, images=["skin"], jitter=ColorJitter(brightness=0.9, contrast=0.9), seed=0, view=1)
    assert float(made.inputs["skin"].abs().max()) <= 1 + 1e-6
    assert torch.equal(batch.inputs["skin"], before)
    none = view_of(replace(batch_of([0, 3])), images=["skin"], jitter=ColorJitter(), seed=0, view=1)
    assert len(none.inputs["skin"]) == 0


def test_what_is_refused(module: MultitaskModule) -> None:
    def once() -> Iterator[Batch]:
        yield batch_of([1])

    with pytest.raises(SpecError, match="views must be 1 or more, got 0"):
        seen(module, [], views=0)
    with pytest.raises(SpecError, match="a loader or a list, not an iterator"):
        seen(module, once())
    with pytest.raises(SpecError, match=r"predict_tta: .*hue"):
        seen(module, [batch_of([1])], hue=0.9)
