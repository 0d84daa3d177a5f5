"""Dynamic weight average (Liu, Johns and Davison, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting

_TINY = 1e-8


@WEIGHTINGS.register
class DWAWeighting(Weighting):
    """Weigh a cell by how slowly its loss falls: K * softmax_k(w_k / temperature), w = L(e-1) / L(e-2).

    L(e) is the mean training loss of epoch e. The softmax runs over the K cells that were active in the epoch
    just ended and have two epochs of losses; the others keep their weight (1 at the start), and an epoch
    without rows of a cell is skipped in that cell's history.

    Args:
        lambdas: base multipliers; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
        temperature: larger is closer to equal weights; 2 in the paper.
    """

    history: Tensor
    seen: Tensor
    weights: Tensor

    def __init__(self, *, lambdas: Lambdas | None = None, default: float = 1.0, temperature: float = 2.0) -> None:
        super().__init__(lambdas=lambdas, default=default)
        if not temperature > 0:
            raise SpecError(f"DWAWeighting: temperature must be positive, got {temperature}")
        self.temperature = temperature

    def bind(self, tasks: Sequence[str], streams: Sequence[str], cells: Mapping[tuple[str, str], bool]) -> None:
        """Make the table, the history (2, T, S) and the weights (T, S)."""
        super().bind(tasks, streams, cells)
        self.register_buffer("history", torch.zeros(2, *self.lambdas.shape))
        self.register_buffer("seen", torch.zeros_like(self.exists, dtype=torch.long))
        self.register_buffer("weights", torch.ones_like(self.lambdas))

    @torch.no_grad()
    def on_train_epoch_end(self, mean_losses: Tensor, active: Tensor) -> None:
        """Take in the mean losses (T, S) of an epoch and renew the weights of its active cells.

        Raises:
            SpecError: the mean loss of an active cell is not finite.
        """
        active = self.usable(mean_losses, active)
        mean = torch.where(active, mean_losses.detach().float(), 0.0)
        for t, s in (~torch.isfinite(mean)).nonzero().tolist():
            raise SpecError(
                f"DWAWeighting: the mean loss of ('{self.tasks[t]}', '{self.streams[s]}') is {float(mean[t, s])}; "
                "training has diverged"
            )
        self.history[0] = torch.where(active, self.history[1], self.history[0])
        self.history[1] = torch.where(active, mean, self.history[1])
        self.seen += active.long()
        ready = active & (self.seen >= 2)
        rate = self.history[1] / self.history[0].clamp_min(_TINY)
        if bool(ready.any()):
            share = (rate[ready] / self.temperature).softmax(0)
            self.weights[ready] = share * len(share)

    def multipliers(self) -> Tensor:
        """The effective weights (T, S)."""
        return self.lambdas * self.weights
