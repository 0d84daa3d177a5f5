"""The shallow paths: counts and statistics against scikit-learn and by hand, padding, and independence of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.encoders.bag import WAIT, KmerBag, RunningStandard, TextBag
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.errors import SpecError

TEXT = ModalitySpec("note", "text", (20,), vocab_size=60)
DNA = ModalitySpec("dna", "dna", (30,))


def texts(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(1, 60, (n, 20), generator=generator)
    return codes * (torch.arange(20) < torch.randint(4, 21, (n, 1), generator=generator))


def sequences(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(1, 6, (n, 30), generator=generator)
    return codes * (torch.arange(30) < torch.randint(10, 31, (n, 1), generator=generator))


def test_statistics_are_those_of_all_rows_so_far() -> None:
    x = torch.randn(100, 5) * 3 + 7
    x[:, 4] = 2.0
    layer = RunningStandard(5)
    assert torch.equal(layer(x[:10]), x[:10])  # too few so far
    for part in (x[10:11], x[11:60], x[60:]):
        layer(part)
    expected = StandardScaler().fit_transform(x.numpy())
    np.testing.assert_allclose(layer.eval()(x).numpy(), expected, atol=1e-4)
    before = layer.state_dict()["count"].clone()
    layer(x)
    assert torch.equal(layer.state_dict()["count"], before)  # evaluation learns nothing
    assert RunningStandard(5, limit=0.5)(x).abs().max() == 0.5


def test_text_bag_is_tf_idf() -> None:
    """With room for every feature, the products of bags are those of scikit-learn's vectors."""
    x = texts(WAIT + 8)
    bag = TextBag(1 << 20, 1)
    bag(x)
    bag.eval()
    bag.gain = 1.0
    words = [" ".join(f"w{c}" for c in row[row > 0].tolist()) for row in x]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+").fit_transform(words)
    ids, real = bag._features(x)
    weights = torch.zeros(len(x), 1 << 20)
    for i, row in enumerate(x):  # the weight of each bucket: the bag of a table of one bucket's one
        for bucket in ids[i][real[i]].unique():
            bag.table.data.zero_()
            bag.table.data[bucket] = 1.0
            weights[i, bucket] = bag(row[None]).item()
        if i == 5:
            break
    np.testing.assert_allclose(weights[:6] @ weights[:6].T, (vectors[:6] @ vectors[:6].T).toarray(), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_rows_do_not_depend_on_each_other_or_on_padding(training: bool) -> None:
    for layer, x in ((TextBag(64, 8), texts(6)), (KmerBag(30, 3, 8), sequences(6))):
        layer.train(training)
        torch.testing.assert_close(layer(x[2:3])[0], layer(x)[2], rtol=1e-4, atol=1e-5)
    bag, longer = TextBag(64, 8), torch.nn.functional.pad(texts(6), (0, 5))
    torch.testing.assert_close(bag(longer), bag(texts(6)))
    assert torch.equal(bag(torch.zeros((2, 9), dtype=torch.long)), torch.zeros(2, 8))


def test_kmer_counts() -> None:
    bag = KmerBag(6, 2, 4)
    x = torch.tensor([[1, 1, 4, 5, 1, 0]])  # AATNA and padding
    counts = bag.features(x).expm1()[0].round()
    assert counts[:4].tolist() == [3, 0, 0, 1]
    assert {k: int(v) for k, v in enumerate(counts[4:]) if v} == {0: 1, 3: 1}  # AA, AT


@pytest.mark.parametrize("kind", ["text", "dna"])
def test_in_the_encoder(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "text":
        encoder, x = BERTEncoder(TEXT, dim=16, depth=1, bag=128, bag_dropout=0.0, trunk_length=5), texts(8)
        plain = BERTEncoder(TEXT, dim=16, depth=1, trunk_length=5)
    else:
        encoder = DNABERTEncoder(DNA, dim=16, depth=1, bag=4, bag_positions=True, bag_dropout=0.0)  # type: ignore[assignment]
        plain, x = DNABERTEncoder(DNA, dim=16, depth=1), sequences(8)  # type: ignore[assignment]
    state = encoder.state_dict()
    plain.load_state_dict({k: v for k, v in state.items() if not k.startswith("bag.")})
    encoder.eval()
    plain.eval()
    assert encoder.bag is not None
    torch.testing.assert_close(encoder(x).pooled, plain(x).pooled + encoder.bag(x))
    torch.testing.assert_close(encoder(x).values, plain(x).values)
    torch.testing.assert_close(encoder.embed(x)[0], plain.embed(x)[0])
    encoder.train()
    assert encoder(x[:0]).pooled.shape == (0, 16)
    (encoder(x[:0]).pooled.sum() + encoder(x).pooled.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.bag.parameters())
    used = {id(p) for p in encoder.embed_parameters()}
    assert not used & {id(p) for p in encoder.bag.parameters()}


def test_the_trunk_reads_the_beginning_and_the_bag_everything() -> None:
    encoder = BERTEncoder(TEXT, dim=16, depth=1, bag=128, trunk_length=5).eval()
    x = texts(3).clamp_min(1)
    y = x.clone()
    y[:, 10] = 59 - y[:, 10]
    assert encoder(x).values.shape == (3, 5, 16)
    assert torch.equal(encoder(x).values, encoder(y).values)
    assert not torch.equal(encoder(x).pooled, encoder(y).pooled)


@pytest.mark.parametrize("settings", [{"bag": -1}, {"trunk_length": 21}, {"trunk_length": -1}])
def test_text_sizes_that_do_not_fit(settings: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="do not fit 'note' of length 20"):
        BERTEncoder(TEXT, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"bag": -1}, {"bag": 9}, {"bag_positions": True}])
def test_dna_sizes_that_do_not_fit(settings: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="do not fit 'dna' of length 30"):
        DNABERTEncoder(DNA, **settings)  # type: ignore[arg-type]
