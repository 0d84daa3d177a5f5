"""Every registered denoiser, the diffusion process by hand and against diffusers, and the noise of a row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.generation.diffusion.denoiser import DENOISERS, default_denoiser
from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.diffusion.process import DiffusionOptions, Process, SamplingOptions

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "ImageDenoiser": ((2, 4, 4), {"channels": (16, 32)}),
    "VectorDenoiser": ((6,), {"widths": (32, 16)}),
    "SignalDenoiser": ((4, 13), {"channels": (16, 32)}),
}


def test_every_denoiser_has_a_case() -> None:
    assert set(DENOISERS.names()) == set(CASES)
    assert {default_denoiser(shape).__name__ for shape, _ in CASES.values()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_no_rows(name: str) -> None:
    shape, options = CASES[name]
    net: Any = DENOISERS.get(name)(shape, 12, **options)
    for n in (3, 0):
        out = net(torch.randn(n, *shape), torch.arange(n), torch.randn(n, 1, 12))
        assert out.shape == (n, *shape)
    with pytest.raises(SpecError, match="denoisers that take them"):
        DENOISERS.get(name)((2, 2, 2, 2), 12)


@pytest.mark.parametrize("name", CASES)
def test_what_stands_beside_a_denoiser_adds_to_its_features_and_is_no_part_of_it(name: str) -> None:
    shape, options = CASES[name]
    torch.manual_seed(0)
    net: Any = DENOISERS.get(name)(shape, 12, **options)
    told = torch.randn(2, *shape), torch.tensor([5, 900]), torch.randn(2, 1, 12)
    before, weights = net(*told), len(net.state_dict())
    beside = nn.Linear(net.width, net.width)
    net.beside.append(beside)
    assert not torch.allclose(net(*told), before)
    nn.init.zeros_(beside.weight)
    nn.init.zeros_(beside.bias)
    torch.testing.assert_close(net(*told), before)
    assert len(net.state_dict()) == weights


@pytest.mark.parametrize("name", CASES)
def test_one_row_for_each_prompt_is_learned_by_heart(name: str) -> None:
    """Two prompts, two latents: a denoiser that listens to its context draws the one that it is told."""
    shape, options = CASES[name]
    torch.manual_seed(0)
    net: Any = DENOISERS.get(name)(shape, 12, **options)
    process = Process(DiffusionOptions(prediction="v_prediction"))
    clean = torch.stack([torch.ones(shape), -torch.ones(shape)]).repeat(8, *[1] * len(shape))
    context = torch.eye(12)[:2].unsqueeze(1).repeat(8, 1, 1) * 3
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    names = [str(k) for k in range(16)]
    for number in range(100):
        noise = RowNoise(0, str(number), names)
        step, added = noise.integers(1000), noise.normal(shape)
        optimizer.zero_grad()
        predicted = net(process.noised(clean, added, step), step, context)
        process.losses(predicted, clean, added, step).mean().backward()
        optimizer.step()
    net.eval()

    def predict(noisy: dict[str, Tensor], step: Tensor) -> dict[str, Tensor]:
        return {"x": net(noisy["x"], step.expand(16), context)}

    made = process.sample(predict, {"x": shape}, RowNoise(1, "", names), SamplingOptions(steps=20))
    assert (made["x"] - clean).flatten(1).mean(1).abs().max() < 0.8  # the other latent is 2 away


def test_noise_is_added_by_the_published_schedule() -> None:
    process = Process(DiffusionOptions())
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = (1 - betas).cumprod(0)
    clean, noise, step = torch.ones(2, 3), torch.full((2, 3), 2.0), torch.tensor([0, 999])
    expected = kept[step].sqrt() * 1 + (1 - kept[step]).sqrt() * 2
    torch.testing.assert_close(process.noised(clean, noise, step)[:, 0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(process.losses(noise + 1, clean, noise, step), torch.ones(2))
    velocity = Process(DiffusionOptions(prediction="v_prediction"))
    kept = velocity._training.alphas_cumprod  # rescaled, so that nothing is left in the last step
    assert float(kept[-1]) < 1e-7
    aim = kept[step].sqrt() * 2 - (1 - kept[step]).sqrt() * 1
    found = velocity.losses(aim.unsqueeze(1).expand(2, 3), clean, noise, step)
    torch.testing.assert_close(found, torch.zeros(2), atol=1e-9, rtol=0)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_perfect_prediction_is_sampled_to_the_truth(sampler: Any, prediction: Any) -> None:
    process = Process(DiffusionOptions(prediction=prediction))
    kept = process._training.alphas_cumprod
    truth = torch.tensor([[0.7, -0.3, 1.2]]).repeat(2, 1)

    def predict(noisy: dict[str, Tensor], step: Tensor) -> dict[str, Tensor]:
        signal, rest = kept[int(step)].clamp_min(0).sqrt(), (1 - kept[int(step)]).sqrt()
        noise = (noisy["x"] - signal * truth) / rest
        return {"x": noise if prediction == "epsilon" else signal * noise - rest * truth}

    made = process.sample(
        predict, {"x": (3,)}, RowNoise(0, "", ["a", "b"]), SamplingOptions(steps=30, sampler=sampler)
    )
    torch.testing.assert_close(made["x"], truth, atol=0.03, rtol=0)


@given(st.permutations(list("abcdef")), st.integers(1, 6))
def test_the_noise_of_a_row_does_not_depend_on_the_rows_beside_it(order: list[str], count: int) -> None:
    rows = order[:count]
    noise, alone = RowNoise(4, "step 2", rows), RowNoise(4, "step 2", rows[-1:])
    for draw in (lambda n: n.normal((2, 2)), lambda n: n.uniform(), lambda n: n.integers(1000)):
        assert torch.equal(draw(noise)[-1], draw(alone)[0])
    assert not torch.equal(RowNoise(4, "step 2", ["a"]).normal((4,)), RowNoise(5, "step 2", ["a"]).normal((4,)))
    assert not torch.equal(RowNoise(4, "step 2", ["a"]).normal((4,)), RowNoise(4, "step 3", ["a"]).normal((4,)))


def test_options_out_of_range_are_refused() -> None:
    for wrong in ({"sampler": "euler"}, {"steps": 0}, {"eta": 2.0}):
        with pytest.raises(SpecError):
            SamplingOptions(**wrong)  # type: ignore[arg-type]
    for wrong in ({"prediction": "x0"}, {"drop": 1.0}, {"beta_start": 0.5}):
        with pytest.raises(SpecError):
            DiffusionOptions(**wrong)  # type: ignore[arg-type]
