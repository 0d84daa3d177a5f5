"""Geometry of chains of C-alpha atoms: superposition, walks, scores, and chains made of known ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.tasks.items import Floats
from zoo.tasks.parts import mean_of

BOND = 3.8
"""Distance of consecutive C-alpha atoms over a trans peptide bond, in angstrom."""
SHORTEST = 5
"""Rows with fewer resolved residues have no score: the TM-score of 3 or 4 points says nothing."""


def superpose(moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
    """Move (N, L, 3) onto ``fixed`` (N, L, 3) by the proper rotation and translation of least squares.

    Kabsch 1976 with weights (N, L) >= 0. The rotation carries no gradient; the centroid does. Mirror images
    are not superposed. Works on collapsed or empty input, where the rotation is arbitrary, and
    keeps its precision under autocast.

    Args:
        moving: (N, L, 3) points that are moved.
        fixed: (N, L, 3) points that they are moved onto.
        weight: (N, L) weight of each pair of points, 0 or more.
    """
    w = weight.unsqueeze(-1)
    total = w.sum(1, keepdim=True).clamp_min(1e-12)
    centre = (fixed * w).sum(1, keepdim=True) / total
    centred = moving - (moving * w).sum(1, keepdim=True) / total
    with torch.autocast(moving.device.type, enabled=False):
        with torch.no_grad():
            covariance = torch.einsum("nli,nlj->nij", centred * w, fixed - centre)
            u, _, vt = torch.linalg.svd(torch.nan_to_num(covariance))
            flip = torch.ones_like(covariance[:, 0])
            flip[:, 2] = torch.det(u @ vt).sign()
            rotation = (u * flip.unsqueeze(1)) @ vt
        moved: Tensor = centred @ rotation + centre
    return moved


def tm_scale(length: Tensor) -> Tensor:
    """Distance d0 in angstrom that the TM-score takes for chains of ``length`` (Zhang and Skolnick 2004, eq. 2).

    As in TM-align it is 0.5 up to 21 residues and never less.

    >>> tm_scale(torch.tensor([10.0, 100.0]))
    tensor([0.5000, 3.6521])
    """
    long = 1.24 * (length - 15).clamp_min(1).pow(1 / 3) - 1.8
    scale: Tensor = torch.where(length > 21, long, torch.full_like(long, 0.5)).clamp_min(0.5)
    return scale


def compose(first: Tensor, then: Tensor) -> Tensor:
    """Hamilton product of quaternions (..., 4), w first: ``then`` in the frame that ``first`` turned.

    >>> compose(torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.0]))
    tensor([0., 0., 0., 1.])
    """
    a, b = first[..., :1], first[..., 1:]
    c, d = then[..., :1], then[..., 1:]
    real = a * c - (b * d).sum(-1, keepdim=True)
    return torch.cat([real, a * d + c * b + torch.linalg.cross(b, d)], -1)


def walk(turns: Tensor, step: float) -> Tensor:
    """Map turns (N, L, 4), quaternions of any length, to chains (N, L, 3) of steps of ``step`` angstrom.

    Each turn is relative to the frame of the step before, so a chain follows from what is known locally, as
    from bond angles and torsions. The products run as a scan of log2(L) rounds (Hillis and Steele 1986).

    >>> walk(torch.tensor([[[1.0, 0, 0, 0], [1.0, 0, 0, 1.0]]]), 2.0).round().tolist()
    [[[2.0, 0.0, 0.0], [2.0, 2.0, 0.0]]]
    """
    frames, shift = F.normalize(turns, dim=-1), 1
    while shift < frames.shape[1]:
        frames = torch.cat([frames[:, :shift], compose(frames[:, :-shift], frames[:, shift:])], 1)
        shift *= 2
    w, x, y, z = F.normalize(frames, dim=-1).unbind(-1)
    directions = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1)
    return step * directions.cumsum(1)


def rmsd(prediction: Tensor, truth: Tensor) -> float:
    """Root mean squared deviation in angstrom of (L, 3) from (L, 3) after the best proper superposition."""
    x, y = prediction[None], truth[None]
    moved = superpose(x, y, torch.ones(x.shape[:2], dtype=x.dtype))
    return float(((moved - y) ** 2).sum(-1).mean().sqrt())


def lddt(prediction: Tensor, truth: Tensor, radius: float = 15.0) -> float:
    """LDDT of (L, 3) against (L, 3) (Mariani et al. 2013): needs no superposition.

    Share of the distances below ``radius`` (angstrom) in ``truth`` that are kept within 0.5, 1, 2 and 4
    angstrom, averaged over the four and over residues. NaN if no two residues are that near.

    Args:
        prediction: (L, 3) predicted points, in angstrom.
        truth: (L, 3) true points, in angstrom.
        radius: distances below it count, in angstrom.
    """
    near = torch.cdist(truth, truth) < radius
    near.fill_diagonal_(False)
    change = (torch.cdist(prediction, prediction) - torch.cdist(truth, truth)).abs()
    kept = torch.stack([change < t for t in (0.5, 1.0, 2.0, 4.0)]).double().mean(0) * near
    count = near.sum(-1)
    share = kept.sum(-1)[count > 0] / count[count > 0]
    return mean_of(share)


def extend(chain: Floats, length: int) -> Floats:
    """Continue a chain (m, 3) to (length, 3) by copies of itself, each starting a bond behind the last one.

    A shorter length keeps the first residues.

    >>> extend(np.array([[0.0, 0, 0], [2.0, 0, 0]]), 4)[:, 0].tolist()
    [0.0, 2.0, 5.8, 7.8]
    """
    span = chain[-1] - chain[0]
    distance = float(np.linalg.norm(span))
    direction = span / distance if distance > 1e-6 else np.array([1.0, 0.0, 0.0])
    index = np.arange(length)
    shift = span + BOND * direction
    continued: Floats = chain[index % len(chain)] + (index // len(chain))[:, None] * shift
    return continued


def resolved_chains(task: str, target: Tensor) -> list[Floats]:
    """Cut targets (N, L, 4) to chains (m, 3) from the first to the last resolved residue, gaps interpolated.

    Chains of fewer than SHORTEST resolved residues are left out.

    Raises:
        SpecError: no chain is left.
    """
    found = []
    for row in target.double().numpy():
        seen = np.flatnonzero(row[:, 3] > 0)
        if len(seen) >= SHORTEST:
            index = np.arange(seen[0], seen[-1] + 1)
            found.append(np.stack([np.interp(index, seen, row[seen, k]) for k in range(3)], -1))
    if not found:
        raise SpecError(
            f"task '{task}': no training chain has {SHORTEST} resolved residues; no baseline can be fitted"
        )
    return found


def medoid(candidates: list[Floats]) -> Floats:
    """Return the chain with the highest mean TM-score to the others, after resampling all to 64 points.

    One Kabsch superposition a pair, and d0 of the shorter chain.
    """
    grid = np.linspace(0, 1, 64)
    points = [
        np.stack([np.interp(grid, np.linspace(0, 1, len(c)), c[:, k]) for k in range(3)], -1) for c in candidates
    ]
    x = torch.from_numpy(np.stack(points))
    length = torch.tensor([len(c) for c in candidates]).double()
    means = []
    for i in range(len(x)):
        one = x[i].expand_as(x)
        squared = ((superpose(x, one, torch.ones(x.shape[:2], dtype=x.dtype)) - one) ** 2).sum(-1)
        d0 = tm_scale(torch.minimum(length, length[i])).unsqueeze(-1)
        means.append(float((1 / (1 + squared / d0**2)).mean()))
    return candidates[int(np.argmax(means))]


def tm_of(x: Tensor, y: Tensor, known: bool) -> float:
    """TM-score in [0, 1] of x (n, 3) against the reference y (n, 3), both in angstrom, by tmtools.

    Residue i corresponds to residue i where ``known``, else TM-align searches an alignment. NaN for fewer
    than SHORTEST residues; 0 where a coordinate of x is not finite.

    Args:
        x: (n, 3) predicted points, in angstrom.
        y: (n, 3) reference points, in angstrom.
        known: whether residue i of one corresponds to residue i of the other.
    """
    if len(y) < SHORTEST:
        return math.nan
    if not bool(torch.isfinite(x).all()):
        return 0.0
    from tmtools import tm_align  # here, for few processes score chains

    letters = "A" * len(y)
    a, b = x.double().numpy(), y.double().numpy()
    found = tm_align(a, b, letters, letters, [letters, letters]) if known else tm_align(a, b, letters, letters)
    return float(found.tm_norm_chain2)
