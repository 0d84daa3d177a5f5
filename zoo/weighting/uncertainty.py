"""Homoscedastic uncertainty weighting (Kendall, Gal and Cipolla, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting


@WEIGHTINGS.register
class UncertaintyWeighting(Weighting):
    """Learn a log-variance s a cell: sum of lambda * (exp(-s) * loss + s / 2) over active cells.

    This is the form that the paper derives for classification (Eq. 10, 1/sigma^2 * L + log sigma), with
    s = log sigma^2; at s = 0 it is the fixed weighting. The minimum over s is at exp(-s) = 1 / (2 loss).
    The base lambda scales both terms, as s would undo a factor on the loss alone.

    An optimizer with momentum or decay also moves entries whose gradient is zero. So the values after a step
    are kept only at cells that were active since the step before; all others are put back at the next
    training forward, and ``table`` shows them as put back.

    Args:
        lambdas: base multipliers; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
        initial: s at the start.
    """

    settled: Tensor
    touched: Tensor

    def __init__(self, *, lambdas: Lambdas | None = None, default: float = 1.0, initial: float = 0.0) -> None:
        super().__init__(lambdas=lambdas, default=default)
        self.initial = initial

    def bind(self, tasks: Sequence[str], streams: Sequence[str], cells: Mapping[tuple[str, str], bool]) -> None:
        """Make the table and the log-variances (T, S)."""
        super().bind(tasks, streams, cells)
        self.log_variance = nn.Parameter(torch.full_like(self.lambdas, self.initial))
        self.register_buffer("settled", torch.full_like(self.lambdas, self.initial))
        self.register_buffer("touched", torch.zeros_like(self.exists))

    def _kept(self) -> Tensor:
        return torch.where(self.touched, self.log_variance.detach(), self.settled)

    @torch.no_grad()
    def _settle(self, active: Tensor) -> None:
        kept = self._kept()
        # Cells gather over forwards until a step has moved something (gradient accumulation).
        stepped = (self.log_variance != self.settled).any()
        self.touched.copy_(active | (self.touched & ~stepped))
        self.settled.copy_(kept)
        self.log_variance.copy_(kept)

    def total(self, losses: Tensor, active: Tensor) -> Tensor:
        """Sum lambda * (exp(-s) * loss + s / 2) over the active cells of (T, S)."""
        if self.training:
            self._settle(active)
        s = self.log_variance if self.training else self._kept()
        return torch.where(active, self.lambdas * (torch.exp(-s) * losses + s / 2), 0.0).sum()

    def multipliers(self) -> Tensor:
        """The effective weights lambda * exp(-s), (T, S)."""
        return self.lambdas * torch.exp(-self._kept())
