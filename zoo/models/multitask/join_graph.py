"""JoinGraph: an edge in the graph for every parameter, whether or not a row reached it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class JoinGraph(torch.autograd.Function):
    """Pass a loss on, and give every parameter an edge in the graph at no cost.

    DDP waits for each parameter of each rank. An encoder without rows has no edge of its own; here it gets
    one whose gradient is undefined, which DDP counts as zero.
    """

    @staticmethod
    def forward(ctx: Any, loss: Tensor, *parameters: Tensor) -> Tensor:
        """Pass the loss on."""
        ctx.count = len(parameters)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give the loss its gradient, and every parameter an undefined one."""
        return (grad, *([None] * ctx.count))
