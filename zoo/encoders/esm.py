"""ESMEncoder: the ESM C protein language model at any size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.carried import Box
from zoo.contract import AMINO_ACIDS, PAD, ModalitySpec, Tokens, masked_mean
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import check_heads, fill, project, read_weights, sinusoid, some_token
from zoo.errors import SpecError

PUBLISHED = {"esmc_300m": (960, 30, 15), "esmc_600m": (1152, 36, 18)}
"""Name -> width, blocks and attention heads of the published models."""
PUBLISHED_HEADS = {width: heads for width, _, heads in PUBLISHED.values()}
"""Width -> attention heads, which a weight file does not state."""


def _new(dim: int, depth: int, heads: int) -> tuple[Any, Any]:
    """Make an ESM C of random weights, and its tokenizer."""
    from esm.models.esmc import ESMC
    from esm.tokenization import EsmSequenceTokenizer

    tokenizer = EsmSequenceTokenizer()
    model = ESMC(d_model=dim, n_heads=heads, n_layers=depth, tokenizer=tokenizer, use_flash_attn=False)
    return model, tokenizer


def _published(name: str) -> tuple[Any, Any]:
    """Load a published ESM C by the library's own loader, which reads the hub or its cache."""
    from esm.models.esmc import ESMC
    from esm.tokenization import EsmSequenceTokenizer

    try:
        model = ESMC.from_pretrained(name, device=torch.device("cpu"))
    except Exception as error:
        raise SpecError(
            f"ESMEncoder: the weights of pretrained='{name}' were not found: {type(error).__name__}: "
            f"{str(error)[:300]}. Unset HF_HUB_OFFLINE to download them, point HF_HOME at a cache that has them, "
            "give a local .safetensors file of an ESMC state dict, or '' for random weights"
        ) from error
    return model, EsmSequenceTokenizer()


def _sizes(weights: Mapping[str, Tensor], path: str, heads: int) -> tuple[int, int, int]:
    """Width, blocks and attention heads of an ESMC state dict; heads are as given where the width is unknown."""
    blocks = {m[1] for m in (re.match(r"transformer\.blocks\.(\d+)\.", name) for name in weights) if m}
    if "embed.weight" not in weights or not blocks:
        raise SpecError(
            f"ESMEncoder: pretrained={path!r} is not an ESMC state dict: it lacks 'embed.weight' or "
            f"'transformer.blocks.*'; its names begin with {sorted(weights)[:3]}"
        )
    width = int(weights["embed.weight"].shape[1])
    return width, len(blocks), PUBLISHED_HEADS.get(width, heads)


def name_sizes(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """State the sizes of pretrained weights, which are those of the trained model; see zoo.carried.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.
    """
    path, heads = str(arguments[name]), int(arguments.get("heads", 4))
    sizes = PUBLISHED.get(path) or _sizes(read_weights("ESMEncoder", path), path, heads)
    return {name: "", **dict(zip(("width", "depth", "heads"), sizes, strict=True))}


def _from_file(path: str, heads: int) -> tuple[Any, Any, int]:
    """Load an ESMC state dict from a .safetensors file; width and depth are read from it."""
    weights = read_weights("ESMEncoder", path)
    width, depth, heads = _sizes(weights, path, heads)
    check_heads("ESMEncoder", width, heads, even=True)
    model, tokenizer = _new(width, depth, heads)
    fill("ESMEncoder", model, weights, path)
    return model, tokenizer, width


@ENCODERS.register
class ESMEncoder(Encoder):
    """Map (N, L) amino acid codes to (N, L, D), one token a residue.

    The model is ``ESMC`` of the package ``esm`` (EvolutionaryScale 2024): pre-norm blocks with rotary
    positions and SwiGLU. Begin and end tokens are added around each row's residues and removed again.
    The pooled vector is the mean over real residues.

    Args:
        spec: a modality of kind protein.
        dim: D, width of the tokens, and of the model unless ``pretrained`` or ``width`` says another.
        depth: blocks (unused with ``pretrained``, whose weights say it).
        heads: attention heads (unused with published weights); D must be a multiple of 2 * heads.
        dropout: rate on the tokens that come out; ESM C itself has none.
        pretrained: "esmc_300m" or "esmc_600m" (the library's loader), a local .safetensors file of an
            ESMC state dict, or "" for random weights. A linear map brings another width to D.
        width: of the model with random weights; 0 for D.

    Raises:
        SpecError: the weights are not found or do not fit.
    """

    kinds = ("protein",)
    carried = {"pretrained": name_sizes}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        width: int = 0,
    ) -> None:
        super().__init__(spec, dim)
        width = width or dim
        if pretrained in PUBLISHED:
            self.model, tokenizer = _published(pretrained)
            width = int(self.model.embed.weight.shape[1])
        elif pretrained:
            self.model, tokenizer, width = _from_file(pretrained, heads)
        else:
            check_heads("ESMEncoder", width, heads, even=True)
            self.model, tokenizer = _new(width, depth, heads)
            nn.init.normal_(self.model.embed.weight, std=0.5)
        self.model.sequence_head = nn.Identity()  # language model head, unused
        self.model.train()
        self.pad, self.begin, self.end = (
            int(getattr(tokenizer, f"{name}_token_id")) for name in ("pad", "cls", "eos")
        )
        ids = [self.pad, *(int(i) for i in tokenizer.convert_tokens_to_ids(list(AMINO_ACIDS)))]
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        self.register_buffer("positions", sinusoid(spec.shape[0], dim), persistent=False)
        self.project = project(width, dim)
        self.drop = nn.Dropout(dropout)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to residue embeddings plus sine positions (N, L, D), and mask (N, L).

        The model itself has rotary positions; what reads ``embed`` alone has none, hence the sines.
        """
        values = self.project(self.model.embed(self.get_buffer("ids")[x]))
        return values + self.get_buffer("positions"), some_token(x != PAD)

    def tokens(self, x: Tensor) -> Tensor:
        """Map (N, L) codes to (N, L + 2) ESM ids: begin, residues, end, padding."""
        ids = x.new_full((len(x), x.shape[1] + 2), self.pad)
        ids[:, 0] = self.begin
        ids[:, 1:-1] = self.get_buffer("ids")[x]
        return ids.scatter(1, (x != PAD).sum(1, keepdim=True) + 1, self.end)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) codes to Tokens of L residues a row."""
        hidden = self.model(sequence_tokens=self.tokens(x)).embeddings[:, 1:-1]
        values = self.drop(self.project(hidden))
        mask = some_token(x != PAD)
        return Tokens(values, mask, masked_mean(values, mask))
