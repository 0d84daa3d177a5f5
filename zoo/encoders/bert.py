"""BERTEncoder: a BERT of the library transformers, at any size or with real weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.carried import LAYOUT, Box
from zoo.contract import PAD, ModalitySpec, Tokens, masked_mean
from zoo.encoders.bag import TextBag
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import check_heads, project, some_token
from zoo.errors import SpecError, ZooError
from zoo.packaged import package_folder


def new_bert(codes: int, length: int, dim: int, depth: int, heads: int, dropout: float, mlp_ratio: float) -> Any:
    """Make a BERT of random weights.

    Args:
        codes: number of codes, padding among them.
        length: most codes of a row.
        dim: width.
        depth: number of blocks.
        heads: of attention.
        dropout: rate.
        mlp_ratio: hidden width of the MLP over ``dim``.
    """
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=codes,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=int(dim * mlp_ratio),
        max_position_embeddings=length,
        type_vocab_size=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=PAD,
    )
    return BertModel(config, add_pooling_layer=False)


def load_bert(owner: str, name: str) -> Any:
    """Load a BERT-like model, safetensors only.

    Args:
        owner: class name for messages.
        name: a local folder, ``package:NAME`` or a repository name; behind ``layout:``, the folder of a config.json
            whose model is made with random weights.

    Raises:
        SpecError: the weights are not found, or are not of a BERT-like model.
        MissingExtraError: the package is not installed.
    """
    from transformers import AutoConfig, AutoModel

    try:
        if name.startswith(LAYOUT):
            config = AutoConfig.from_pretrained(name.removeprefix(LAYOUT), trust_remote_code=False)
            model = AutoModel.from_config(config, trust_remote_code=False)
        else:
            model = AutoModel.from_pretrained(package_folder(name), use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        if isinstance(error, ZooError):
            raise
        raise SpecError(
            f"{owner}: the weights of pretrained={name!r} were not found or cannot be read: "
            f"{' '.join(str(error).split())[:300]}. Give a local folder with config.json and model.safetensors, "
            "or a repository name (unset HF_HUB_OFFLINE to download, or point HF_HOME at a cache that has it), "
            "or '' for random weights"
        ) from error
    if not isinstance(getattr(model, "embeddings", None), nn.Module):
        raise SpecError(
            f"{owner}: pretrained={name!r} is a {type(model).__name__}, which has no module 'embeddings'; "
            "take a BERT-like encoder (BERT, RoBERTa, DistilBERT, ELECTRA)"
        )
    if hasattr(model, "pooler"):
        model.pooler = None
    return model


def copy_bert(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Take a local folder of a BERT-like model along; see zoo.carried.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.

    Raises:
        SpecError: it lacks its configuration.
    """
    folder = Path(arguments[name])
    if not folder.is_dir():
        return {}
    weights = sorted(folder.glob("model*.safetensors")) + sorted(folder.glob("model*.safetensors.index.json"))
    copies = box.copy("pretrained network", str(folder), [folder / "config.json", *weights])
    return {name: copies[0].rpartition("/")[0]}


def copy_layout(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Take the configuration of a BERT-like model along, whose weights are those of the trained model.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.

    Raises:
        SpecError: it is not found.
    """
    from transformers import AutoConfig

    source = arguments[name].removeprefix(LAYOUT)
    try:
        config = AutoConfig.from_pretrained(package_folder(source), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise SpecError(f"the configuration of {name}={source!r} is no longer there; put it back") from error
    config.name_or_path = ""  # a path of this machine
    return {name: LAYOUT + box.take("configuration", source, config.save_pretrained)}


def check_bert(owner: str, model: Any, spec: ModalitySpec, name: str, reads: int) -> None:
    """Refuse a model whose vocabulary, length or padding code does not fit a modality.

    Args:
        owner: class name for messages.
        model: what ``load_bert`` loaded.
        spec: the modality.
        name: where the model came from, for messages.
        reads: number of codes of a row that the model reads.

    Raises:
        SpecError: as said.
    """
    words = int(model.config.vocab_size)
    length = int(getattr(model.config, "max_position_embeddings", reads))
    if spec.vocab_size > words or reads > length:
        raise SpecError(
            f"{owner}: '{spec.name}' has {spec.vocab_size} codes and length {reads}, but "
            f"pretrained={name!r} takes {words} codes and length {length}; use its tokenizer and a shorter length"
        )
    pad = getattr(model.config, "pad_token_id", PAD)
    if pad not in (None, PAD):
        raise SpecError(
            f"{owner}: pretrained={name!r} pads with code {pad}, the zoo with {PAD}; take a model that pads with "
            f"{PAD}, such as the BERT family"
        )


def run_bert(model: Any, x: Tensor, mask: Tensor) -> Tensor:
    """Map (N, L) codes and their mask (N, L) to the last hidden states (N, L, E) of a BERT-like model.

    Args:
        model: a BERT-like model of transformers.
        x: (N, L) codes of word pieces.
        mask: (N, L) True where a code is real.
    """
    from transformers import BertModel

    if isinstance(model, BertModel):  # not through its forward, which reads the mask on the host
        hidden = model.embeddings(x)
        if not len(x):  # its attention reshapes to a free size, which no rows leave open
            return hidden  # type: ignore[no-any-return]
        bias = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(~mask, torch.finfo(hidden.dtype).min)
        return model.encoder(hidden, attention_mask=bias[:, None, None, :])[0]  # type: ignore[no-any-return]
    return model(input_ids=x, attention_mask=mask.long())[0]  # type: ignore[no-any-return]


def check_text_options(owner: str, spec: ModalitySpec, bag: int, trunk_length: int) -> int:
    """Refuse a negative bag or a trunk longer than the text; return how many codes the trunk reads.

    Args:
        owner: name of the encoder, for errors.
        spec: the text modality.
        bag: width of the bag of words beside the trunk; 0 for none.
        trunk_length: how many codes the trunk shall read; 0 for all.

    Raises:
        SpecError: as said.
    """
    length = spec.shape[0]
    if bag < 0 or not 0 <= trunk_length <= length:
        raise SpecError(
            f"{owner}: bag={bag}, trunk_length={trunk_length} do not fit '{spec.name}' of length {length}: bag is a "
            f"number of buckets such as 16384, or 0; trunk_length lies in 1..{length}, or is 0 for all"
        )
    return trunk_length or length


@ENCODERS.register
class BERTEncoder(Encoder):
    """Map (N, L) token codes to (N, L, D), one token a word piece (BERT: Devlin et al. 2019).

    The pooled vector is the mean over real tokens, plus a bag of words where asked for. With ``trunk_length``
    there are that many tokens: a long text is cheap in the bag and dear in the transformer.

    Args:
        spec: a modality of kind text.
        dim: D, width of the tokens, and of the model unless ``pretrained``.
        depth, heads, dropout, mlp_ratio: blocks, attention heads, dropout rate and hidden width of the MLP
            over D. With ``pretrained`` all four come from its configuration.
        pretrained: a local folder (config.json and model.safetensors), ``package:NAME`` for such a folder of an
            installed package, a repository name, or "" for random weights. A linear map brings another width to D.
            ``layout:FOLDER`` is the architecture of a config.json with random weights, as a bundle states it.
        bag: number of buckets of a bag of tokens and pairs of tokens over the whole text, mapped linearly to D and
            added to the pooled vector (see ``TextBag``); 0 for none. ``embed`` does not read it.
        bag_dropout: probability that an occurrence is left out of the bag in training.
        trunk_length: the transformer reads this many codes from the start; 0 for all.

    Raises:
        SpecError: the weights are not found, or do not fit the vocabulary, length or padding code.
        MissingExtraError: the package is not installed.
    """

    kinds = ("text",)
    carried = {"pretrained": copy_layout}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        mlp_ratio: float = 2.0,
        bag: int = 0,
        bag_dropout: float = 0.2,
        trunk_length: int = 0,
    ) -> None:
        super().__init__(spec, dim)
        self.reads = check_text_options("BERTEncoder", spec, bag, trunk_length)
        if pretrained:
            self.model = load_bert("BERTEncoder", pretrained)
            check_bert("BERTEncoder", self.model, spec, pretrained, self.reads)
        else:
            check_heads("BERTEncoder", dim, heads)
            self.model = new_bert(spec.vocab_size, self.reads, dim, depth, heads, dropout, mlp_ratio)
        self.model.train()
        self.project = project(int(self.model.config.hidden_size), dim)
        self.bag = TextBag(bag, dim, bag_dropout) if bag else None

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, L) codes to word embeddings with positions (N, L, D) and mask (N, L), L cut to the trunk's."""
        x = x[:, : self.reads]
        return self.project(self.model.embeddings(x)), some_token(x != PAD)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, L) codes to Tokens of L word pieces a row, L cut to the trunk's."""
        read = x[:, : self.reads]
        mask = some_token(read != PAD)
        values = self.project(run_bert(self.model, read, mask))
        pooled = masked_mean(values, mask)
        return Tokens(values, mask, pooled if self.bag is None else pooled + self.bag(x))
