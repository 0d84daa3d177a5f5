"""PromptEncoders: an encoder for each modality whose vectors lie in one space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import Batch, ModalitySpec
from zoo.encoders.base import Encoder
from zoo.encoders.choice import make_encoders
from zoo.errors import SpecError, unknown_name
from zoo.generation.contrastive.info_nce import info_nce

LARGEST_SCALE = math.log(100.0)
"""Largest logarithm of the inverse temperature (Radford et al. 2021)."""


class PromptEncoders(nn.Module):
    """Map what a row has to vectors (N, D) of length 1 that agree for one row (XGeM section 4.1).

    An encoder of the zoo reads each modality, and a linear map brings its pooled vector to D.

    Args:
        modalities: name -> spec.
        encoders: name or kind -> what makes an encoder; kinds that are not listed take their default.
        group: name -> group of modalities that share an encoder and its map, such as two views of a chest.
        dim: D.
        pairs: names of two modalities each, that are aligned with each other; None for all pairs. With text as the
            bridge these are [[text, frontal], [text, lateral]].

    Raises:
        SpecError, UnknownNameError: a pair names a modality that is not here, or nothing is left to align.
    """

    def __init__(
        self,
        modalities: Mapping[str, ModalitySpec],
        encoders: Mapping[str, Callable[[ModalitySpec], Encoder]],
        group: Mapping[str, str],
        *,
        dim: int,
        pairs: Sequence[Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.group = {m: group.get(m, m) for m in modalities}
        made = make_encoders(modalities, encoders, group)
        self.encoders = nn.ModuleDict(made)
        self.maps = nn.ModuleDict({name: nn.Linear(encoder.dim, dim) for name, encoder in made.items()})
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.dim = dim
        self.pairs = self._checked(list(modalities), pairs)

    @staticmethod
    def _checked(names: list[str], pairs: Sequence[Sequence[str]] | None) -> list[tuple[str, str]]:
        if pairs is None:
            return [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
        for pair in pairs:
            if len(pair) != 2 or pair[0] == pair[1]:
                raise SpecError(f"prompts.pairs: a pair names two modalities, got {list(pair)}")
            for name in pair:
                if name not in names:
                    raise unknown_name("modality under prompts.pairs", name, names)
        return [(pair[0], pair[1]) for pair in pairs]

    def vectors(self, modality: str, x: Tensor) -> Tensor:
        """Map (N, *shape) rows of a modality to (N, D) vectors of length 1."""
        key = self.group[modality]
        encoder: Encoder = self.encoders[key]  # type: ignore[assignment]
        pooled = encoder(x).pooled
        return F.normalize(self.maps[key](pooled), dim=1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """InfoNCE of each pair over the rows that have both, by "first-second"; 0 where fewer than two have."""
        vectors = {m: self.vectors(m, batch.inputs[m]) for m in self.group if m in batch.inputs}
        scale = self.log_scale.clamp(0.0, LARGEST_SCALE).exp()
        found = {}
        for a, b in self.pairs:
            both = batch.present[a] & batch.present[b]
            found[f"{a}-{b}"] = info_nce(
                vectors[a][both[batch.present[a]]], vectors[b][both[batch.present[b]]], scale
            )
        return found
