"""Losses of predicted chains: of coordinates after superposition, and of the local shape of a walk."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.tasks.chains import BOND, superpose, tm_scale


def row_loss(x: Tensor, target: Tensor) -> Tensor:
    """Return the (N,) losses of coordinates x (N, L, 3) in angstrom against targets (N, L, 4).

    After the best proper rotation (Kabsch 1976; the rotation is held constant in the gradient, which for a
    minimum over rotations leaves it exact), over resolved residues, the sum of

    - mean distance / 10 angstrom, with distances smoothed by 0.1 angstrom at zero: pulls from far away;
    - 1 - TM-score (Zhang and Skolnick 2004, eq. 1) with d0 of at least 2 angstrom: rewards the last angstroms;
    - 0.05 x mean squared deviation of consecutive C-alpha distances, both resolved, from 3.8 angstrom.

    Rotations and translations of either side change nothing; a mirror image costs, for the rotation is proper.
    A row without a resolved residue has loss 0.

    Frame-aligned point error brought nothing beside it, and its cost grows with the square of L (docs/decisions).
    """
    x, seen = x.float(), (target[..., 3] > 0).float()
    truth = torch.where(seen.unsqueeze(-1) > 0, target[..., :3].float(), 0.0)
    squared = ((superpose(x, truth, seen) - truth) ** 2).sum(-1)
    count = seen.sum(-1).clamp_min(1.0)
    far = ((squared + 0.01).sqrt() - 0.1) / 10
    close = squared / (squared + tm_scale(count).clamp_min(2.0).unsqueeze(-1) ** 2)
    both = seen[:, 1:] * seen[:, :-1]
    step = (((x[:, 1:] - x[:, :-1]) ** 2).sum(-1) + 1e-4).sqrt()
    bond = ((step - BOND) ** 2 * both).sum(-1) / both.sum(-1).clamp_min(1.0)
    return ((far + close) * seen).sum(-1) / count + 0.05 * bond


def local_shape(x: Tensor) -> Tensor:
    """Map coordinates (N, L, 3) to the shape (N, L - 4, 4) of each window of five residues; none if L < 5.

    Distances from its first residue to the third, fourth and fifth, divided by BOND, and the triple product
    of its first three steps, divided by BOND cubed, whose sign tells a turn from its mirror image.
    """
    windows = max(x.shape[1] - 4, 0)
    step = x[:, 1:] - x[:, :-1]
    apart = [(((x[:, k:] - x[:, :-k]) ** 2).sum(-1) + 1e-4).sqrt()[:, :windows] / BOND for k in (2, 3, 4)]
    twist = (torch.linalg.cross(step[:, :-2], step[:, 1:-1]) * step[:, 2:]).sum(-1)[:, :windows] / BOND**3
    return torch.stack([*apart, twist], -1)


def local_loss(x: Tensor, target: Tensor) -> Tensor:
    """Return the (N,) mean squared differences of ``local_shape`` of x (N, L, 3) and of targets (N, L, 4).

    Over windows of five resolved residues whose steps are within 1 angstrom of BOND, which leaves out those
    that span a break of the chain; 0 for a row that has none. Without it a short training does not find the turns
    (docs/decisions).
    """
    x, seen = x.float(), target[..., 3] > 0
    truth = torch.where(seen.unsqueeze(-1), target[..., :3].float(), 0.0)
    step = torch.linalg.vector_norm(truth[:, 1:] - truth[:, :-1], dim=-1)
    joined = seen[:, 1:] & seen[:, :-1] & ((step - BOND).abs() < 1.0)
    whole = (joined[:, :-3] & joined[:, 1:-2] & joined[:, 2:-1] & joined[:, 3:]).float()
    squared = ((local_shape(x) - local_shape(truth)) ** 2).sum(-1)
    loss: Tensor = (squared * whole).sum(-1) / whole.sum(-1).clamp_min(1.0)
    return loss
