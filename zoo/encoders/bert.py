"""BERTEncoder: a BERT of the library transformers, at any size or with real weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.contract import PAD, ModalitySpec, Tokens, masked_mean
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import check_heads, project, some_token
from zoo.errors import SpecError


def _new(spec: ModalitySpec, dim: int, depth: int, heads: int, dropout: float, mlp_ratio: float) -> Any:
    """Make a BERT of random weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=spec.vocab_size,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=int(dim * mlp_ratio),
        max_position_embeddings=spec.shape[0],
        type_vocab_size=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=PAD,
    )
    return BertModel(config, add_pooling_layer=False)


def _published(spec: ModalitySpec, name: str) -> Any:
    """Load a BERT-like model from a local folder or by its repository name, safetensors only."""
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise SpecError(
            f"BERTEncoder: the weights of pretrained={name!r} were not found or cannot be read: "
            f"{' '.join(str(error).split())[:300]}. Give a local folder with config.json and model.safetensors, "
            "or a repository name (unset HF_HUB_OFFLINE to download, or point HF_HOME at a cache that has it), "
            "or '' for random weights"
        ) from error
    config = model.config
    words, length = int(config.vocab_size), int(getattr(config, "max_position_embeddings", spec.shape[0]))
    if not isinstance(getattr(model, "embeddings", None), nn.Module):
        raise SpecError(
            f"BERTEncoder: pretrained={name!r} is a {type(model).__name__}, which has no module 'embeddings'; "
            "take a BERT-like encoder (BERT, RoBERTa, DistilBERT, ELECTRA)"
        )
    if spec.vocab_size > words or spec.shape[0] > length:
        raise SpecError(
            f"BERTEncoder: '{spec.name}' has {spec.vocab_size} codes and length {spec.shape[0]}, but "
            f"pretrained={name!r} takes {words} codes and length {length}; use its tokenizer and a shorter length"
        )
    pad = getattr(config, "pad_token_id", PAD)
    if pad not in (None, PAD):
        raise SpecError(
            f"BERTEncoder: pretrained={name!r} pads with code {pad}, the zoo with {PAD}; take a model that pads with "
            f"{PAD}, such as the BERT family"
        )
    if hasattr(model, "pooler"):
        model.pooler = None
    return model


@ENCODERS.register
class BERTEncoder(Encoder):
    """Map (N, L) token codes to (N, L, D), one token a word piece (BERT: Devlin et al. 2019).

    The pooled vector is the mean over real tokens.

    Args:
        spec: a modality of kind text.
        dim: D, width of the tokens, and of the model unless ``pretrained``.
        depth, heads, dropout, mlp_ratio: blocks, attention heads, dropout rate and hidden width of the MLP
            over D. With ``pretrained`` all four come from its configuration.
        pretrained: a local folder (config.json and model.safetensors), a repository name, or "" for random
            weights. A linear map brings another width to D.

    Raises:
        SpecError: the weights are not found, or do not fit the vocabulary, length or padding code.
    """

    kinds = ("text",)

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__(spec, dim)
        if pretrained:
            self.model = _published(spec, pretrained)
        else:
            check_heads("BERTEncoder", dim, heads)
            self.model = _new(spec, dim, depth, heads, dropout, mlp_ratio)
        self.model.train()
        self.project = project(int(self.model.config.hidden_size), dim)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to word embeddings with positions (N, L, D) and mask (N, L)."""
        return self.project(self.model.embeddings(x)), some_token(x != PAD)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) codes to Tokens of L word pieces a row."""
        from transformers import BertModel

        mask = some_token(x != PAD)
        if isinstance(self.model, BertModel):  # not through its forward, which reads the mask on the host
            hidden = self.model.embeddings(x)
            bias = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(~mask, torch.finfo(hidden.dtype).min)
            hidden = self.model.encoder(hidden, attention_mask=bias[:, None, None, :])[0]
        else:
            hidden = self.model(input_ids=x, attention_mask=mask.long())[0]
        values = self.project(hidden)
        return Tokens(values, mask, masked_mean(values, mask))
