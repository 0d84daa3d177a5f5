"""Letters as numbers: the codes of DNA and proteins, and how often each code occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # data are listed without torch, which takes seconds to import
    from torch import Tensor

PAD = 0
"""Code of padding in every token modality (dna, protein, text)."""
NUCLEOTIDES = "ACGTN"
"""DNA codes: A=1, C=2, G=3, T=4, N=5 (unknown); 0 is padding."""
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWYX"
"""Protein codes: A=1 ... Y=20, X=21 (unknown or non-standard); 0 is padding."""


def shares_of_codes(rows: Tensor, number: int) -> Tensor:
    """The share (N, number) of each code among those of a row (N, L) that are not padding.

    >>> import torch
    >>> shares_of_codes(torch.tensor([[2, 1, 2, 2, 0]]), 3)
    tensor([[0.0000, 0.2500, 0.7500]])
    """
    import torch

    counts = torch.zeros((len(rows), number), device=rows.device)
    counts.scatter_add_(1, rows, (rows != PAD).float())
    return counts / counts.sum(1, keepdim=True).clamp_min(1.0)
