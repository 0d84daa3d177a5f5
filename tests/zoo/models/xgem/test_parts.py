"""Subsets and weights of prompts, InfoNCE by hand, latents in batches, and attention to what is made beside."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.contract import ModalitySpec, by_name
from zoo.errors import SpecError, UnknownNameError
from zoo.generation.contrastive.info_nce import info_nce
from zoo.generation.diffusion.autoencoder import Posterior
from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.diffusion.process import DiffusionOptions, SamplingOptions
from zoo.generation.request import GenerationRequest
from zoo.models.xgem.latents import LatentBatch, LatentLoader, joined
from zoo.models.xgem.multi_prompt import MultiPrompt
from zoo.models.xgem.options import AlignmentOptions, PromptOptions, StageOptions, XGeMTraining
from zoo.models.xgem.parts import Parts
from zoo.models.xgem.sampling import make_latents

BLOOD, GENES, TEXT = (
    ModalitySpec("blood", "tabular", (3,), cardinalities=(0, 0, 0)),
    ModalitySpec("genes", "tabular", (5,), cardinalities=(0,) * 5),
    ModalitySpec("note", "text", (6,), vocab_size=12),
)


def parts(**training: object) -> Parts:
    torch.manual_seed(0)
    told = XGeMTraining(**training)  # type: ignore[arg-type]
    return Parts(by_name([BLOOD, GENES, TEXT]), {}, {}, {}, PromptOptions(dim=8), DiffusionOptions(), told).eval()


def test_every_subset_of_what_a_row_has_is_as_likely() -> None:
    prompt = MultiPrompt(["a", "b", "c"], PromptOptions(dim=4))
    n = 3000
    present = {"a": torch.ones(n).bool(), "b": torch.zeros(n).bool(), "c": torch.ones(n).bool()}
    drawn = prompt.draw(present, RowNoise(0, "x", [str(k) for k in range(n)]))
    counts = Counter(tuple(row) for row in drawn.tolist())
    assert set(counts) == {(True, False, False), (False, False, True), (True, False, True)}
    assert all(abs(c / n - 1 / 3) < 0.04 for c in counts.values())
    single = MultiPrompt(["a", "b", "c"], PromptOptions(dim=4, multi_prompt=False))
    ones = single.draw(present, RowNoise(0, "x", [str(k) for k in range(n)]))
    assert (ones.sum(1) == 1).all()
    assert not ones[:, 1].any()
    assert abs(float(ones[:, 0].float().mean()) - 0.5) < 0.04


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(["equal", "dirichlet", "learned"]),
)
def test_weights_sum_to_one_over_what_is_told(rows: list[list[bool]], alpha: str) -> None:
    prompt = MultiPrompt(["a", "b", "c"], PromptOptions(dim=4, alpha=alpha))  # type: ignore[arg-type]
    has = torch.tensor(rows)
    noise = RowNoise(1, "x", [str(k) for k in range(len(rows))])
    told = prompt.draw({m: has[:, k] for k, m in enumerate("abc")}, noise)
    assert not (told & ~has).any()
    assert (told.any(1) == has.any(1)).all()
    weights = prompt.weights(told, noise)
    assert (weights[~told] == 0).all()
    torch.testing.assert_close(weights.sum(1), told.any(1).float())


def test_the_context_is_the_weighed_sum_of_the_vectors() -> None:
    prompt = MultiPrompt(["a", "b"], PromptOptions(dim=4))
    torch.nn.init.constant_(prompt.empty, 7.0)
    vectors = {"a": torch.eye(4)[:2], "b": torch.eye(4)[2:]}
    present = {"a": torch.tensor([True, True, False]), "b": torch.tensor([True, False, True])}
    told = torch.tensor([[True, True], [False, False], [False, True]])
    context = prompt(vectors, present, told)[:, 0]
    torch.testing.assert_close(context[0], torch.tensor([1.0, 0.0, 1.0, 0.0]))  # 2 * (e0 + e2) / 2
    torch.testing.assert_close(context[1], torch.full((4,), 7.0))
    torch.testing.assert_close(context[2], torch.tensor([0.0, 0.0, 0.0, 2.0]))


def test_info_nce_by_hand_in_both_directions() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    rows = [math.log(math.e**2 + 1) - 2, math.log(math.exp(1.2) + math.exp(1.6)) - 1.6]
    columns = [math.log(math.e**2 + math.exp(1.2)) - 2, math.log(1 + math.exp(1.6)) - 1.6]
    assert float(info_nce(a, b, torch.tensor(2.0))) == pytest.approx((sum(rows) + sum(columns)) / 4, rel=1e-6)
    assert float(info_nce(a[:1], b[:1], torch.tensor(2.0))) == 0.0


def latents(n: int = 7) -> LatentBatch:
    has = torch.arange(n) % 3 != 1
    mean = torch.arange(int(has.sum())).float().unsqueeze(1)
    return LatentBatch(
        {"a": Posterior(mean, mean * 0)}, {"a": mean + 10}, {"a": has}, tuple(f"r{k}" for k in range(n))
    )


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_rows_of_latents_are_taken_with_what_they_have(places: list[int]) -> None:
    whole = latents()
    part = whole.take(places)
    assert part.ids == tuple(f"r{k}" for k in places)
    assert part.present["a"].tolist() == [k % 3 != 1 for k in places]
    where = {k: i for i, k in enumerate(k for k in range(7) if k % 3 != 1)}
    expected = [float(where[k]) for k in places if k % 3 != 1]
    assert part.latents["a"].mean.flatten().tolist() == expected
    assert part.prompts["a"].flatten().tolist() == [x + 10 for x in expected]
    again = LatentBatch.from_tensors(part.tensors(), part.ids)
    assert torch.equal(again.latents["a"].mean, part.latents["a"].mean)
    assert joined([part, part]).ids == part.ids * 2


def test_two_processes_share_the_batches_of_one_and_a_stopped_loader_goes_on() -> None:
    whole = list(LatentLoader(latents(), batch_size=4, seed=1))
    halves = [list(LatentLoader(latents(), batch_size=2, seed=1, world=2, rank=r)) for r in (0, 1)]
    assert [set(b.ids) for b in whole] == [{*x.ids, *y.ids} for x, y in zip(*halves, strict=True)]
    loader = LatentLoader(latents(), batch_size=2, seed=1)
    first = [b.ids for _ in range(2) for b in loader]
    stopped = LatentLoader(latents(), batch_size=2, seed=1)
    steps = iter(stopped)
    taken = [next(steps).ids, next(steps).ids]
    rest = LatentLoader(latents(), batch_size=2, seed=1)
    rest.load_state_dict(stopped.state_dict())
    assert taken + [b.ids for _ in range(2) for b in rest][: len(first) - 2] == first
    assert [b.ids for b in LatentLoader(latents(), batch_size=3, shuffle=False)][-1] == ("r6",)


def test_a_denoiser_attends_to_the_others_or_to_itself_and_to_nothing_alone() -> None:
    for source in ("other", "self"):
        net = parts(alignment=AlignmentOptions(width=8, context_source=source))  # type: ignore[arg-type]
        noisy = {m: torch.randn(2, *net.shapes[m]) for m in ("blood", "note")}
        tokens = net.tell_latents(noisy)
        told = {m: a.told for m, a in net.attentions.items()}
        assert torch.equal(told["blood"], tokens["note" if source == "other" else "blood"])  # type: ignore[arg-type]
        assert told["genes"] is None
        net.tell_latents({})
        assert all(a.told is None for a in net.attentions.values())


def test_making_together_changes_nothing_before_the_alignment_is_trained_and_something_behind_it() -> None:
    net = parts()
    rows = LatentBatch(
        {m: Posterior(torch.zeros(2, *s), torch.zeros(2, *s)) for m, s in net.shapes.items()},
        {m: torch.nn.functional.normalize(torch.randn(2, 8), dim=1) for m in net.shapes},
        {m: torch.ones(2).bool() for m in net.shapes},
        ("x", "y"),
    )
    how = SamplingOptions(steps=3)

    def made(joint: bool) -> torch.Tensor:
        request = GenerationRequest(("blood", "genes"), ("note",), sampling=how, joint=joint)
        return make_latents(net, rows, request, 0, torch.device("cpu"))["blood"]

    with torch.no_grad():
        for denoiser in net.denoisers.values():
            for p in denoiser.parameters():
                p += 0.02 * torch.randn(p.shape)
    torch.testing.assert_close(made(True), made(False))
    torch.nn.init.normal_(net.attentions["blood"].attention.out_proj.weight)  # type: ignore[union-attr,arg-type]
    assert not torch.allclose(made(True), made(False))
    with pytest.raises(UnknownNameError, match="did you mean 'blood'"):
        make_latents(net, rows, GenerationRequest(("blod",), sampling=how), 0, torch.device("cpu"))
    with pytest.raises(SpecError, match="given and made at once"):
        make_latents(net, rows, GenerationRequest(("blood",), ("blood",), sampling=how), 0, torch.device("cpu"))


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(SpecError, match="steps of 0 or more"):
        StageOptions(steps=-1)
    with pytest.raises(SpecError, match="two at least"):
        Parts(by_name([BLOOD]), {}, {}, {}, PromptOptions(dim=8), DiffusionOptions(), XGeMTraining())
    told = PromptOptions(dim=8, pairs=[["blood", "gene"]])
    with pytest.raises(UnknownNameError, match="did you mean 'genes'"):
        Parts(by_name([BLOOD, GENES]), {}, {}, {}, told, DiffusionOptions(), XGeMTraining())
