"""Structure by homology and classes by window, against chains whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.zoo.baselines.made_up import make, target_of, task_of, walk
from zoo.baselines.protein import HomologueBaseline, ResidueWindowBaseline, fill_chain
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.tasks.base import task_kind

TASK = TaskSpec("fold", "structure", 60, reads="x", unit="angstrom")
RNG = np.random.default_rng(0)
SEQUENCES = ["".join(RNG.choice(list("ACDEFGHIKLMNPQRSTVWY"), 50)) for _ in range(4)]
TARGET = torch.stack([target_of(TASK, 0, s) for s in SEQUENCES])


def fitted() -> HomologueBaseline:
    baseline = HomologueBaseline(TASK, "x")
    baseline.fit([{"x": s} for s in SEQUENCES], TARGET)
    return baseline


def test_a_chain_is_its_own_template() -> None:
    prediction = fitted().predict([{"x": s} for s in SEQUENCES])
    assert torch.allclose(prediction[:, :50], TARGET[:, :50, :3], atol=1e-4)
    assert task_kind(TASK).primary_value(prediction, TARGET) == pytest.approx(1.0, abs=1e-6)


def test_a_mutant_with_a_gap_and_a_tail_finds_its_parent() -> None:
    parent = SEQUENCES[2]
    mutant = parent[:20] + parent[24:45].replace("L", "I") + "GGG"
    prediction = fitted().predict([{"x": mutant}])[0]
    assert torch.allclose(prediction[:20], TARGET[2, :20, :3], atol=1e-4)
    assert torch.allclose(prediction[21:40], TARGET[2, 25:44, :3], atol=1e-4)
    assert bool(torch.isfinite(prediction).all())


def test_unresolved_residues_and_strange_letters() -> None:
    target = TARGET.clone()
    target[0, 10:15] = 0
    baseline = HomologueBaseline(TASK, "x")
    baseline.fit([{"x": s} for s in SEQUENCES], target)
    prediction = baseline.predict([{"x": SEQUENCES[0].replace("A", "U")}, {"x": "Q"}, {"x": "A" * 80}])
    assert torch.allclose(prediction[0, :10], TARGET[0, :10, :3], atol=1e-4)
    line = torch.linalg.vector_norm(prediction[0, 10:15].diff(dim=0), dim=-1)
    assert torch.allclose(line, line[0].expand(4), atol=1e-3)
    assert bool(torch.isfinite(prediction).all())
    with pytest.raises(SpecError, match="no chain"):
        HomologueBaseline(TASK, "x").fit([{"x": SEQUENCES[0]}], torch.zeros(1, 60, 4))


def test_ends_go_on_in_steps_of_a_bond() -> None:
    xyz = walk("ACDEFGHIKL")
    known = np.zeros(10, dtype=bool)
    known[3:6] = True
    out = fill_chain(xyz, known)
    np.testing.assert_allclose(out[3:6], xyz[3:6])
    steps = np.linalg.norm(np.diff(out, axis=0), axis=1)
    np.testing.assert_allclose(steps[[0, 1, 2, 5, 6, 7, 8]], 3.8)
    one = fill_chain(xyz, np.arange(10) == 4)
    np.testing.assert_allclose(np.linalg.norm(np.diff(one, axis=0), axis=1), 3.8)


def test_windows_see_their_neighbours_and_longer_chains_are_cut() -> None:
    task = task_of("token_classification")
    rows, _ = make(task, "protein", n=30)
    target = torch.full((30, task.length), -1)
    for i, row in enumerate(rows):
        letters = row["x"][: task.length]
        target[i, 1 : len(letters)] = torch.tensor([int(a in "AGV") for a in letters[:-1]])  # the residue before
    baseline = ResidueWindowBaseline(task, "x")
    baseline.fit(rows, target)
    prediction = baseline.predict([*rows, {"x": "ACDE" * 40}, {"x": ""}])
    assert prediction.shape == (32, task.length, 3)
    assert task_kind(task).primary_value(prediction[:30], target) == 1.0
    assert torch.allclose(prediction[31], torch.full((task.length, 3), 1 / 3))
    assert bool((prediction[:30, :20, 2] == 0).all())  # a class that was never seen
