"""Numbers of the single encoders, against values computed by hand or by plain attention."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.contract import AMINO_ACIDS, ModalitySpec
from zoo.encoders.dnabert import DNABERTEncoder, kmer_ids
from zoo.encoders.esm import ESMEncoder
from zoo.encoders.lstm import LSTMEncoder
from zoo.encoders.molecule import MoleculeEncoder
from zoo.encoders.parts import Trunk, distinct_rows, sinusoid, some_token
from zoo.encoders.peptide import PeptideBagEncoder
from zoo.encoders.scbert import GeneReader, SCBERTEncoder, expression_bins, log_cp10k
from zoo.encoders.tabular import TabularEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import SpecError


def test_kmer_ids_count_in_base_four() -> None:
    codes = torch.tensor([[1, 2, 3, 4, 4, 5, 1, 1, 0, 0]])  # A C G T T N A A . .
    # ACG = 0*16 + 1*4 + 2 = 6, CGT = 16 + 8 + 3 = 27, GTT = 32 + 12 + 3 = 47, each + 2
    assert kmer_ids(codes, 3).tolist() == [[8, 29, 49, 1, 1, 1, 0, 0]]
    assert kmer_ids(codes, 3, 2).tolist() == [[8, 49, 1, 0]]
    assert kmer_ids(torch.full((1, 6), 4), 6).item() == 4**6 + 1


def test_dna_finds_a_motif_anywhere() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    n, length = 1200, 60
    x = torch.randint(1, 5, (n, length), generator=generator)
    y = torch.arange(n) % 2
    motif = torch.tensor([3, 1, 4, 1, 1, 2, 3])
    for i in range(1, n, 2):
        start = int(torch.randint(0, length - 7, (1,), generator=generator))
        x[i, start : start + 7] = motif
    encoder = DNABERTEncoder(ModalitySpec("dna", "dna", (length,)), dim=32, depth=1)
    head = nn.Linear(32, 2)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(8):
        for rows in torch.randperm(1000, generator=generator).split(50):
            optimiser.zero_grad()
            F.cross_entropy(head(encoder(x[rows]).pooled), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        accuracy = (head(encoder(x[1000:]).pooled).argmax(1) == y[1000:]).float().mean()
    assert accuracy > 0.9


def test_dna_refuses_sizes_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match="k=6, stride=3 do not fit 'dna' of length 5"):
        DNABERTEncoder(ModalitySpec("dna", "dna", (5,)))
    with pytest.raises(SpecError, match="kernel=4 must be odd"):
        DNABERTEncoder(ModalitySpec("dna", "dna", (50,)), kernel=4)


def test_band_power_tells_rhythms_apart() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    n = 240
    time = torch.arange(200) / 100
    x = 15 * torch.randn((n, 4, 200), generator=generator)
    y = torch.arange(n) % 2
    phase = torch.rand((n, 1), generator=generator) * 2 * math.pi
    x[torch.arange(n), 1 + y] += 12 * torch.cos(2 * math.pi * 10 * time + phase)  # 10 Hz in channel 1 or 2
    encoder = LSTMEncoder(ModalitySpec("eeg", "signal", (4, 200), "uV", sampling_rate=100.0), dim=32, depth=1)
    head = nn.Linear(32, 2)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(12):
        for rows in torch.randperm(160, generator=generator).split(32):
            optimiser.zero_grad()
            F.cross_entropy(head(encoder(x[rows]).pooled), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        accuracy = (head(encoder(x[160:]).pooled).argmax(1) == y[160:]).float().mean()
    assert accuracy > 0.85


@pytest.mark.parametrize(("stride", "samples"), [(8, 200), (8, 203), (5, 61), (1, 9), (9, 9)])
def test_signal_tokens_follow_the_stride(stride: int, samples: int) -> None:
    spec = ModalitySpec("eeg", "signal", (3, samples), "uV")
    tokens = LSTMEncoder(spec, dim=8, depth=1, stride=stride, bidirectional=True)(torch.zeros(1, 3, samples))
    assert abs(tokens.values.shape[1] - samples / stride) <= 1
    assert torch.isfinite(tokens.values).all()


def test_a_signal_in_standard_deviations_is_not_scaled_again() -> None:
    encoders = []
    for unit in ("uV", "sd"):
        torch.manual_seed(0)
        encoders.append(
            LSTMEncoder(ModalitySpec("eeg", "signal", (3, 100), unit), dim=8, depth=1, scale_uv=10.0).eval()
        )
    x = torch.randn(2, 3, 100)
    torch.testing.assert_close(encoders[0](10 * x).pooled, encoders[1](x).pooled)


def test_signal_refuses_sizes_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match=r"stride=8.* 'eeg' of 4 samples: take 1 <= stride <= 4"):
        LSTMEncoder(ModalitySpec("eeg", "signal", (3, 4)))


def test_counts_are_scaled_to_ten_thousand() -> None:
    counts = torch.tensor([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    expected = [[math.log1p(2500), 0.0, math.log1p(7500)], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(log_cp10k(counts), torch.tensor(expected))
    assert expression_bins(torch.tensor([-1.0, 0.0, 0.5, 1.0, 5.9, 40.0]), 7).tolist() == [0, 0, 1, 2, 6, 6]


def test_counts_are_normalised_only_where_the_unit_says_so() -> None:
    x = torch.tensor([[1.0, 2.0, 5.0]])
    counts = SCBERTEncoder(ModalitySpec("rna", "expression", (3,), "counts"), dim=8)
    logged = SCBERTEncoder(ModalitySpec("rna", "expression", (3,), "log1p CP10k"), dim=8)
    logged.load_state_dict(counts.state_dict())
    torch.testing.assert_close(counts(x).pooled, logged(log_cp10k(x)).pooled)
    torch.testing.assert_close(counts(x).pooled, counts(3 * x).pooled, rtol=1e-4, atol=1e-5)


def test_gene_reader_equals_plain_attention() -> None:
    torch.manual_seed(0)
    reader, x = GeneReader(genes=30, dim=16, heads=4, latents=3, bins=5), torch.rand(2, 30) * 6 - 1
    tokens = reader.gene + reader.level[expression_bins(x, 5)] + reader.slope * x.unsqueeze(-1)  # (N, G, D)
    query, key, value = (
        t.unflatten(-1, (4, 4)).transpose(1, 2)
        for t in (reader.query.expand(2, 3, 16), reader.key(tokens), reader.value(tokens))
    )
    read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(reader(x), reader.out(read) + reader.query, rtol=1e-4, atol=1e-5)


def test_twenty_thousand_genes_train_in_memory() -> None:
    encoder = SCBERTEncoder(ModalitySpec("rna", "expression", (20000,), "counts"), depth=1)
    encoder(torch.poisson(torch.rand(8, 20000))).pooled.sum().backward()
    assert torch.isfinite(encoder.reader.gene.grad).all()  # type: ignore[union-attr, arg-type]


def test_esm_ids_are_the_tokenizers() -> None:
    from esm.tokenization import EsmSequenceTokenizer

    encoder = ESMEncoder(ModalitySpec("protein", "protein", (6,)), dim=16, heads=2)
    sequences = ["MKV", "ACDEFX", ""]
    x = torch.zeros(3, 6, dtype=torch.long)
    for i, sequence in enumerate(sequences):
        x[i, : len(sequence)] = torch.tensor([AMINO_ACIDS.index(a) + 1 for a in sequence])
    tokenizer = EsmSequenceTokenizer()
    for row, sequence in zip(encoder.tokens(x).tolist(), sequences, strict=True):
        ids = tokenizer.encode(sequence)
        assert row == ids + [tokenizer.pad_token_id] * (8 - len(ids))


def test_esm_residues_equal_the_librarys_embeddings() -> None:
    encoder = ESMEncoder(ModalitySpec("protein", "protein", (6,)), dim=16, heads=2).eval()
    x = torch.tensor([[11, 9, 18, 0, 0, 0]])
    tokens = encoder(x)
    alone = encoder.model(sequence_tokens=encoder.model._tokenize(["MKV"])).embeddings[:, 1:-1]
    torch.testing.assert_close(tokens.values[:, :3], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.pooled, alone.mean(1), rtol=1e-4, atol=1e-5)


def test_feature_tokens_are_weight_times_value_or_a_table_row() -> None:
    encoder = TabularEncoder(ModalitySpec("ehr", "tabular", (4,), cardinalities=(3, 0, 2, 0)), dim=8)
    values, mask = encoder.embed(torch.tensor([[2.0, 0.5, 1.0, -2.0]]))
    bias, weight, table = encoder.bias, encoder.weight, encoder.table.weight
    rows = [table[2], 0.5 * weight[0], table[4], -2 * weight[1]]
    expected = torch.stack(rows) + bias
    torch.testing.assert_close(values[0], expected)
    assert mask.all()


@pytest.mark.parametrize("code", [3.0, -1.0])
def test_a_code_outside_its_categories_raises(code: float) -> None:
    encoder = TabularEncoder(ModalitySpec("ehr", "tabular", (2,), cardinalities=(3, 5)), dim=8)
    with pytest.raises(IndexError):
        encoder(torch.tensor([[code, 0.0]]))


def test_tabular_of_numbers_or_categories_only() -> None:
    for sizes in ((0, 0), (2, 3)):
        encoder = TabularEncoder(ModalitySpec("ehr", "tabular", (2,), cardinalities=sizes), dim=8)
        assert encoder(torch.ones(2, 2)).values.shape == (2, 2, 8)


def test_image_that_does_not_split_into_patches() -> None:
    with pytest.raises(
        SpecError, match=r"'xray' of 28 x 28 pixels .* patches of 8: set patch_size to one of \[4, 7, 14\]"
    ):
        ViTEncoder(ModalitySpec("xray", "image", (1, 28, 28)))
    assert ViTEncoder(ModalitySpec("xray", "image", (1, 28, 28)), patch_size=7).length == 16


@pytest.mark.parametrize(
    ("backbone", "length"), [("resnet18", 4), ("convnext_atto", 2), ("vit_tiny_patch16_224", 12)]
)
def test_any_timm_model_serves(backbone: str, length: int) -> None:
    torch.manual_seed(0)
    encoder = ViTEncoder(ModalitySpec("ct", "image", (1, 64, 48)), dim=24, backbone=backbone)
    x = torch.randn(3, 1, 64, 48)
    encoder.train()
    tokens = encoder(x)
    assert tokens.values.shape == (3, length, 24)
    torch.testing.assert_close(encoder(x[:1]).pooled, tokens.pooled[:1], rtol=1e-3, atol=1e-4)
    assert encoder(x[:0]).pooled.shape == (0, 24)
    encoder(x[:0]).pooled.sum().backward()
    values, mask = encoder.embed(x)
    assert values.shape[::2] == (3, 24)
    assert mask.all()
    assert list(encoder.embed_parameters())
    encoder.zero_grad()
    encoder(x).pooled.square().sum().backward()
    unused = [k for k, p in encoder.named_parameters() if p.grad is None and k.startswith("model.")]
    assert unused == []


def test_unknown_timm_model_suggests_names() -> None:
    with pytest.raises(SpecError, match=r"no model 'resnet181'; nearest: .*resnet18"):
        ViTEncoder(ModalitySpec("ct", "image", (1, 32, 32)), backbone="resnet181")


def test_trunk_ignores_masked_tokens() -> None:
    torch.manual_seed(0)
    trunk, x = Trunk(16, heads=2), torch.randn(2, 5, 16)
    mask = torch.tensor([[True, True, True, False, False]]).expand(2, 5)
    torch.testing.assert_close(trunk(x, mask)[:, :3], trunk(x[:, :3]), rtol=1e-4, atol=1e-5)


def test_sinusoid_by_hand() -> None:
    table = sinusoid(3, 4)
    assert table.shape == (3, 4)
    torch.testing.assert_close(table[2], torch.tensor([math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]))
    assert sinusoid(2, 5).shape == (2, 5)


def test_some_token_leaves_real_masks_alone() -> None:
    mask = torch.tensor([[False, True], [False, False]])
    assert some_token(mask).tolist() == [[False, True], [True, False]]


def test_peptide_words_are_counted_by_hand() -> None:
    encoder = PeptideBagEncoder(ModalitySpec("protein", "protein", (7,)), dim=4, k=2, hidden=4)
    row = torch.tensor([[AMINO_ACIDS.index(c) + 1 for c in "AACAX"] + [0, 0]])
    features = encoder.features(row)[0]
    expected = torch.zeros(420)
    expected[0], expected[1] = 0.75**0.5, 0.25**0.5  # A three times, C once
    expected[20], expected[21], expected[20 + 20] = (1 / 3) ** 0.5, (1 / 3) ** 0.5, (1 / 3) ** 0.5  # AA, AC, CA
    torch.testing.assert_close(features, expected)


def test_equal_rows_are_encoded_once_and_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    for cls, spec in (
        (MoleculeEncoder, ModalitySpec("drug", "molecule", (24,), descriptors=8)),
        (PeptideBagEncoder, ModalitySpec("protein", "protein", (24,))),
    ):
        x = torch.randint(1, 20, (4, 24), generator=generator)[torch.tensor([0, 1, 0, 2, 3, 3, 0])]
        rows, which = distinct_rows(x)
        assert len(rows) == 4
        assert torch.equal(rows[which], x)
        torch.manual_seed(1)
        once = cls(spec, 16, distinct=True, dropout=0.0)
        torch.manual_seed(1)
        each = cls(spec, 16, dropout=0.0)
        torch.testing.assert_close(once(x).values, each(x).values)
        torch.testing.assert_close(once(x).pooled, each(x).pooled)
        assert once(x[:0]).pooled.shape == (0, 16)
