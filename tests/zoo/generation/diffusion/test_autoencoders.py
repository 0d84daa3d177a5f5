"""Every registered autoencoder: shapes, no rows, learning four rows by heart; and losses by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.errors import SpecError
from zoo.generation.diffusion.autoencoder import AUTOENCODERS, Posterior, Standard, default_autoencoder
from zoo.generation.diffusion.text_autoencoder import TextAutoencoder
from zoo.generation.diffusion.vector_autoencoder import VectorAutoencoder

IMAGE = ModalitySpec("xray", "image", (1, 16, 16))
TEXT = ModalitySpec("report", "text", (8,), vocab_size=20)
SIGNAL = ModalitySpec("eeg", "signal", (2, 50))
TABLE = ModalitySpec("blood", "tabular", (6,), cardinalities=(0,) * 6)
CASES: dict[str, tuple[ModalitySpec, dict[str, Any], int, float]] = {
    "ImageAutoencoder": (IMAGE, {"channels": (16, 32), "beta": 1e-6}, 150, 0.25),
    "TextAutoencoder": (TEXT, {"latent": 8, "dim": 32, "depth": 1, "word_dropout": 0.0}, 250, 0.1),
    "SignalAutoencoder": (SIGNAL, {"channels": (16, 16), "beta": 1e-6}, 250, 0.4),
    "IdentityAutoencoder": (TABLE, {}, 0, 1e-6),
    "VectorAutoencoder": (TABLE, {"latent": 4, "hidden": 32, "beta": 1e-6}, 200, 0.1),
}
"""Class -> modality, options, steps, and the loss that four rows are learned to."""


def rows(spec: ModalitySpec, count: int = 4) -> Tensor:
    """Random rows of a modality; texts end in padding."""
    draw = torch.Generator().manual_seed(3)
    if spec.is_integer:
        codes = torch.randint(5, 20, (count, *spec.shape), generator=draw)
        return codes * (torch.arange(spec.shape[0]) < torch.tensor([[3], [5], [8], [6]])[:count])
    coarse = torch.randn((count, *(max(1, n // 8) for n in spec.shape)), generator=draw)
    grown = coarse
    for dim, size in enumerate(spec.shape, 1):
        grown = grown.repeat_interleave(-(-size // grown.shape[dim]), dim).narrow(dim, 0, size)
    return grown.tanh() if spec.kind == "image" else grown


def test_every_autoencoder_has_a_case() -> None:
    assert set(AUTOENCODERS.names()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_no_rows(name: str) -> None:
    spec, options, _, _ = CASES[name]
    net: Any = AUTOENCODERS.get(name)(spec, **options)
    x = rows(spec)
    for part in (x, x[:0]):
        posterior = net.encode(part)
        assert posterior.mean.shape == posterior.sigma.shape == (len(part), *net.latent_shape)
        back = net.decode(posterior.mean)
        assert back.shape == part.shape
        assert back.dtype == part.dtype
        assert net.loss(part, torch.zeros((len(part), *net.latent_shape)), 0.5).shape == (len(part),)


@pytest.mark.parametrize("name", CASES)
def test_four_rows_are_learned_by_heart(name: str) -> None:
    spec, options, steps, limit = CASES[name]
    torch.manual_seed(0)
    net: Any = AUTOENCODERS.get(name)(spec, **options)
    x = rows(spec)
    net.learn(x)
    if steps:
        optimizer = torch.optim.Adam(net.parameters(), 5e-3)
        for step in range(steps):
            noise = torch.randn((4, *net.latent_shape), generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            net.loss(x, noise, 0.0).mean().backward()
            optimizer.step()
    net.eval()
    mean = net.encode(x).mean
    assert net.loss(x, torch.zeros_like(mean), 0.0).mean() < limit
    if spec.is_integer:
        assert (net.decode(mean) == x).float().mean() > 0.9


def test_a_kind_without_an_autoencoder_of_its_own_takes_that_of_vectors() -> None:
    assert default_autoencoder(TABLE) is VectorAutoencoder
    assert default_autoencoder(IMAGE).__name__ == "ImageAutoencoder"
    assert default_autoencoder(ModalitySpec("gene", "dna", (12,))) is TextAutoencoder
    with pytest.raises(SpecError, match="autoencoders that take it: IdentityAutoencoder"):
        TextAutoencoder(TABLE)


def test_the_divergence_is_that_of_two_normals() -> None:
    posterior = Posterior(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 1.0]]))
    own = torch.distributions.Normal(posterior.mean, posterior.sigma)
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.divergence(), expected)
    torch.testing.assert_close(posterior.draw(torch.tensor([[2.0, 3.0]])), torch.tensor([[2.0, 3.0]]))


def test_the_words_of_a_text_cost_what_the_logits_say() -> None:
    torch.manual_seed(0)
    net = TextAutoencoder(TEXT, latent=4, dim=32, depth=2).eval()
    x = torch.tensor([[7, 9, 5, 0, 0, 0, 0, 0]])
    latent = torch.randn(1, 4)
    losses, written = net.word_losses(x, latent)
    assert written.tolist() == [[True, True, True, True, False, False, False, False]]  # and the padding behind it
    codes = torch.tensor([[net.codes, 7, 9, 5]])
    logits, _ = net._logits(codes, latent, net._memory(latent), 0)
    expected = -logits.log_softmax(-1)[0, torch.arange(4), torch.tensor([7, 9, 5, 0])]
    torch.testing.assert_close(losses[0, :4], expected)


def test_the_weight_of_the_divergence_follows_one_cycle_and_leaves_free_bits() -> None:
    torch.manual_seed(0)
    net = TextAutoencoder(TEXT, latent=4, dim=32, depth=1, beta=2.0, free_bits=0.5).eval()
    x, noise = rows(TEXT), torch.zeros(4, 4)
    words = net.word_losses(x, net.encode(x).mean)[1].sum(1)
    at = [net.loss(x, noise, p) for p in (0.0, 0.5, 0.625, 0.75, 1.0)]
    free = net.encode(x).divergence().clamp_min(0.5).sum(1)
    torch.testing.assert_close(at[1], at[0])
    torch.testing.assert_close(at[2] - at[0], free / words)
    torch.testing.assert_close(at[4] - at[0], 2 * free / words)
    torch.testing.assert_close(at[3], at[4])


def test_a_text_word_by_word_has_the_logits_of_the_text_at_once() -> None:
    torch.manual_seed(1)
    net = TextAutoencoder(TEXT, latent=4, dim=32, depth=2).eval()
    latent, codes = torch.randn(3, 4), torch.randint(5, 20, (3, 6))
    whole, _ = net._logits(codes, latent, net._memory(latent), 0)
    cache = net._memory(latent)
    for place in range(6):
        one, cache = net._logits(codes[:, place : place + 1], latent, cache, place)
        torch.testing.assert_close(one[:, 0], whole[:, place])
    changed, _ = net._logits(codes.roll(1, 0), latent, net._memory(latent), 0)
    assert not torch.allclose(changed, whole)  # what stands before is read
    torch.testing.assert_close(net.decode(latent)[1:2], net.decode(latent[1:2]))


def test_latents_are_standardised_by_their_own_spread_and_back() -> None:
    mean = torch.randn(200, 3, 4, generator=torch.Generator().manual_seed(0)) * 2 + 5
    posterior = Posterior(mean, torch.full_like(mean, 0.5))
    scale = Standard((3, 4))
    scale.learn(posterior)
    out = scale(mean)
    assert out.mean((0, 2)).abs().max() < 1e-5
    expected = (mean.var((0, 2), unbiased=False) + 0.25).sqrt()
    torch.testing.assert_close(scale.scale.flatten(), expected)
    torch.testing.assert_close(scale.invert(out), mean)
