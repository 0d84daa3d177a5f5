"""Baselines of molecules alone and beside a protein."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.baselines.base import each_once
from zoo.baselines.molecule import AffinityBaseline, fingerprints
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.smiles import morgan_counts
from zoo.tasks.base import task_kind

TASK = TaskSpec("affinity", "regression", 1, ("pKd",))


def test_fingerprints_are_those_of_the_rows() -> None:
    smiles = ["CCO", "c1ccccc1", "CCO"]
    rows = each_once(smiles, fingerprints).toarray()
    for row, s in zip(rows, smiles, strict=True):
        assert np.allclose(row, np.log1p(morgan_counts(s, len(row))))


def pairs(n: int, seed: int) -> tuple[list[dict[str, str]], torch.Tensor]:
    """Affinities that follow from both: rings bind to one family, chains to the other."""
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for _ in range(n):
        ring, family = rng.random() < 0.5, rng.random() < 0.5
        drug = ("c1ccccc1" if ring else "CCC") + "O" * int(rng.random() < 0.5)
        protein = "".join(rng.choice(list("AELK" if family else "GPST"), 25))
        rows.append({"drug": drug, "protein": protein})
        values.append(1.0 if ring == family else -1.0)
    return rows, torch.stack([torch.tensor([[v], [1.0]]) for v in values])


def test_what_only_the_pair_tells_is_learned_from_the_pair() -> None:
    (rows, target), (seen, truth) = pairs(200, 0), pairs(60, 1)
    value = {}
    for partner in ("", "protein"):
        baseline = AffinityBaseline(TASK, "drug")
        baseline.partner = partner
        baseline.fit(rows, target)
        value[partner] = task_kind(TASK).metrics(baseline.predict(seen), truth)["concordance"]
    assert value["protein"] > 0.95
    assert abs(value[""] - 0.5) < 0.2
    with pytest.raises(SpecError, match="reads modality 'protein', but row 0"):
        baseline.predict([{"drug": "CC"}])


def test_a_target_that_was_never_known_is_predicted_with_zero() -> None:
    task = TaskSpec("affinity", "regression", 2)
    rows, target = pairs(40, 0)
    wide = torch.cat([target, torch.zeros_like(target)], 2)
    baseline = AffinityBaseline(task, "drug")
    baseline.fit(rows, wide)
    assert (baseline.predict(rows)[:, 1] == 0).all()
    with pytest.raises(SpecError, match="all alike"):
        AffinityBaseline(task, "drug").fit(rows, torch.zeros(40, 2, 2))
