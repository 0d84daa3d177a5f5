"""Each fusion against its formula, computed by hand."""

from __future__ import annotations

import pytest
import torch

from zoo.contract import Tokens, masked_mean
from zoo.errors import SpecError, UnknownNameError
from zoo.fusion.base import FUSED
from zoo.fusion.concat import ConcatFusion
from zoo.fusion.cross_attention import CrossAttentionFusion
from zoo.fusion.early import EarlyFusion, TokenPacker, length_groups, pool_tokens
from zoo.fusion.gated import GatedFusion
from zoo.fusion.late import LateFusion
from zoo.fusion.low_rank import LowRankFusion


def batch(dims: dict[str, int], size: int = 3, length: int = 4) -> tuple[dict[str, Tokens], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    tokens = {}
    for name, width in dims.items():
        values = torch.randn(size, length, width, generator=generator)
        mask = torch.ones(size, length, dtype=torch.bool)
        tokens[name] = Tokens(values, mask, masked_mean(values, mask))
    return tokens, {name: torch.ones(size, dtype=torch.bool) for name in dims}


def drop(tokens: dict[str, Tokens], present: dict[str, torch.Tensor], name: str) -> None:
    t = tokens[name]
    tokens[name] = Tokens(t.values[:0], t.mask[:0], t.pooled[:0])
    present[name] = torch.zeros_like(present[name])


def test_two_gates_are_the_sigmoid_gate() -> None:
    fusion = GatedFusion({"image": 5, "table": 3}, dim=6).eval()
    torch.nn.init.normal_(fusion.gate[-1].weight)
    tokens, present = batch({"image": 5, "table": 3})
    z = {m: fusion.vectors.project[m](tokens[m].pooled) for m in tokens}
    logits = fusion.gate(torch.cat([z["image"], z["table"]], 1))
    g = torch.sigmoid(logits[:, :1] - logits[:, 1:])
    mixed = g * z["image"] + (1 - g) * z["table"]
    torch.testing.assert_close(fusion(tokens, present).vectors[FUSED], mixed + fusion.mlp(mixed))


@pytest.mark.parametrize("per_dimension", [False, True])
def test_gates_sum_to_one_over_present_modalities(per_dimension: bool) -> None:
    dims = {"a": 4, "b": 4, "c": 4}
    fusion = GatedFusion(dims, dim=4, per_dimension=per_dimension).eval()
    vectors = torch.randn(4, 3, 4)
    mask = torch.tensor([[True, True, True], [True, False, True], [False, True, False], [False] * 3])
    gates = fusion.gates(vectors, mask)
    assert gates.shape == (4, 3, 4 if per_dimension else 1)
    torch.testing.assert_close(gates.sum(1), mask.any(1).float()[:, None].expand(-1, gates.shape[2]))
    assert not gates[~mask].any()
    assert (gates[2, 1] == 1).all()


def test_concatenation_is_sorted_and_filled() -> None:
    fusion = ConcatFusion({"b": 3, "a": 2}, dim=4).eval()
    tokens, present = batch({"b": 3, "a": 2})
    drop(tokens, present, "b")
    first = fusion.vectors.project["a"](tokens["a"].pooled)
    expected = fusion.mlp(torch.cat([first, fusion.vectors.missing[1].expand(3, 4)], 1))
    torch.testing.assert_close(fusion(tokens, present).vectors[FUSED], expected)


def test_low_rank_is_the_sum_of_products() -> None:
    fusion = LowRankFusion({"a": 3, "b": 3}, dim=3, rank=2)
    torch.nn.init.normal_(fusion.bias)
    z = torch.randn(5, 2, 3)
    expected = torch.zeros(5, 3)
    for r in range(2):
        term = torch.ones(5, 3)
        for m in range(2):
            matrix = torch.cat([fusion.weight[m, :, 3 * r : 3 * r + 3], fusion.bias[m, None, 3 * r : 3 * r + 3]])
            term = term * (torch.cat([z[:, m], torch.ones(5, 1)], 1) @ matrix)
        expected = expected + term
    torch.testing.assert_close(fusion.product(z), expected)


def test_low_rank_is_stable_for_thirteen_modalities() -> None:
    torch.manual_seed(0)
    dims = {f"m{i}": 16 for i in range(13)}
    fusion = LowRankFusion(dims, dim=64)
    tokens, present = batch(dims, size=32)
    vectors, mask = fusion.vectors(tokens, present)
    product = (fusion.product(fusion.norm_in(fusion.vectors.fill(vectors, mask))) / fusion.rank).detach()
    # Per rank: mean 1, variance about (1 + 1/13)^13 - 1 = 1.62; the mean of four has a quarter of that.
    assert float(product.mean()) == pytest.approx(1.0, abs=0.15)
    assert float(product.var()) == pytest.approx(1.62 / 4, rel=0.35)
    fusion(tokens, present).vectors[FUSED].square().mean().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() < 10 for p in fusion.parameters())


def test_late_streams_are_projections() -> None:
    fusion = LateFusion({"b": 3, "a": 2}, dim=4)
    tokens, present = batch({"b": 3, "a": 2})
    drop(tokens, present, "b")
    streams = fusion(tokens, present)
    torch.testing.assert_close(streams.vectors["a"], fusion.vectors.project["a"](tokens["a"].pooled))
    assert not streams.vectors["b"].any()
    assert fusion.stream_names == ("b", "a")


def test_late_weights() -> None:
    dims = {"b": 3, "a": 2, "c": 2}
    equal = LateFusion(dims)
    assert not equal.trains_combination
    assert not equal.voting
    assert equal.stream_weights("anything").tolist() == pytest.approx([1 / 3] * 3)
    assert LateFusion(dims, combine="voting").voting
    learned = LateFusion(dims, combine="learned")
    assert learned.trains_combination
    with pytest.raises(SpecError, match="call bind"):
        learned.stream_weights("x")
    learned.bind(("x", "y"))
    assert learned.stream_weights("y").tolist() == pytest.approx([1 / 3] * 3)
    with torch.no_grad():
        learned.combination[1] = torch.tensor([0.0, 1.0, 2.0])  # of a, b, c
    expected = torch.tensor([1.0, 0.0, 2.0]).softmax(0)  # of b, a, c
    torch.testing.assert_close(learned.stream_weights("y").detach(), expected)
    learned.stream_weights("y")[0].backward()
    assert learned.combination.grad[1].abs().min() > 0
    assert not learned.combination.grad[0].any()
    with pytest.raises(UnknownNameError, match="did you mean"):
        learned.stream_weights("xx")
    with pytest.raises(SpecError, match="repeat"):
        learned.bind(("x", "x"))
    with pytest.raises(UnknownNameError, match="'average'"):
        LateFusion(dims, combine="averag")  # type: ignore[arg-type]


def test_pooling_averages_adjacent_real_tokens() -> None:
    values = torch.arange(10.0).view(1, 10, 1).repeat(3, 1, 1)
    mask = torch.zeros(3, 10, dtype=torch.bool)
    mask[0] = True  # 10 tokens in 4 bins: floor(r * 4 / 10) = 0 0 0 1 1 2 2 2 3 3
    mask[1, [1, 4, 9]] = True  # 3 tokens: kept as they are
    values[~mask] = float("nan")
    pooled, real = pool_tokens(values, mask, 4)
    assert pooled[0, :, 0].tolist() == [1.0, 3.5, 6.0, 8.5]
    assert pooled[1, :3, 0].tolist() == [1.0, 4.0, 9.0]
    assert real.tolist() == [[True] * 4, [True] * 3 + [False], [False] * 4]
    assert torch.isfinite(pooled).all()


@pytest.mark.parametrize("kind", [EarlyFusion, CrossAttentionFusion])
def test_padding_is_irrelevant(kind: type) -> None:
    torch.manual_seed(0)
    fusion = kind({"a": 4}, dim=8, max_tokens=3).eval()
    tokens, present = batch({"a": 4}, length=7)
    t = tokens["a"]
    longer = torch.cat([t.values, torch.full((3, 20, 4), float("nan"))], 1)
    padded = {"a": Tokens(longer, torch.cat([t.mask, torch.zeros(3, 20, dtype=torch.bool)], 1), t.pooled)}
    one, two = fusion(tokens, present).vectors[FUSED], fusion(padded, present).vectors[FUSED]
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)


def test_sequences_are_as_long_as_what_is_there() -> None:
    dims = {f"m{i}": 4 for i in range(13)}
    packer = TokenPacker(dims, 8, max_tokens=5)
    tokens, present = batch(dims, size=2, length=9)
    for i in range(1, 13):
        t = tokens[f"m{i}"]
        tokens[f"m{i}"] = Tokens(t.values[:1], t.mask[:1], t.pooled[:1])
        present[f"m{i}"] = torch.tensor([True, False])
    packed, lengths, mask = packer(tokens, present)
    assert lengths.tolist() == [1 + 13 * 5, 1 + 5]
    assert packed.shape == (2, 66, 8)
    assert not packed[1, 6:].any()
    assert mask.sum(1).tolist() == [13, 1]
    assert [(rows.tolist(), width) for rows, width in length_groups(lengths)] == [([1], 6), ([0], 66)]


@pytest.mark.parametrize("kind", [EarlyFusion, CrossAttentionFusion])
def test_transformers_see_which_modality_a_token_is_from(kind: type) -> None:
    torch.manual_seed(0)
    fusion = kind({"a": 4, "b": 4}, dim=8).eval()
    fusion.packer.project["b"].load_state_dict(fusion.packer.project["a"].state_dict())
    with torch.no_grad():
        fusion.packer.missing.zero_()
    tokens, present = batch({"a": 4})
    here, there = present["a"], torch.zeros_like(present["a"])
    empty = {"values": tokens["a"].values[:0], "mask": tokens["a"].mask[:0], "pooled": tokens["a"].pooled[:0]}
    as_a = fusion({"a": tokens["a"], "b": Tokens(**empty)}, {"a": here, "b": there}).vectors[FUSED]
    as_b = fusion({"b": tokens["a"], "a": Tokens(**empty)}, {"b": here, "a": there}).vectors[FUSED]
    assert not torch.allclose(as_a, as_b, atol=1e-5)
