"""MultiPrompt: from the vectors of some modalities of a row to what a denoiser is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.generation.diffusion.noise import RowNoise
from zoo.models.xgem.options import PromptOptions


class MultiPrompt(nn.Module):
    """Sum the vectors of a subset of modalities, sum_j alpha_j h_j with sum_j alpha_j = 1 (XGeM section 4.2).

    Args:
        others: the modalities that a denoiser may be told of, in order.
        options: how subsets are drawn and weighed.
    """

    def __init__(self, others: Sequence[str], options: PromptOptions) -> None:
        super().__init__()
        self.others = tuple(others)
        self.options = options
        self.empty = nn.Parameter(torch.zeros(options.dim))
        self.scores = nn.Parameter(torch.zeros(len(self.others))) if options.alpha == "learned" else None

    def draw(self, present: Mapping[str, Tensor], noise: RowNoise) -> Tensor:
        """A random subset of the other modalities that each row has: (N, M) bool, M as in ``others``.

        Each of the 2^k - 1 subsets that are not empty is as likely as the others, where a row has k of them; without
        Multi-Prompt each of the k single ones is. A row that has none is told nothing.

        Args:
            present: modality -> (N,) whether a row has it.
            noise: random numbers of the N rows.
        """
        has = torch.stack([present[m] for m in self.others], 1)
        numbers = noise.uniform(has.device)
        count = has.sum(1)
        if not self.options.multi_prompt:
            chosen = (numbers * count).long()  # number of the one among those that are present
            return has & ((has.cumsum(1) - 1) == chosen.unsqueeze(1))
        subset = 1 + (numbers * (2**count - 1)).long()  # its bits say which of those that are present
        place = (has.cumsum(1) - 1).clamp_min(0)
        return has & ((subset.unsqueeze(1) >> place) & 1).bool()

    def weights(self, told: Tensor, noise: RowNoise | None = None) -> Tensor:
        """The weights alpha (N, M), which sum to 1 over what is told, and are 0 elsewhere.

        Args:
            told: (N, M) bool.
            noise: random numbers of the rows, where ``alpha`` is "dirichlet" in training; None for equal weights.
        """
        if self.scores is not None:
            raw = self.scores.exp().expand(told.shape)
        elif self.options.alpha == "dirichlet" and noise is not None:
            columns = [noise.uniform(told.device) for _ in self.others]  # Dirichlet(1, ..., 1) by exponentials
            raw = torch.stack([-u.clamp_min(1e-12).log() for u in columns], 1).clamp_min(1e-6)
        else:
            raw = torch.ones(told.shape, device=told.device)
        raw = raw * told
        return raw / raw.sum(1, keepdim=True).clamp_min(1e-12)

    def forward(
        self,
        vectors: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        told: Tensor,
        noise: RowNoise | None = None,
    ) -> Tensor:
        """The context (N, 1, D) of a denoiser, of numbers with a mean square near 1.

        Args:
            vectors: modality -> (N_m, D) vectors of length 1 of the rows that have it.
            present: modality -> (N,) whether a row has it.
            told: (N, M) bool, which modalities a row is told of; none gives the learned empty vector.
            noise: see ``weights``.
        """
        alpha = self.weights(told, noise)
        total = self.empty.new_zeros((len(told), self.options.dim))
        for k, m in enumerate(self.others):
            rows = present[m].nonzero().squeeze(1)
            if len(rows):
                part = vectors[m].to(total.dtype) * alpha[rows, k].unsqueeze(1)
                total = total.index_add(0, rows, part)
        nothing = ~told.any(1, keepdim=True)
        return (total * math.sqrt(self.options.dim) + self.empty * nothing).unsqueeze(1)
