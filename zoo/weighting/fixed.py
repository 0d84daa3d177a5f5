"""Fixed weights: domain knowledge written in YAML."""

from __future__ import annotations

from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting


@WEIGHTINGS.register
class FixedWeighting(Weighting):
    """Keep lambda[t, s] as given.

    Args:
        lambdas: ``{bone_age: 2.0, disease: {ct: 0.5, fused: 1}}``; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.

    >>> import torch
    >>> weighting = FixedWeighting(lambdas={"age": 2.0})
    >>> weighting.bind(["age", "sex"], ["fused"], {("age", "fused"): True, ("sex", "fused"): True})
    >>> weighting(torch.tensor([[3.0], [float("nan")]]), torch.tensor([[True], [False]]))
    tensor(6.)
    """

    def __init__(self, *, lambdas: Lambdas | None = None, default: float = 1.0) -> None:
        super().__init__(lambdas=lambdas, default=default)
