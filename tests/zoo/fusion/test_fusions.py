"""What every fusion must do, whatever its formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.contract import Tokens, masked_mean
from zoo.errors import SpecError
from zoo.fusion.base import FUSED, FUSIONS, Fusion

DIMS = {"scan": 6, "eeg": 8, "note": 4}
LENGTHS = {"scan": 5, "eeg": 3, "note": 11}
NAMES = FUSIONS.names()
SMALL = {"EarlyFusion", "CrossAttentionFusion"}
Packed = tuple[dict[str, Tokens], dict[str, torch.Tensor]]


def make(name: str, dims: dict[str, int] = DIMS, dim: int = 8, auxiliary: bool = False) -> Fusion:
    torch.manual_seed(0)
    options = {"max_tokens": 4, "heads": 2} if name in SMALL else {}
    fusion = FUSIONS.get(name)(dims, dim=dim, auxiliary=auxiliary, **options)
    fusion.bind(("a", "b"))
    return fusion.eval()


def rows(
    presence: list[list[bool]], dims: dict[str, int] = DIMS
) -> tuple[dict[str, Tokens], dict[str, torch.Tensor]]:
    """Tokens whose values are a function of (row, modality) alone."""
    tokens, present = {}, {}
    for i, (name, width) in enumerate(sorted(dims.items())):
        have = [r for r, p in enumerate(presence) if p[i]]
        length = LENGTHS.get(name, 3)
        values = torch.zeros(len(have), length, width)
        mask = torch.zeros(len(have), length, dtype=torch.bool)
        for k, r in enumerate(have):
            generator = torch.Generator().manual_seed(1000 * i + r)
            values[k] = torch.randn(length, width, generator=generator)
            mask[k, : 1 + (r + i) % length] = True
        tokens[name] = Tokens(values, mask, masked_mean(values, mask))
        present[name] = torch.tensor([p[i] for p in presence], dtype=torch.bool)
    return tokens, present


def take(tokens: dict[str, Tokens], present: dict[str, torch.Tensor], row: int) -> Packed:
    """The same tokens, of one row alone."""
    alone = {}
    for name, t in tokens.items():
        keep = present[name].nonzero().squeeze(1) == row
        alone[name] = Tokens(t.values[keep], t.mask[keep], t.pooled[keep])
    return alone, {name: p[row : row + 1] for name, p in present.items()}


def test_all_six_are_registered() -> None:
    assert NAMES == [
        "ConcatFusion",
        "CrossAttentionFusion",
        "EarlyFusion",
        "GatedFusion",
        "LateFusion",
        "LowRankFusion",
    ]
    assert [n for n in NAMES if FUSIONS.get(n).reads_embeddings] == ["EarlyFusion"]


@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_stream_names(name: str, auxiliary: bool) -> None:
    fusion = make(name, auxiliary=auxiliary)
    expected = tuple(DIMS) if name == "LateFusion" else (FUSED, *DIMS) if auxiliary else (FUSED,)
    assert fusion.stream_names == expected
    streams = fusion(*rows([[True, False, True], [False, True, False]]))
    assert set(streams.vectors) == set(streams.available) == set(expected)
    assert all(v.shape == (2, 8) for v in streams.vectors.values())
    weights = fusion.stream_weights("a")
    assert weights.shape == (len(expected),)
    assert float(weights.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
@given(presence=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_a_row_does_not_depend_on_the_others(name: str, presence: list[list[bool]]) -> None:
    fusion = make(name, auxiliary=True)
    tokens, present = rows(presence)
    with torch.no_grad():
        batch = fusion(tokens, present)
        for row, have in enumerate(presence):
            alone = fusion(*take(tokens, present, row))
            for stream, vector in batch.vectors.items():
                torch.testing.assert_close(alone.vectors[stream][0], vector[row], atol=1e-5, rtol=1e-5)
                expected = any(have) if stream == FUSED else have[sorted(DIMS).index(stream)]
                assert bool(batch.available[stream][row]) is expected
                if not expected:
                    assert not vector[row].any()
                else:
                    assert torch.isfinite(vector[row]).all()
                    assert vector[row].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_modality_without_tokens_counts_as_absent(name: str) -> None:
    fusion = make(name, auxiliary=True)
    tokens, present = rows([[False, True, True], [False, True, False]])
    empty = fusion(tokens, present)
    del tokens["eeg"]
    missing = fusion(tokens, present)
    del present["eeg"]
    unnamed = fusion(tokens, present)
    for stream, vector in empty.vectors.items():
        torch.testing.assert_close(vector, missing.vectors[stream])
        torch.testing.assert_close(vector, unnamed.vectors[stream])
        assert torch.equal(empty.available[stream], missing.available[stream])


@pytest.mark.parametrize("name", NAMES)
def test_no_row_has_anything(name: str) -> None:
    streams = make(name, auxiliary=True)(*rows([[False] * 3] * 2))
    for stream, vector in streams.vectors.items():
        assert not vector.any()
        assert not streams.available[stream].any()


@pytest.mark.parametrize("name", NAMES)
def test_order_of_modalities_is_irrelevant(name: str) -> None:
    first = make(name, auxiliary=True)
    second = make(name, dict(reversed(DIMS.items())), auxiliary=True)
    second.load_state_dict(first.state_dict())
    tokens, present = rows([[True, True, False], [False, True, True], [True, True, True]])
    one = first(tokens, present)
    two = second(dict(reversed(tokens.items())), dict(reversed(present.items())))
    for stream, vector in one.vectors.items():
        torch.testing.assert_close(vector, two.vectors[stream], atol=0, rtol=0)


@pytest.mark.parametrize("auxiliary", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str, auxiliary: bool) -> None:
    fusion = make(name, auxiliary=auxiliary).train()
    streams = fusion(*rows([[True, True, False], [False, True, True], [True, False, True], [False, False, True]]))
    sum((v**2).sum() + v.sum() for v in streams.vectors.values()).backward()
    for label, parameter in fusion.named_parameters():
        assert parameter.grad is not None, label
        assert torch.isfinite(parameter.grad).all(), label
        assert parameter.grad.any(), label


@pytest.mark.parametrize("name", NAMES)
def test_parameters_stay_in_the_graph_without_rows(name: str) -> None:
    fusion = make(name, auxiliary=True).train()
    tokens, present = rows([[True, False, False]])
    del tokens["note"]
    streams = fusion(tokens, present)
    sum(v.sum() for v in streams.vectors.values()).backward()
    assert [n for n, p in fusion.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", [n for n in NAMES if n != "LateFusion"])
def test_missing_is_a_learned_token(name: str) -> None:
    fusion = make(name)
    (missing,) = [p for n, p in fusion.named_parameters() if n.endswith("missing")]
    assert missing.shape == (3, 8)
    assert (missing != 0).all()
    full, part = rows([[True] * 3]), rows([[True, False, True]])
    before = fusion(*full).vectors[FUSED], fusion(*part).vectors[FUSED]
    with torch.no_grad():
        missing += 3 * torch.randn(missing.shape, generator=torch.Generator().manual_seed(1))
    after = fusion(*full).vectors[FUSED], fusion(*part).vectors[FUSED]
    torch.testing.assert_close(before[0], after[0], atol=0, rtol=0)
    assert not torch.allclose(before[1], after[1], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_one_modality_is_enough(name: str) -> None:
    streams = make(name, {"eeg": 8})(*rows([[True], [False]], {"eeg": 8}))
    vector = next(iter(streams.vectors.values()))
    assert torch.isfinite(vector).all()
    assert vector[0].any()
    assert not vector[1].any()


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch_and_half_precision(name: str) -> None:
    fusion = make(name, auxiliary=True)
    assert all(v.shape == (0, 8) for v in fusion(*rows([])).vectors.values())
    tokens, present = rows([[True, False, True], [False, True, False]])
    exact = fusion(tokens, present)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = fusion(tokens, present)
    for stream, vector in exact.vectors.items():
        torch.testing.assert_close(rough.vectors[stream].float(), vector, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_default_width_is_the_largest(name: str) -> None:
    assert FUSIONS.get(name)(DIMS).dim == 8


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(SpecError, match="at least one modality"):
        make("ConcatFusion", {})
    with pytest.raises(SpecError, match="dim 9 is not a multiple of heads 2"):
        make("EarlyFusion", dim=9)
    with pytest.raises(SpecError, match="rank must be at least 1, got 0"):
        FUSIONS.get("LowRankFusion")(DIMS, rank=0)
    with pytest.raises(SpecError, match="queries must be at least 1"):
        FUSIONS.get("CrossAttentionFusion")(DIMS, queries=0)
    tokens, present = rows([[True] * 3])
    with pytest.raises(SpecError, match="'scan' do not fit this fusion"):
        make("ConcatFusion", {"eeg": 8, "note": 4})(tokens, present)
    with pytest.raises(SpecError, match="'eeg' come without a mask"):
        make("ConcatFusion")(tokens, {"note": present["note"], "scan": present["scan"]})
    with pytest.raises(SpecError, match="mask of at least one modality"):
        make("ConcatFusion")({}, {})


def corners(repeats: int) -> tuple[dict[str, Tokens], dict[str, torch.Tensor], torch.Tensor]:
    """The four corners of XOR of the signs of two modalities."""
    bits = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).repeat(repeats, 1)
    tokens, present = {}, {}
    for i, name in enumerate(("left", "right")):
        sign = bits[:, i] * 2.0 - 1.0
        values = sign[:, None, None] * torch.tensor([1.0, -0.5, 0.25, 2.0]).expand(len(bits), 2, 4)
        mask = torch.ones(len(bits), 2, dtype=torch.bool)
        tokens[name] = Tokens(values, mask, masked_mean(values, mask))
        present[name] = torch.ones(len(bits), dtype=torch.bool)
    return tokens, present, (bits[:, 0] ^ bits[:, 1]).float()


@pytest.mark.parametrize("name", NAMES)
def test_xor_of_two_modalities(name: str) -> None:
    """Every fusion but late fusion learns an interaction from a linear head."""
    fusion = make(name, {"left": 4, "right": 4}, dim=16).train()
    heads = torch.nn.ModuleDict({s: torch.nn.Linear(16, 1) for s in fusion.stream_names})
    tokens, present, label = corners(2)
    optimizer = torch.optim.Adam([*fusion.parameters(), *heads.parameters()], lr=1e-2)

    def loss() -> torch.Tensor:
        vectors = fusion(tokens, present).vectors
        logits = [heads[s](vectors[s]).squeeze(1) for s in fusion.stream_names]
        return torch.nn.functional.binary_cross_entropy_with_logits(sum(logits), label)

    for _ in range(200):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    fusion.eval()
    with torch.no_grad():
        value = float(loss())
    if name == "LateFusion":
        # A sum of functions of one bit each cannot beat log 2 on XOR.
        assert value >= 0.693
    else:
        assert value < 0.1
