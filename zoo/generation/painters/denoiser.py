"""The network of SmallDiffusion, and how it is trained and sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.generation.libraries import diffusers_library
from zoo.generation.painters.conditioning import ConditionEmbedding, Conditions

TIMESTEPS = 1000
"""Noise levels that training knows."""


class Denoiser(nn.Module):
    """A UNet (diffusers.UNet2DModel) that is told a row: (N, 3, S, S), (N,) steps and conditions to (N, 3, S, S).

    Attention works where the picture is smallest; the vector of the conditions is added to that of the step.

    Args:
        conditions: columns that it is told.
        size: S, a multiple of 2 ** (levels - 1).
        channels: width of each level, multiples of 8.
    """

    def __init__(self, conditions: Conditions, size: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        plain = len(channels) - 1
        self.unet = diffusers_library().UNet2DModel(
            sample_size=size,
            block_out_channels=channels,
            down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=min(32, channels[-1]),
            class_embed_type="identity",
        )
        self.embedding = ConditionEmbedding(conditions, 4 * channels[0])

    def forward(self, noisy: Tensor, step: Tensor, values: Tensor, codes: Tensor, told: Tensor) -> Tensor:
        """Predict the noise or the velocity, whichever it is trained on.

        Args:
            noisy: (N, 3, H, W) noisy pictures.
            step: (N,) steps of the noise schedule.
            values: (N, 2 F) numbers of the condition.
            codes: (N, C) categories of the condition.
            told: (N,) False where the condition shall not be told.
        """
        out: Tensor = self.unet(noisy, step, class_labels=self.embedding(values, codes, told)).sample
        return out


def make_schedule(prediction: str) -> Any:
    """Noise schedule: 1000 steps, cosine (Nichol and Dhariwal 2021, equation 17), sampled by DDIM (Song et al. 2021).

    With v-prediction the last step is pure noise (Lin et al. 2024, section 3.1), so that mean colours are learned;
    noise prediction is not defined there and keeps the schedule as it is.
    """
    return diffusers_library().DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=prediction,
        timestep_spacing="trailing",
        rescale_betas_zero_snr=prediction == "v_prediction",
        clip_sample=True,
    )


@dataclass(frozen=True)
class Plan:
    """How a Denoiser is trained.

    Attributes:
        steps: updates.
        batch_size: rows an update, drawn without repetition until all rows were seen.
        learning_rate: highest rate of AdamW; one cycle, 10 % of the updates up, then down by a cosine.
        drop: probability that a row is told nothing (classifier-free guidance).
        ema: decay of the averaged weights, which are the ones kept; lower in the first updates: (1 + n) / (10 + n).
        flip: "none", "horizontal" or "both": pictures may be mirrored.
        prediction: "v_prediction" or "epsilon".
    """

    steps: int
    batch_size: int
    learning_rate: float
    drop: float
    ema: float
    flip: str
    prediction: str


def train(
    model: Denoiser, images: Tensor, values: Tensor, codes: Tensor, plan: Plan, seed: int, progress: bool
) -> float:
    """Train ``model`` in place and leave it with the averaged weights, frozen.

    Args:
        model: the network.
        images: (N, 3, S, S) float in -1 .. 1, on the CPU like all that is drawn at random.
        values: (N, 2 F) of Conditions.encode.
        codes: (N, C) of Conditions.encode.
        plan: how.
        seed: of order, noise, steps, drops and flips.
        progress: whether a bar is shown.

    Returns:
        Mean loss of the last tenth of the updates.
    """
    from diffusers.training_utils import EMAModel
    from rich.progress import track

    random = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    schedule = make_schedule(plan.prediction)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, total_steps=plan.steps + 1, pct_start=0.1, cycle_momentum=False
    )
    ema = EMAModel(list(model.parameters()), decay=plan.ema)
    order = _order(len(images), min(plan.batch_size, len(images)), random)
    losses: list[float] = []
    model.train()
    for _ in track(range(plan.steps), "diffusion", disable=not progress, transient=True):
        rows = next(order)
        clean = _flipped(images[rows], plan.flip, random)
        noise = torch.randn(clean.shape, generator=random)
        step = torch.randint(0, TIMESTEPS, (len(rows),), generator=random)
        told = torch.rand(len(rows), generator=random) >= plan.drop
        noisy = schedule.add_noise(clean, noise, step)
        aim = schedule.get_velocity(clean, noise, step) if plan.prediction == "v_prediction" else noise
        given = (t.to(device) for t in (noisy, step, values[rows], codes[rows], told))
        loss = nn.functional.mse_loss(model(*given), aim.to(device))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        ema.step(model.parameters())
        losses.append(float(loss.detach()))
    ema.copy_to(model.parameters())
    model.requires_grad_(False).eval()
    last = losses[-max(1, plan.steps // 10) :]
    return sum(last) / len(last)


def _order(rows: int, size: int, random: torch.Generator) -> Iterator[Tensor]:
    """Batches of row numbers for ever; what is left of a pass is drawn with the next one."""
    left = torch.zeros(0, dtype=torch.long)
    while True:
        while len(left) < size:
            left = torch.cat([left, torch.randperm(rows, generator=random)])
        yield left[:size]
        left = left[size:]


def _flipped(images: Tensor, flip: str, random: torch.Generator) -> Tensor:
    for dim in {"none": (), "horizontal": (3,), "both": (3, 2)}[flip]:
        chosen = torch.rand(len(images), generator=random) < 0.5
        images = torch.where(chosen[:, None, None, None], images.flip(dim), images)
    return images


@torch.no_grad()
def sample(
    model: Denoiser, noise: Tensor, values: Tensor, codes: Tensor, prediction: str, steps: int, guidance: float
) -> Tensor:
    """Draw pictures (N, 3, S, S) in -1 .. 1 from ``noise`` of that shape, by DDIM without further noise.

    The prediction is nothing + guidance * (told - nothing) (Ho and Salimans 2022; here 1 is no guidance).

    Args:
        model: the trained network.
        noise: where each row starts, which decides it.
        values: (N, 2 F) of Conditions.encode.
        codes: (N, C) of Conditions.encode.
        prediction: what the network predicts.
        steps: of DDIM.
        guidance: weight.
    """
    schedule = make_schedule(prediction)
    schedule.set_timesteps(steps)
    device = next(model.parameters()).device
    picture, values, codes = (t.to(device) for t in (noise, values, codes))
    rows = len(noise)
    told = torch.arange(2 * rows, device=device) < rows
    for step in schedule.timesteps:
        both = torch.full((2 * rows,), int(step), device=device)
        if guidance == 1.0:
            mixed = model(picture, both[:rows], values, codes, told[:rows])
        else:
            twice = (t.repeat(2, *(1,) * (t.ndim - 1)) for t in (values, codes))
            with_it, without = model(picture.repeat(2, 1, 1, 1), both, *twice, told).chunk(2)
            mixed = without + guidance * (with_it - without)
        picture = schedule.step(mixed, step, picture, eta=0.0).prev_sample
    return picture.clamp(-1, 1).cpu()
