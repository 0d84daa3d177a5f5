"""Zero-shot classification on toys where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.errors import SpecError
from zoo.evaluation.zero_shot import (
    STRENGTHS,
    choose_eszsl,
    eszsl_scores,
    fit_eszsl,
    name_vectors,
    readable,
    shared_space_scores,
    telling,
)


def world(classes: int, rows: int, seed: int = 0, noise: float = 0.3) -> tuple[torch.Tensor, ...]:
    """Rows that are a linear image of the signature of their class, with noise: vectors, labels, signatures."""
    generator = torch.Generator().manual_seed(seed)
    signatures = torch.nn.functional.normalize(torch.randn(classes, 4, generator=generator), dim=1)
    mixing = torch.randn(4, 10, generator=generator)
    labels = torch.arange(classes).repeat_interleave(rows)
    vectors = signatures[labels] @ mixing + noise * torch.randn(len(labels), 10, generator=generator)
    return vectors - vectors.mean(0), labels, signatures


def test_eszsl_recognises_classes_that_it_never_saw() -> None:
    vectors, labels, signatures = world(24, 30)
    seen = labels < 20
    weights = fit_eszsl(vectors[seen], labels[seen], signatures[:20], 0.1, 0.1)
    choice = eszsl_scores(vectors[~seen], weights, signatures[20:]).argmax(1) + 20
    accuracy = float((choice == labels[~seen]).float().mean())
    assert accuracy > 0.8  # chance is 0.25
    shuffled = signatures[:20][torch.randperm(20, generator=torch.Generator().manual_seed(1))]
    wrong = fit_eszsl(vectors[seen], labels[seen], shuffled, 0.1, 0.1)
    choice = eszsl_scores(vectors[~seen], wrong, signatures[20:]).argmax(1) + 20
    assert float((choice == labels[~seen]).float().mean()) < accuracy - 0.2  # it is the names that tell


def test_eszsl_is_the_formula_of_the_paper() -> None:
    vectors, labels, signatures = world(5, 8)
    x, s = vectors.double().numpy().T, signatures.double().numpy().T  # columns, as in the paper
    y = np.where(labels.numpy()[:, None] == np.arange(5), 1.0, -1.0)
    inner = np.linalg.inv(x @ x.T + 0.5 * 40 * np.eye(10)) @ x @ y @ s.T
    wanted = inner @ np.linalg.inv(s @ s.T + 2.0 * np.eye(4))
    assert np.allclose(fit_eszsl(vectors, labels, signatures, 0.5, 2.0).numpy(), wanted, atol=1e-5)


def test_penalties_are_chosen_on_seen_classes_only() -> None:
    vectors, labels, signatures = world(12, 15)
    gamma, strength = choose_eszsl(vectors, labels, signatures)
    assert {gamma, strength} <= set(STRENGTHS)
    assert choose_eszsl(vectors, labels, signatures) == (gamma, strength)
    few = labels < 3
    assert choose_eszsl(vectors[few], labels[few], signatures[:3]) == (1.0, 1.0)
    with pytest.raises(SpecError, match="at least two seen classes"):
        fit_eszsl(vectors[:5], torch.zeros(5, dtype=torch.long), signatures[:1], 1.0, 1.0)


def test_names_of_like_letters_are_near() -> None:
    names = name_vectors(["proximal tubule", "distal tubule", "B cell"])
    assert torch.allclose(names.norm(dim=1), torch.ones(3))
    assert names[0] @ names[1] > 0.3 > names[0] @ names[2]


def test_words_and_what_they_say() -> None:
    assert readable("proximal_tubule-S1  cell") == "proximal tubule S1 cell"
    assert telling(["benign", "malignant"])
    assert not telling(["kidney type_3", "kidney type_10"])
    assert telling(["only one"])


def test_streams_of_two_modalities_are_centred_apart() -> None:
    names = torch.tensor([[5.0, 1.0], [5.0, -1.0]])  # far from the rows, as another modality is
    rows = torch.tensor([[-3.0, 2.0], [-3.0, -2.0], [-3.5, -1.0]])
    scores = shared_space_scores(rows, names, torch.tensor([-3.0, 0.0]))
    assert scores.argmax(1).tolist() == [0, 1, 1]
    assert scores[0].tolist() == pytest.approx([1.0, -1.0])
