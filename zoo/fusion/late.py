"""Late fusion: one stream a modality, combined at the predictions (MultiMed, Eq. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from zoo.contract import FUSED, Tokens
from zoo.errors import SpecError, unknown_name
from zoo.fusion.base import FUSIONS, Fusion, Streams, scatter

TOKEN_SCALE = 0.02
"""Standard deviation of learned tokens at the start."""

Combine = Literal["average", "learned", "voting"]
"""How late fusion combines the predictions of its streams."""


def presence(order: Sequence[str], tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> Tensor:
    """Stack the masks of ``order`` to (B, M) bool; a modality that ``tokens`` lacks is absent everywhere.

    Args:
        order: names of the modalities, in the order of the columns.
        tokens: modality -> tokens of its packed rows.
        present: modality -> (B,) True where a row has it.

    Raises:
        SpecError: tokens of a modality that the fusion was not made for, tokens without a mask, or no mask.
    """
    for name in tokens:
        if name not in order:
            raise SpecError(f"tokens of modality '{name}' do not fit this fusion, which was made for {tuple(order)}")
        if name not in present:
            raise SpecError(f"tokens of modality '{name}' come without a mask of rows; masks: {tuple(present)}")
    masks = list(present.values())
    if not masks:
        raise SpecError("a fusion needs the mask of at least one modality to know the number of rows; got none")
    absent = torch.zeros_like(masks[0])
    return torch.stack([present[m] if m in tokens else absent for m in order], 1)


class ModalityVectors(nn.Module):
    """Project the pooled vector of every modality to one width and place it at its row of the batch.

    Modalities are held in sorted order, so that nothing depends on the order of ``dims``.

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of the result.
        missing: also hold a learned token for every modality, which ``fill`` puts where it is absent.
    """

    def __init__(self, dims: Mapping[str, int], dim: int, missing: bool) -> None:
        super().__init__()
        self.order = tuple(sorted(dims))
        self.project = nn.ModuleDict({m: nn.Linear(dims[m], dim) for m in self.order})
        self.missing = nn.Parameter(torch.randn(len(self.order), dim) * TOKEN_SCALE) if missing else None

    def forward(self, tokens: Mapping[str, Tokens], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Map packed Tokens and masks (B,) to vectors (B, M, D), zeros where absent, and presence (B, M)."""
        mask = presence(self.order, tokens, present)
        columns = []
        for i, name in enumerate(self.order):
            layer = cast(nn.Linear, self.project[name])
            # A modality without rows still runs, on no rows, so that its parameters join the graph (DDP).
            pooled = tokens[name].pooled if name in tokens else layer.weight.new_zeros((0, layer.in_features))
            columns.append(scatter(layer(pooled), mask[:, i]))
        return torch.stack(columns, 1), mask

    def fill(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Put the learned tokens into (B, M, D) where ``mask`` (B, M) is False."""
        if self.missing is None:
            raise SpecError("ModalityVectors was made with missing=False and holds no tokens to fill with")
        return torch.where(mask.unsqueeze(-1), vectors, self.missing.to(vectors.dtype))

    def streams(self, vectors: Tensor, mask: Tensor) -> Streams:
        """Present (B, M, D) and (B, M) as one stream a modality."""
        return Streams(
            {m: vectors[:, i] for i, m in enumerate(self.order)}, {m: mask[:, i] for i, m in enumerate(self.order)}
        )


def with_auxiliary(fused: Tensor, mask: Tensor, auxiliary: Streams | None) -> Streams:
    """Make Streams of the fused vectors (B, D), zero in rows where ``mask`` (B, M) has no modality.

    Args:
        fused: (B, D) vectors of the fused stream.
        mask: (B, M) True where a row has a modality.
        auxiliary: streams of single modalities to add; None for none.
    """
    available = mask.any(1)
    streams = Streams({FUSED: fused.masked_fill(~available.unsqueeze(1), 0.0)}, {FUSED: available})
    if auxiliary is not None:
        streams.vectors.update(auxiliary.vectors)
        streams.available.update(auxiliary.available)
    return streams


@FUSIONS.register
class LateFusion(Fusion):
    """Give every modality its own stream; heads predict from each, and the predictions are combined.

    A modality that a row lacks has no part in that row's prediction: what is averaged are the streams that
    are there. Late fusion cannot represent interactions between modalities (such as XOR).

    Args:
        dims: modality -> width of its tokens.
        dim: D, the width of every stream; 0 takes the largest of ``dims``.
        auxiliary: without effect here, as the modalities are the streams already.
        combine: "average" gives streams equal weight; "learned" trains a softmax weight a task and stream on
            the combined prediction; "voting" lets every stream cast one vote.
    """

    def __init__(
        self, dims: dict[str, int], *, dim: int = 0, auxiliary: bool = False, combine: Combine = "average"
    ) -> None:
        super().__init__(dims, dim, auxiliary)
        if combine not in get_args(Combine):
            raise unknown_name("way to combine streams", combine, get_args(Combine))
        self.combine = combine
        self.vectors = ModalityVectors(dims, self.dim, missing=False)
        self.tasks: tuple[str, ...] = ()
        self.combination: nn.Parameter | None = None
        self._columns = [self.vectors.order.index(m) for m in self.modalities]

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The modalities."""
        return self.modalities

    @property
    def voting(self) -> bool:
        """Whether predictions are combined by votes instead of averages."""
        return self.combine == "voting"

    @property
    def trains_combination(self) -> bool:
        """Whether ``stream_weights`` is learned, and so needs a loss on the combined prediction."""
        return self.combine == "learned"

    def bind(self, tasks: Sequence[str]) -> None:
        """Make the (T, M) logits of the learned weights, all zero: equal weights at the start.

        Raises:
            SpecError: two tasks share a name.
        """
        if len(set(tasks)) != len(tasks):
            raise SpecError(f"LateFusion: task names repeat: {tuple(tasks)}")
        self.tasks = tuple(tasks)
        if self.trains_combination:
            device = next(self.vectors.parameters()).device
            self.combination = nn.Parameter(torch.zeros(len(tasks), len(self.modalities), device=device))

    def stream_weights(self, task: str) -> Tensor:
        """(S,) non-negative weights that sum to 1, in the order of ``stream_names``.

        Raises:
            SpecError: learned weights before ``bind``.
            UnknownNameError: learned weights of a task that ``bind`` did not name.
        """
        if not self.trains_combination:
            device = next(self.vectors.parameters()).device
            return torch.full((len(self.modalities),), 1.0 / len(self.modalities), device=device)
        if self.combination is None:
            raise SpecError("LateFusion(combine='learned') does not know its tasks yet; call bind(tasks) first")
        if task not in self.tasks:
            raise unknown_name("task", task, self.tasks)
        return self.combination[self.tasks.index(task)].softmax(0)[self._columns]

    def forward(self, tokens: dict[str, Tokens], present: dict[str, Tensor]) -> Streams:
        """Map packed Tokens and masks (B,) to one stream (B, D) a modality."""
        return self.vectors.streams(*self.vectors(tokens, present))
