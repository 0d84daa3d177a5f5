"""Damage to molecules: another SMILES of the same molecule, and atoms that are not told."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.contract import PAD, ModalitySpec
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, Noise
from zoo.smiles import count_atoms, decode_smiles, encode_smiles, mask_atoms, morgan_counts, random_smiles

SEEDS = 2**31 - 1
"""RDKit takes seeds from 1 to this."""
TRIES = 10
"""Random SMILES that are drawn until one fits the length of a row."""


def write_molecule(row: Tensor, smiles: str, spec: ModalitySpec, *, fingerprint: bool) -> Tensor | None:
    """Put a SMILES in the place of the one that a row (F + L,) holds; None where it has more than L tokens.

    Args:
        row: counts and codes; not changed in place.
        smiles: what to write.
        spec: of the modality.
        fingerprint: whether to count its fingerprint anew.
    """
    codes = torch.from_numpy(encode_smiles(smiles))
    first = spec.descriptors
    if len(codes) > len(row) - first:
        return None
    out = row.clone()
    out[first:] = PAD
    out[first : first + len(codes)] = codes
    if fingerprint and first:
        out[:first] = torch.from_numpy(morgan_counts(smiles, first))
    return out


@CORRUPTIONS.register
class SmilesEnumeration(Corruption):
    """The same molecule written in another way, from a random atom along random branches; its fingerprint stays.

    Nothing is lost, so that a good model's results do not change. A row keeps its SMILES where ten random ones are
    all too long for it.
    """

    kinds = ("molecule",)
    unit = "share of the molecules"
    levels = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """Whether the molecule is met, and the seed of what it becomes, (2,)."""
        return generator.random(2, dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Write anew."""
        return torch.stack(
            [
                self._written(v, 1 + int(seed * (SEEDS - TRIES - 1)), spec) if met < level else v
                for v, (met, seed) in zip(values, noise.double().tolist(), strict=True)
            ]
        )

    @staticmethod
    def _written(row: Tensor, seed: int, spec: ModalitySpec) -> Tensor:
        smiles = decode_smiles(row[spec.descriptors :])
        for k in range(TRIES):
            found = write_molecule(row, random_smiles(smiles, seed + k), spec, fingerprint=False)
            if found is not None:
                return found
        return row


@CORRUPTIONS.register
class AtomMasking(Corruption):
    """Atoms that are not told: they become the wildcard ``*``, and the fingerprint is counted anew."""

    kinds = ("molecule",)
    unit = "probability of an atom"
    levels = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6)
    standard = True

    def draw(self, spec: ModalitySpec, generator: np.random.Generator) -> Noise:
        """One uniform number for each token that a row has room for; a molecule has no more atoms."""
        return generator.random(spec.shape[0] - spec.descriptors, dtype=np.float32)

    def apply(self, values: Tensor, noise: Tensor, level: float, spec: ModalitySpec) -> Tensor:
        """Mask."""
        rows = []
        for row, uniform in zip(values, noise, strict=True):
            smiles = decode_smiles(row[spec.descriptors :])
            met = (uniform[: count_atoms(smiles)] < level).nonzero().squeeze(1).tolist()
            masked = write_molecule(row, mask_atoms(smiles, met), spec, fingerprint=True) if met else row
            assert masked is not None  # a wildcard is one token, as is the shortest atom
            rows.append(masked)
        return torch.stack(rows)
