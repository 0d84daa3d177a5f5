"""What a fusion is: a module that turns the tokens of the modalities into one vector a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.contract import FUSED, Tokens
from zoo.errors import SpecError
from zoo.registry import Registry


@dataclass
class Streams:
    """What a fusion returns.

    Attributes:
        vectors: stream -> (B, D); rows where the stream is unavailable are zero.
        available: stream -> (B,) bool.
    """

    vectors: dict[str, Tensor]
    available: dict[str, Tensor]


class Fusion(nn.Module, ABC):
    """Turn packed tokens into streams.

    Args:
        dims: modality -> width of its tokens. The order fixes the order of parameters, nothing else.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: also expose every modality as a stream of its own beside ``fused``.

    A missing modality is represented by a learned token, never by zeros, and no result depends on what
    other rows of the batch hold.
    """

    reads_embeddings: bool = False
    """Whether the module feeds ``Encoder.embed`` (early fusion) instead of ``Encoder.forward``."""

    def __init__(self, dims: dict[str, int], dim: int = 0, auxiliary: bool = False) -> None:
        super().__init__()
        if not dims:
            raise SpecError(f"{type(self).__name__} needs at least one modality")
        self.dims = dict(dims)
        self.modalities = tuple(dims)
        self.dim = dim or max(dims.values())
        self.auxiliary = auxiliary

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The streams, in the order of the lambda table."""
        return (FUSED, *self.modalities) if self.auxiliary else (FUSED,)

    @abstractmethod
    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens (N_m rows each) and masks (B,) to Streams.

        ``tokens`` may lack a modality that ``dims`` names; it then counts as absent everywhere.
        """

    def stream_weights(self, task: str) -> Tensor:
        """(S,) non-negative weights with which predictions of the streams are combined.

        With a fused stream the prediction is the fused one; LateFusion overrides this.
        """
        weights = torch.zeros(len(self.stream_names))
        weights[0] = 1.0
        return weights

    @property
    def voting(self) -> bool:
        """Whether predictions are combined by votes instead of averages."""
        return False

    @property
    def trains_combination(self) -> bool:
        """Whether ``stream_weights`` is learned, and so needs a loss on the combined prediction."""
        return False

    def bind(self, tasks: Sequence[str]) -> None:
        """Learn the names of the tasks; called once after construction. Most fusions need nothing."""


def scatter(values: Tensor, present: Tensor) -> Tensor:
    """Place packed (N, ...) rows at the True positions of ``present`` (B,), zeros elsewhere: (B, ...).

    >>> scatter(torch.tensor([[5.0]]), torch.tensor([False, True])).tolist()
    [[0.0], [5.0]]
    """
    full = values.new_zeros((len(present), *values.shape[1:]))
    index = present.nonzero().squeeze(1)
    return full.index_copy(0, index, values)


FUSIONS: Registry[Fusion] = Registry("fusion", "fusion")
