"""A fusion finds the simulated synergy; one modality alone does not, as the design of the phantom says."""

from __future__ import annotations

import pytest

from datamodules.phantom import best_accuracy
from experiments.commands.synergy import train


@pytest.mark.parametrize(("modalities", "low", "high"), [(("ct", "genomics"), 0.75, 1.0), (("ct",), 0.35, 0.65)])
def test_low_rank_fusion_needs_both_modalities(modalities: tuple[str, ...], low: float, high: float) -> None:
    result = train("LowRankFusion", modalities, patients=800, epochs=12, seed=0)
    assert low <= result.value <= high
    assert result.value <= best_accuracy("response", modalities) + 0.15
    assert result.data == "simulated"
