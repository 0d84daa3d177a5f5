"""Performance feedback: more weight for the tasks whose validation skill lags (MultiMed, section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.errors import SpecError, unknown_name
from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting


@WEIGHTINGS.register
class FeedbackWeighting(Weighting):
    """Raise lambda_t where task t lags: exp((mean skill - skill_t) / temperature), scaled to mean 1.

    The paper says that lambda is "adjusted dynamically by performance feedback" and no more; this is our
    reading. Skill is 0 for the trivial baseline and 1 for perfect, so tasks with different metrics compare.
    The new weights are w = momentum * w + (1 - momentum) * target, then clipped to [low, high]. Tasks
    without a score (missing or NaN) keep their weight. All streams of a task share its weight.

    Args:
        lambdas: base multipliers; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
        temperature: skill difference that changes a weight by a factor of e.
        momentum: share of the old weight that is kept, in [0, 1).
        low: smallest weight.
        high: largest weight.
    """

    weights: Tensor

    def __init__(
        self,
        *,
        lambdas: Lambdas | None = None,
        default: float = 1.0,
        temperature: float = 0.5,
        momentum: float = 0.5,
        low: float = 0.2,
        high: float = 5.0,
    ) -> None:
        super().__init__(lambdas=lambdas, default=default)
        if not temperature > 0:
            raise SpecError(f"FeedbackWeighting: temperature must be positive, got {temperature}")
        if not 0 <= momentum < 1:
            raise SpecError(f"FeedbackWeighting: momentum must be in [0, 1), got {momentum}")
        if not 0 < low <= 1 <= high:
            raise SpecError(f"FeedbackWeighting: needs 0 < low <= 1 <= high, got low {low} and high {high}")
        self.temperature, self.momentum, self.low, self.high = temperature, momentum, low, high

    def bind(self, tasks: Sequence[str], streams: Sequence[str], cells: Mapping[tuple[str, str], bool]) -> None:
        """Make the table and the task weights (T,), all one."""
        super().bind(tasks, streams, cells)
        self.register_buffer("weights", torch.ones(len(tasks)))

    @torch.no_grad()
    def on_validation_end(self, scores: Mapping[str, float]) -> None:
        """Take in skills: task -> 0 for the trivial baseline, 1 for perfect.

        Raises:
            UnknownNameError: a score of a task that ``bind`` did not name.
        """
        self.check_bound()
        for task in scores:
            if task not in self.tasks:
                raise unknown_name("task", task, self.tasks)
        known = [i for i, t in enumerate(self.tasks) if math.isfinite(scores.get(t, math.nan))]
        if not known:
            return
        skill = torch.tensor([scores[self.tasks[i]] for i in known], device=self.weights.device)
        target = (-skill / self.temperature).softmax(0) * len(known)  # the mean skill cancels in the scaling
        mixed = self.momentum * self.weights[known] + (1 - self.momentum) * target
        self.weights[known] = mixed.clamp(self.low, self.high)

    def multipliers(self) -> Tensor:
        """The effective weights (T, S)."""
        return self.lambdas * self.weights.unsqueeze(1)
