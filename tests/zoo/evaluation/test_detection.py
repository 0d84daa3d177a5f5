"""Detection: pytorch-ood's figures against scikit-learn, detectors against their formulas, and real networks."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import SamplingOptions, SplitOptions
from datamodules.phantom import PhantomCohort
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.evaluation.detection import (
    Features,
    Scored,
    detect,
    detection_scores,
    features,
    outlier_scores,
    plain_inputs,
)
from zoo.fusion.concat import ConcatFusion
from zoo.fusion.late import LateFusion
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict

pytest.importorskip("pytorch_ood")
numbers = st.lists(st.integers(0, 6), min_size=1, max_size=25)


@settings(max_examples=30)
@given(numbers, numbers)
def test_figures_are_those_of_scikit_learn(inside: list[int], outside: list[int]) -> None:
    found = detect(np.array(inside, float), np.array(outside, float))
    truth, values = [0] * len(inside) + [1] * len(outside), [*inside, *outside]
    assert found.auroc == pytest.approx(roc_auc_score(truth, values))
    fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
    assert found.fpr95 == pytest.approx(fpr[np.argmax(tpr >= 0.95)])
    precision, recall, _ = precision_recall_curve(truth, values)
    assert found.aupr == pytest.approx(auc(recall, precision))
    assert (found.n_in, found.n_out) == (len(inside), len(outside))


def test_nothing_to_detect_is_nan() -> None:
    assert math.isnan(detect(np.zeros(0), np.ones(3)).auroc)
    assert math.isnan(detect(np.ones(3), np.zeros(0)).fpr95)


def test_scores_are_averaged_over_runs() -> None:
    names = [f"r{i}" for i in range(20)]
    good = Scored(np.arange(20.0), np.arange(20.0) + 30, names, names)
    blind = Scored(np.zeros(20), np.zeros(20), names, names)
    found = detection_scores([good, blind], resamples=20)
    assert found["auroc"].value == pytest.approx(0.75)
    assert found["auroc"].method == "adjusted", "no resample differs"
    assert found["auroc"].low < 0.75 < found["auroc"].high
    grouped = replace(good, inside_units=["a", "b"] * 10, outside_units=["c"] * 20)
    assert math.isnan(detection_scores([grouped], resamples=20)["auroc"].low), "of one unit out of distribution"


def made_features(vectors: torch.Tensor, target: torch.Tensor, shift: float = 0.0) -> Features:
    logits = 3 * vectors[:, :3]
    ids = [f"r{i:04d}" for i in range(len(vectors))]
    return Features(ids, vectors, vectors + shift, target, logits.softmax(-1), logits)


def made_up() -> tuple[Features, dict[str, Features]]:
    generator = torch.Generator().manual_seed(0)
    centre = 4 * torch.eye(3, 8)

    def rows(n: int, shift: float = 0.0) -> Features:
        target = torch.arange(n) % 3
        return made_features(
            centre[target] * (shift == 0) + shift + 0.5 * torch.randn(n, 8, generator=generator), target
        )

    return rows(300), {"test": rows(80), "ood": rows(80, 1.5)}


def test_detectors_follow_their_formulas() -> None:
    train, splits = made_up()
    found = outlier_scores(train, splits)
    test = splits["test"]
    assert test.probabilities is not None
    assert test.logits is not None
    np.testing.assert_allclose(found["msp"]["test"], -test.probabilities.max(1).values, atol=1e-6)
    np.testing.assert_allclose(found["energy"]["test"], -test.logits.logsumexp(1), atol=1e-5)
    unit, seen = (v / v.norm(dim=1, keepdim=True) for v in (test.vectors, train.vectors))
    k = math.ceil(math.sqrt(300))
    np.testing.assert_allclose(found["knn"]["test"], torch.cdist(unit, seen).sort(1).values[:, k - 1], atol=1e-4)
    means = torch.stack([train.vectors[train.target == c].mean(0) for c in range(3)])
    off = (train.vectors - means[train.target]).double()
    off_test = (test.vectors.unsqueeze(1) - means).double()
    distance = torch.einsum("nkd,de,nke->nk", off_test, torch.linalg.inv(off.T @ off), off_test).min(1).values / 2
    np.testing.assert_allclose(found["mahalanobis"]["test"], distance, rtol=2e-3)
    for name, scores in found.items():
        assert detect(scores["test"], scores["ood"]).auroc > 0.9, name


def test_tasks_without_classes_have_no_softmax_detectors() -> None:
    train, splits = made_up()
    for part in (train, *splits.values()):
        part.probabilities = part.logits = None
        part.target = torch.randn(len(part.ids), 2, 1)
    assert list(outlier_scores(train, splits)) == ["knn", "mahalanobis", "input_knn"]


def test_vectors_that_are_all_alike_or_in_a_plane_do_not_fail() -> None:
    train, splits = made_up()
    for part in (train, *splits.values()):
        part.vectors = torch.cat([part.vectors[:, :2], torch.zeros(len(part.ids), 6)], 1)
    flat = outlier_scores(train, splits)
    train.vectors = torch.ones(300, 8)
    alike = outlier_scores(train, {"test": train, "ood": splits["ood"]})
    for found in (flat, alike):
        assert all(np.isfinite(v).all() for s in found.values() for v in s.values())


def test_few_training_rows() -> None:
    train, splits = made_up()
    few = Features(
        train.ids[:2], train.vectors[:2], train.inputs[:2], train.target[:2], train.probabilities, train.logits
    )
    assert all(np.isfinite(v["ood"]).all() for v in outlier_scores(few, splits).values())


@pytest.fixture(scope="module")
def phantom() -> MultimodalDataModule:
    source = PhantomCohort(
        n=60, size=16, presence=0.7, modalities=["ct", "genomics"], tasks=["disease", "expression"]
    )
    return MultimodalDataModule(
        [source], sampling=SamplingOptions(batch_size=16), split=SplitOptions(held_out={"organ": ["kidney"]})
    )


@pytest.mark.parametrize("fusion", [ConcatFusion, LateFusion])
def test_features_of_a_network_are_those_of_its_predictions(phantom: MultimodalDataModule, fusion: Any) -> None:
    torch.manual_seed(0)
    module = MultitaskModule(
        phantom.modality_specs,
        phantom.task_specs,
        encoders={
            "image": partial(ViTEncoder, dim=16, depth=1, heads=2),
            "dna": partial(DNABERTEncoder, dim=16, depth=1, heads=2),
        },
        fusion=fusion,
    )
    whole = predict(
        module,
        phantom.split_dataloader("ood"),
        logits=["disease", "expression"],
        inputs=partial(plain_inputs, modalities=phantom.modality_specs),
    )
    for task in ("disease", "expression"):
        found, expected = features(whole, module.kinds[task]), whole.results[task]
        assert found.ids == expected.ids
        torch.testing.assert_close(found.target, expected.target)
        place = [whole.ids.index(i) for i in found.ids]
        torch.testing.assert_close(found.vectors, whole.vectors[place])
        assert torch.isfinite(found.inputs).all()
        assert (found.probabilities is None) == (found.logits is None) == (task == "expression")
        if found.probabilities is not None and found.logits is not None:
            torch.testing.assert_close(found.probabilities, expected.prediction)
            if fusion is ConcatFusion:
                torch.testing.assert_close(found.logits.softmax(-1), expected.prediction)
