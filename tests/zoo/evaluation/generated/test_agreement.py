"""Findings in made images: AUROC against scikit-learn, ranges of shuffled prompts, and unknown labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from zoo.errors import DataError
from zoo.evaluation.generated.agreement import AgreementOptions, image_agreement

NAMES = ("a", "b", "rare")
FAST = AgreementOptions(resamples=60, shuffles=40)


def example(strength: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = (generator.random((200, 3)) < [0.3, 0.6, 0.03]).astype(int)
    return strength * labels + generator.normal(size=(200, 3)), labels


def test_aurocs_are_those_of_scikit_learn() -> None:
    scores, labels = example(1.0)
    found = image_agreement(scores, labels, NAMES, real_scores=2 * labels, thresholds=[0.5, 0.2, 0.1], options=FAST)
    each = [roc_auc_score(labels[:, k], scores[:, k]) for k in range(3)]
    assert [f.auroc.value for f in found.findings] == pytest.approx(each)
    assert found.macro.value == pytest.approx(np.mean(each[:2]))
    assert found.micro.value == pytest.approx(roc_auc_score(labels[:, :2].ravel(), scores[:, :2].ravel()))
    assert found.real_macro.value == 1.0
    assert found.f1.findings[1].f1.value == pytest.approx(f1_score(labels[:, 1], scores[:, 1] >= 0.2))
    assert found.scored == found.f1.scored == ("a", "b")
    assert found.left_out == {"rare": int(labels[:, 2].sum())}
    assert found.macro.low > found.macro_shuffled[1]


def test_images_that_ignore_their_prompts_lie_in_the_range_of_shuffled_ones() -> None:
    scores, labels = example(0.0)
    found = image_agreement(scores, labels, NAMES, options=FAST)
    assert found.macro_shuffled[0] <= found.macro.value <= found.macro_shuffled[1]
    assert math.isnan(found.real_macro.value)


def test_scores_that_know_only_how_often_findings_are_have_a_high_micro_auroc_and_so_have_shuffled_ones() -> None:
    generator = np.random.default_rng(1)
    labels = (generator.random((300, 2)) < [0.1, 0.8]).astype(int)
    scores = np.tile([0.1, 0.8], (300, 1)) + generator.normal(0, 0.01, (300, 2))
    found = image_agreement(scores, labels, ("a", "b"), options=FAST)
    assert found.micro.value > 0.8
    assert found.micro_shuffled[0] <= found.micro.value <= found.micro_shuffled[1]
    assert abs(found.macro.value - 0.5) < 0.1


def test_unknown_labels_enter_nothing() -> None:
    scores, labels = example(1.0)
    part = labels.copy()
    part[:50] = -1
    part[50:60, 0] = -1
    found = image_agreement(scores, part, NAMES, options=FAST)
    assert found.unlabelled == 50
    assert [f.n for f in found.findings] == [140, 150, 150]
    assert found.findings[0].auroc.value == pytest.approx(roc_auc_score(labels[60:, 0], scores[60:, 0]))
    assert [f.n for f in found.f1.findings] == [140, 150, 150]


def test_no_finding_is_scored_of_few_rows() -> None:
    found = image_agreement(np.eye(4)[:, :3], np.eye(4, dtype=int)[:, :3], NAMES, options=FAST)
    assert found.scored == ()
    assert math.isnan(found.macro.value)
    assert math.isnan(found.macro_shuffled[0])


def test_what_does_not_fit_is_said() -> None:
    scores, labels = example(1.0)
    with pytest.raises(DataError, match=r"scores \(200, 3\), labels \(199, 3\)"):
        image_agreement(scores, labels[1:], NAMES)
    with pytest.raises(DataError, match=r"labels must be 0, 1 or -1"):
        image_agreement(scores, labels * 2, NAMES)
    with pytest.raises(DataError, match="200 rows, of which 0 have a known label"):
        image_agreement(scores, np.full_like(labels, -1), NAMES)
    with pytest.raises(DataError, match="1 units were given for 200 rows, of which 200"):
        image_agreement(scores, labels, NAMES, units=["p"])
