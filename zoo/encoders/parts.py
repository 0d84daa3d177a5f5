"""Parts that several encoders share: the transformer trunk, masks, positions and local weight files."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.contract import PAD
from zoo.errors import SpecError

UNKNOWN_KMER = 1
"""Id of a k-mer that holds an unknown nucleotide; id 0 is a k-mer that holds padding."""
BASES = 4


def check_heads(owner: str, dim: int, heads: int, even: bool = False) -> None:
    """Refuse a width that does not split into heads.

    Args:
        owner: class name for the message.
        dim: width of the tokens.
        heads: number of attention heads.
        even: whether a head must also have an even width (rotary positions).

    Raises:
        SpecError: ``dim`` is not a multiple of ``heads`` (of ``2 * heads`` where ``even``).
    """
    step = heads * (2 if even else 1)
    if heads < 1 or dim < 1 or dim % step:
        raise SpecError(f"{owner}: dim={dim} is not a multiple of {step} for heads={heads}; change one of them")


def some_token(mask: Tensor) -> Tensor:
    """Mark the first token of rows of (N, L) ``mask`` that mark none, so that attention has a token to read.

    >>> some_token(torch.tensor([[False, False], [True, True]])).tolist()
    [[True, False], [True, True]]
    """
    first = torch.zeros_like(mask)
    first[:, :1] = True
    return mask | (first & ~mask.any(1, keepdim=True))


def distinct_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Find the rows of (N, F) codes that differ, so that an encoder runs once on each.

    Returns:
        The distinct rows (M, F), and for each of the N rows which of them it is.

    >>> rows, which = distinct_rows(torch.tensor([[1, 2], [3, 4], [1, 2]]))
    >>> rows[which].tolist(), len(rows)
    ([[1, 2], [3, 4], [1, 2]], 2)
    """
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-(2**62), 2**62, (x.shape[1],), generator=generator).to(x.device)
    keys, which = torch.unique((x * weights).sum(1), return_inverse=True)
    place = torch.arange(len(x), device=x.device)
    first = torch.full_like(keys, len(x)).scatter_reduce(0, which, place, "amin")
    rows = x[first]
    return (rows, which) if torch.equal(rows[which], x) else (x, place)


def kmer_ids(codes: Tensor, k: int, stride: int = 1) -> Tensor:
    """Map (N, L) nucleotide codes to (N, (L - k) // stride + 1) ids of overlapping k-mers.

    The first nucleotide is the most significant digit: AA..A is 2 and TT..T is 4**k + 1.

    Args:
        codes: 0 padding, 1..4 A, C, G, T, 5 unknown.
        k: letters in a k-mer.
        stride: letters between the starts of two k-mers.

    >>> kmer_ids(torch.tensor([[1, 1, 4, 5, 1, 0]]), 2).tolist()
    [[2, 5, 1, 1, 0]]
    """
    windows = codes.unfold(1, k, stride)
    digits = BASES ** torch.arange(k - 1, -1, -1, device=codes.device)
    ids = ((windows - 1) * digits).sum(-1) + 2
    ids = torch.where((windows > BASES).any(-1), UNKNOWN_KMER, ids)
    return torch.where((windows == PAD).any(-1), PAD, ids)


def sinusoid(length: int, dim: int) -> Tensor:
    """Make the (length, dim) sine and cosine positions of Vaswani et al. 2017, section 3.5."""
    angle = torch.arange(length).unsqueeze(1) * torch.exp(torch.arange(0, dim, 2) * (-math.log(1e4) / dim))
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :dim].contiguous()


def project(width: int, dim: int) -> nn.Module:
    """Make a linear map from ``width`` to ``dim``, or nothing where they agree."""
    return nn.Identity() if width == dim else nn.Linear(width, dim)


def read_weights(owner: str, path: str) -> dict[str, Tensor]:
    """Read a local .safetensors file.

    Args:
        owner: class name for the message.
        path: the file.

    Raises:
        SpecError: no such file, another kind of file, or one that is damaged.
    """
    file = Path(path)
    if file.suffix != ".safetensors" or not file.is_file():
        raise SpecError(
            f"{owner}: pretrained={path!r} is not an existing .safetensors file. Give the path of one, or '' for "
            "random weights; pickled files (.pt, .pth, .bin) are not read: convert them with safetensors first"
        )
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise SpecError(f"{owner}: pretrained={path!r} cannot be read as safetensors: {error}") from error


def fill(owner: str, module: nn.Module, weights: dict[str, Tensor], path: str) -> None:
    """Load ``weights`` into ``module``; every name and shape must agree.

    Args:
        owner: what the weights are for, for errors.
        module: whose parameters are set.
        weights: name of a parameter or buffer -> its value.
        path: where the weights came from, for errors.

    Raises:
        SpecError: a name or a shape differs; the first ones are listed.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        lines = " ".join(str(error).split())
        raise SpecError(
            f"{owner}: the weights of pretrained={path!r} do not fit this architecture: {lines[:600]}. "
            "Set dim, depth and the other sizes to those of the file"
        ) from error


def load_own(module: nn.Module, path: str) -> None:
    """Load the encoder's own state dict from a local .safetensors file; "" loads nothing.

    Raises:
        SpecError: see ``read_weights`` and ``fill``.
    """
    if path:
        owner = type(module).__name__
        fill(owner, module, read_weights(owner, path), path)


class Trunk(nn.Module):
    """Pre-norm transformer of timm blocks (scaled dot-product attention, GELU) with a final LayerNorm.

    Args:
        dim: D, width of the tokens.
        depth: number of blocks; 0 leaves only the norm.
        heads: attention heads; D must be a multiple (see ``check_heads``).
        mlp_ratio: hidden width of the MLP over D.
        dropout: rate in attention, after attention and in the MLP.
    """

    def __init__(
        self, dim: int, depth: int = 2, heads: int = 4, mlp_ratio: float = 2.0, dropout: float = 0.0
    ) -> None:
        from timm.models.vision_transformer import Block  # here, as importing timm takes seconds

        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, heads, mlp_ratio, qkv_bias=True, proj_drop=dropout, attn_drop=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, L, D) to (N, L, D). Tokens attend to those where ``mask`` (N, L) is True, at least one a row."""
        pairs = None if mask is None else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, attn_mask=pairs)
        return self.norm(x)  # type: ignore[no-any-return]
