"""Principal components that an encoder learns before the first step: against scikit-learn, and through a fit."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch

from datamodules import MultimodalDataModule
from datamodules.core.options import SamplingOptions
from tests.datamodules.fakes import Fake, Row
from zoo import MultitaskModule
from zoo.contract import AMINO_ACIDS, ModalitySpec
from zoo.encoders.components import PrincipalComponents
from zoo.encoders.peptide_components import PeptideComponentsEncoder
from zoo.errors import SpecError
from zoo.raw import RawModality, RawTask

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def test_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    x = np.random.default_rng(0).normal(size=(30, 50)) * np.linspace(3, 0.1, 50)
    made = PrincipalComponents(50, 6)
    made.learn(torch.from_numpy(x).float())
    pca = PCA(6).fit(x)
    wanted = pca.transform(x) / pca.explained_variance_**0.25
    wanted /= np.sqrt(np.square(wanted).mean())
    found = made(torch.from_numpy(x).float()).numpy()
    signs = np.sign((found * wanted).sum(0))
    np.testing.assert_allclose(found, wanted * signs, atol=1e-4)


def test_fewer_madethan_components_leave_zeros() -> None:
    made = PrincipalComponents(8, 5)
    made.learn(torch.eye(8)[:3])
    out = made(torch.eye(8))
    assert torch.isfinite(out).all()
    assert (out[:, :2].abs().sum(0) > 0).all()
    assert (out[:, 2:] == 0).all()  # three points span a plane


def codes(sequence: str) -> list[int]:
    return [AMINO_ACIDS.index(a) + 1 for a in sequence]


def test_words_are_weighed_as_scikit_learn_does() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    g = np.random.default_rng(1)
    sequences = ["".join(g.choice(list(LETTERS[:8]), 30)) for _ in range(12)]
    encoder = PeptideComponentsEncoder(ModalitySpec("p", "protein", (30,)), dim=4, k=2, components=3, hidden=4)
    rows = torch.tensor([codes(s) for s in sequences])
    encoder.learn(torch.cat([rows, rows[:5]]))  # a protein of several rows is one document
    words = [*LETTERS, *(a + b for a in LETTERS for b in LETTERS)]
    tfidf = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), lowercase=False, sublinear_tf=True, vocabulary=words)
    np.testing.assert_allclose(encoder.features(rows).numpy(), tfidf.fit_transform(sequences).toarray(), atol=1e-5)


def module_of(data: MultimodalDataModule) -> MultitaskModule:
    encoders = {"protein": lambda spec: PeptideComponentsEncoder(spec, dim=8, k=2, components=4, hidden=8)}
    return MultitaskModule(data.modality_specs, data.task_specs, encoders)


def test_a_fit_shows_the_training_madealone() -> None:
    g, made = np.random.default_rng(0), []
    for i in range(30):
        chain = "".join(g.choice(list(LETTERS), 20))
        split = ("train", "train", "val", "test")[i % 4]
        made.append(Row(f"r{i}", {"protein": chain}, {"charge": {"net": float(chain.count("K"))}}, split=split))
    tasks = (RawTask("charge", "regression", ("net",), ("protein",)),)
    source = Fake(made, modalities=(RawModality("protein", "protein"),), tasks=tasks)
    data = MultimodalDataModule([source], sampling=SamplingOptions(batch_size=16))
    module = module_of(data)
    options = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0, "accelerator": "cpu"}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(**options, **quiet).fit(module, datamodule=data)
    rows = data.training_inputs("protein")
    assert len(rows) == len(data.pipeline.rows["train"])
    own = PeptideComponentsEncoder(data.modality_specs[0], dim=8, k=2, components=4, hidden=8)
    own.learn(rows)
    state = module.encoders["protein"].state_dict()
    torch.testing.assert_close(state["components.map"], own.components.map)
    torch.testing.assert_close(state["rarity"], own.rarity)
    with pytest.raises(SpecError, match="learns from training rows of 'protein'"):
        L.Trainer(**options, **quiet).fit(module_of(data), data.train_dataloader())
