"""Shallow linear paths beside a trunk: bags of words and of k-mers (wide and deep: Cheng et al. 2016).

On a few thousand rows a linear model of counts beats a transformer that is trained from nothing; with both, the
network has either. What such models learn from the data beside their weights (document frequencies, means and
deviations) is gathered here from the training rows that went before, never from the other rows of a batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import NUCLEOTIDES, PAD
from zoo.encoders.parts import kmer_ids

WAIT = 32
"""Rows that must have been seen before their statistics are used."""


class RunningStandard(nn.Module):
    """Standardise (N, F) by the means and deviations of the training rows that went before.

    Unlike BatchNorm a row does not depend on the others of its batch, nor does it differ between training and
    evaluation; the statistics are plain averages over all rows so far, as the input's distribution does not
    change. The first rows (WAIT) pass as they are.

    Args:
        width: F.
        limit: larger standardised values are cut to it; 0 cuts nothing.
    """

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, width: int, limit: float = 0.0) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("square", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, F) to (N, F)."""
        ready = self.count >= WAIT
        # Where a feature has been constant so far, 1 is as good a scale as any.
        deviation = (self.square / self.count.clamp_min(1.0)).sqrt()
        scale = torch.where(ready & (deviation > 1e-6), deviation, 1.0)
        out = (x - torch.where(ready, self.mean, 0.0)) / scale
        if self.training and len(x):
            self._update(x.detach().float())
        return out.clamp(-self.limit, self.limit) if self.limit else out

    @torch.no_grad()
    def _update(self, x: Tensor) -> None:
        """Take in the rows of (N, F) by the parallel formula of Chan, Golub and LeVeque 1983."""
        total = self.count + len(x)
        own = x.mean(0)
        delta = own - self.mean
        self.square += (x - own).square().sum(0) + delta.square() * (self.count * len(x) / total)
        self.mean += delta * (len(x) / total)
        self.count.copy_(total)


class TextBag(nn.Module):
    """Map (N, L) token codes to (N, D): a linear map of the TF-IDF of tokens and pairs of neighbours.

    Features are hashed into buckets (fastText: Joulin et al. 2017); a row's vector is
    (1 + log tf) * (log((1 + n) / (1 + df)) + 1), scaled to norm 1. The document frequencies df are counted over
    the n training rows that went before.

    Args:
        buckets: number of buckets; tokens fall into those of their code, pairs anywhere.
        dim: D.
        dropout: probability that an occurrence is left out in training.
        gain: factor of the output. The table begins near zero and moves by about the learning rate a step,
            too slowly for a unit vector of a hundred features: the gain is what makes the path learn in time.
    """

    rows: Tensor
    frequency: Tensor

    def __init__(self, buckets: int, dim: int, dropout: float = 0.0, gain: float = 8.0) -> None:
        super().__init__()
        self.buckets, self.dropout, self.gain = buckets, dropout, gain
        self.table = nn.Parameter(torch.randn(buckets, dim) * 0.02)
        self.register_buffer("rows", torch.zeros(()))
        self.register_buffer("frequency", torch.zeros(buckets))

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to buckets (N, 2 L - 1) and whether there is a feature (N, 2 L - 1)."""
        real = x != PAD
        mixed = x[:, :-1] * 0x9E3779B1 + x[:, 1:] * 0x85EBCA77
        mixed = (mixed ^ (mixed >> 15)) * 0x2C1B3C6D
        pairs = (mixed ^ (mixed >> 12)).remainder(self.buckets)
        return torch.cat([x.remainder(self.buckets), pairs], 1), torch.cat([real, real[:, :-1] & real[:, 1:]], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, L) to (N, D); a row of padding gives zeros."""
        if not len(x):
            return self.table.new_zeros((0, 1)) @ self.table[:1]
        ids, real = self._features(x)
        counts = torch.zeros((len(x), self.buckets), device=x.device).scatter_add_(1, ids, real.float())
        ready = self.rows >= WAIT
        idf = torch.where(ready, ((1.0 + self.rows) / (1.0 + self.frequency)).log() + 1.0, 1.0)
        times = counts.gather(1, ids).clamp_min(1.0)
        value = (1.0 + times.log()) * idf[ids] * real
        norm = (value.square() / times).sum(1, keepdim=True).sqrt().clamp_min(1e-6)
        weight = F.dropout(value / (times * norm), self.dropout, self.training)
        if self.training:
            with torch.no_grad():
                self.frequency += (counts > 0).sum(0)
                self.rows += len(x)
        return self.gain * F.embedding_bag(
            ids, self.table, per_sample_weights=weight.to(self.table.dtype), mode="sum"
        )


class KmerBag(nn.Module):
    """Map (N, L) nucleotide codes to (N, D): a linear map of k-mer counts, and of the letter at each position.

    Counts of all k-mers of 1 to k letters enter as log(1 + count), standardised by the training rows that went
    before; the letter at each position as 0 and 1.

    Args:
        length: L.
        k: letters of the longest k-mer; there are 4 + 16 + ... + 4**k counts.
        dim: D.
        positions: whether to read the letters by position, for sequences that are aligned, such as promoters.
        dropout: probability that a feature is left out in training.
    """

    def __init__(self, length: int, k: int, dim: int, positions: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.k, self.positions = k, positions
        width = sum(4**n for n in range(1, k + 1))
        self.standard = RunningStandard(width, limit=5.0)
        self.drop = nn.Dropout(dropout)
        self.counts = nn.Linear(width, dim, bias=False)
        self.letters = nn.Linear(4 * length, dim, bias=False) if positions else None
        for map_ in (self.counts, *([self.letters] if self.letters is not None else [])):
            nn.init.normal_(map_.weight, std=0.2 * map_.in_features**-0.5)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, L) codes to the counts (N, 4 + 16 + ... + 4**k) as log(1 + count)."""
        parts = []
        for n in range(1, self.k + 1):
            ids = kmer_ids(x, n) - 2  # negative: unknown letters and padding
            counts = torch.zeros((len(x), 4**n), device=x.device)
            parts.append(counts.scatter_add_(1, ids.clamp_min(0), (ids >= 0).float()))
        return torch.cat(parts, 1).log1p()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, L) to (N, D)."""
        out: Tensor = self.counts(self.drop(self.standard(self.features(x))))
        if self.letters is not None:
            onehot = F.one_hot(x, len(NUCLEOTIDES) + 1)[..., 1:5].flatten(1).to(out.dtype)
            out = out + self.letters(self.drop(onehot))
        return out
