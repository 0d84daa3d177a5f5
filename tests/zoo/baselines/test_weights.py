"""The frozen networks: every packaged weight is used, and what comes out is what it should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.baselines.images import LITE, EfficientNetBaseline, shrink, squares
from zoo.baselines.text import MINILM, embed_texts
from zoo.contract import TaskSpec
from zoo.encoders.frozen import BACKBONE, EFFICIENTNET
from zoo.encoders.frozen_network import frozen_image_network


def test_the_image_baseline_reads_the_network_once_an_image() -> None:
    pytest.importorskip(LITE)
    task = TaskSpec("flower", "classification", 2, ("a", "b"))
    images = [np.full((40, 40), 10 * k, np.uint8) for k in range(8)]
    baseline = EfficientNetBaseline(task, "photo")
    first = baseline.features(images, torch.zeros(8, dtype=torch.long))
    store = frozen_image_network(BACKBONE, EFFICIENTNET, baseline.side).store
    kept = len(store)
    assert kept >= 8
    np.testing.assert_array_equal(baseline.features(images), first)
    assert len(store) == kept


def test_sentences_of_like_meaning_are_near() -> None:
    pytest.importorskip(MINILM)
    texts = ["The patient has pneumonia.", "Infection of the lung.", "The stock market fell.", "", "word " * 500]
    found = embed_texts(texts)
    assert found.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    assert found[0] @ found[1] > 0.4 > found[0] @ found[2] + 0.2
    np.testing.assert_allclose(embed_texts(texts[:1]), found[:1], atol=1e-3)


def test_shrink_keeps_kind_and_mean() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 255, (300, 90, 3)).astype(np.uint8)
    small = shrink(colour, 100)
    assert small.shape == (100, 90, 3)
    assert small.dtype == np.uint8
    assert abs(float(small.mean()) - float(colour.mean())) < 1
    scan = rng.normal(-500, 100, (50, 400)).astype(np.float32)
    assert shrink(scan).shape == (50, 160)
    assert shrink(scan).dtype == np.float32
    assert shrink(scan, 400) is scan


def test_grey_and_coloured_pictures_meet() -> None:
    grey, colour = np.full((8, 8), 30, np.uint8), np.stack([np.full((8, 8), v, np.uint8) for v in (0, 30, 60)], -1)
    assert squares([grey, colour], 4, 1).mean((1, 2, 3)).tolist() == [30, 30]
    assert squares([grey, colour], 4, 3).mean((2, 3)).tolist() == [[30, 30, 30], [0, 30, 60]]
