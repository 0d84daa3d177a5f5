"""The first stage: prompt encoders, whose vectors of one row agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract import Batch
from zoo.encoders.base import Encoder
from zoo.models.xgem.stages.base import Stage, part_of


class PromptStage(Stage):
    """Contrastive pretraining, pair by pair (XGeM, Eq. 1)."""

    def trained(self) -> Mapping[str, nn.Module]:
        """The prompt encoders."""
        return {"prompts": self.parts.prompts}

    def losses(self, batch: Batch, what: str, progress: float) -> dict[str, Tensor]:
        """InfoNCE of each pair, and their mean."""
        found = self.parts.prompts.loss(batch)
        total = sum(found.values(), start=self.parts.prompts.log_scale * 0.0) / max(len(found), 1)
        return {"loss": total, **found}

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Encoders, pairs and width."""
        prompts, parts = self.parts.prompts, self.parts
        return {
            "encoders": {
                m: part_of(config, "encoders", m, s.kind, prompts.encoders[prompts.group[m]])
                for m, s in parts.modalities.items()
            },
            "groups": prompts.group,
            "pairs": [list(p) for p in prompts.pairs],
            "dim": prompts.dim,
        }

    def looks_at(self) -> Sequence[str]:
        """Modalities whose encoder takes something from training rows."""
        prompts = self.parts.prompts
        return [m for m, g in prompts.group.items() if prompts.encoders[g].learns]

    def learn(self, rows: Mapping[str, Tensor]) -> None:
        """Give training rows to the encoders that ask for them."""
        prompts = self.parts.prompts
        for name in dict.fromkeys(prompts.group[m] for m in rows):
            encoder: Encoder = prompts.encoders[name]  # type: ignore[assignment]
            encoder.learn(torch.cat([values for m, values in rows.items() if prompts.group[m] == name]))
