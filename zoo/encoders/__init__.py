"""Encoders: one module a kind of modality, each mapping packed rows to tokens."""

from __future__ import annotations

from zoo.contract import MODALITY_KINDS
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.encoders.esm import ESMEncoder
from zoo.encoders.frozen import FrozenImageEncoder, FrozenTextEncoder
from zoo.encoders.lstm import LSTMEncoder
from zoo.encoders.mlp import MLPEncoder
from zoo.encoders.scbert import SCBERTEncoder
from zoo.encoders.tabular import TabularEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import unknown_name

__all__ = [
    "ENCODERS",
    "BERTEncoder",
    "DNABERTEncoder",
    "ESMEncoder",
    "Encoder",
    "FrozenImageEncoder",
    "FrozenTextEncoder",
    "LSTMEncoder",
    "MLPEncoder",
    "SCBERTEncoder",
    "TabularEncoder",
    "ViTEncoder",
    "default_encoder",
]

_DEFAULTS: dict[str, type[Encoder]] = {
    "image": ViTEncoder,
    "signal": LSTMEncoder,
    "dna": DNABERTEncoder,
    "expression": SCBERTEncoder,
    "protein": ESMEncoder,
    "text": BERTEncoder,
    "tabular": TabularEncoder,
}


def default_encoder(kind: str) -> type[Encoder]:
    """Return the encoder class that the zoo takes for modalities of ``kind``.

    Raises:
        UnknownNameError: no such kind.

    >>> default_encoder("signal").__name__
    'LSTMEncoder'
    """
    if kind not in _DEFAULTS:
        raise unknown_name("modality kind", kind, MODALITY_KINDS)
    return _DEFAULTS[kind]
