"""What an encoder is: a module that maps the packed rows of one modality to tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.carried import Carry
from zoo.contract import ModalitySpec, Tokens
from zoo.errors import SpecError
from zoo.registry import Registry


class Encoder(nn.Module, ABC):
    """Map (N, *spec.shape) to Tokens with values (N, L, dim), mask (N, L) and pooled (N, dim).

    N may be 0. A subclass names the modality kinds it takes in ``kinds``, calls
    ``super().__init__(spec, dim)``, and implements ``embed`` and ``forward``.

    Args:
        spec: the modality.
        dim: D, the width of the tokens.

    Attributes:
        kinds: kinds of modalities that it takes.
        learns: whether ``learn`` is to be given training rows before the first step.
        carried: constructor argument that names a file -> what of it a bundle takes along (see zoo.carried).
    """

    kinds: tuple[str, ...] = ()
    learns: bool = False
    carried: ClassVar[Mapping[str, Carry]] = {}

    def __init__(self, spec: ModalitySpec, dim: int) -> None:
        super().__init__()
        if not self.takes(spec):
            fitting = [name for name in ENCODERS.names() if ENCODERS.get(name).takes(spec)]
            raise SpecError(
                f"{type(self).__name__} takes modalities of kind {self.kinds}, but '{spec.name}' is of kind "
                f"'{spec.kind}'; encoders that take it: {', '.join(fitting) or 'none'}"
            )
        self.spec = spec
        self.dim = dim

    @classmethod
    def takes(cls, spec: ModalitySpec) -> bool:
        """Whether it can encode rows of ``spec``; here where their kind is one of ``kinds``."""
        return spec.kind in cls.kinds

    def learn(self, rows: Tensor) -> None:
        """Take from training rows (M, *shape) what stays fixed then, such as components; here nothing.

        What is taken is kept in buffers, and so in checkpoints.
        """

    @abstractmethod
    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, *shape) to shallow token embeddings (N, L, dim) and mask (N, L), before any trunk.

        This is what EarlyFusion reads: patches, k-mers, genes, words, without deep layers.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> Tokens:
        """Map (N, *shape) to Tokens."""

    def embed_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters that ``embed`` uses; the rest is frozen out of an early-fusion model."""
        probe: dict[int, nn.Parameter] = {}
        dtype = torch.long if self.spec.is_integer else torch.float32
        x = torch.ones((1, *self.spec.shape), dtype=dtype, device=next(self.parameters()).device)
        with torch.enable_grad():
            values, _ = self.embed(x)
            params = [p for p in self.parameters() if p.requires_grad]
            grads = torch.autograd.grad(values.sum(), params, allow_unused=True)
        for p, g in zip(params, grads, strict=True):
            if g is not None:
                probe[id(p)] = p
        return list(probe.values())


ENCODERS: Registry[Encoder] = Registry("encoder", "encoders")
