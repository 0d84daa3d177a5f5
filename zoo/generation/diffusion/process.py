"""The diffusion process: how noise is added, what is to be predicted, and how noise is taken away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.generation.diffusion.noise import RowNoise
from zoo.generation.libraries import diffusers_library

SAMPLERS = {"ddim": "DDIMScheduler", "ddpm": "DDPMScheduler", "dpm": "DPMSolverMultistepScheduler"}
"""Name -> scheduler of the library diffusers: Song et al. 2021; Ho et al. 2020; Lu et al. 2022."""


@dataclass(frozen=True)
class DiffusionOptions:
    """The noise schedule, and what a denoiser predicts. The defaults are those of XGeM.

    Attributes:
        prediction: "epsilon" for the noise (Ho et al. 2020), "v_prediction" for the velocity (Salimans and Ho 2022).
            With the velocity the last step is pure noise (Lin et al. 2024); with the noise it keeps a trace of the
            latent, so that small models draw what the mean of their first noise happens to say.
        timesteps: noise levels that training knows.
        schedule: of diffusers, such as "scaled_linear" or "squaredcos_cap_v2".
        beta_start: variance that the first step adds, for linear schedules.
        beta_end: variance that the last step adds, for linear schedules.
        drop: probability that training tells a row nothing (classifier-free guidance: Ho and Salimans 2022).
    """

    prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    timesteps: int = 1000
    schedule: str = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    drop: float = 0.1

    def __post_init__(self) -> None:
        if self.prediction not in ("epsilon", "v_prediction"):
            raise SpecError(f"diffusion.prediction is epsilon or v_prediction, got {self.prediction!r}")
        if self.timesteps < 2 or not 0 <= self.drop < 1 or not 0 < self.beta_start < self.beta_end < 1:
            raise SpecError(
                f"diffusion: timesteps are 2 or more, drop lies in [0, 1) and 0 < beta_start < beta_end < 1; got "
                f"{self.timesteps}, {self.drop}, {self.beta_start}, {self.beta_end}"
            )


@dataclass(frozen=True)
class SamplingOptions:
    """How noise is turned into latents.

    Attributes:
        steps: of the sampler; the paper takes 50.
        guidance: weight of classifier-free guidance, nothing + guidance * (told - nothing): 1 for none. The paper
            takes 7.5; small models that are trained on little do best between 1 and 3.
        sampler: "ddim", "ddpm" or "dpm".
        eta: noise that DDIM adds at each step, 0 for none to 1 for that of DDPM; only DDIM reads it.
    """

    steps: int = 25
    guidance: float = 2.0
    sampler: Literal["ddim", "ddpm", "dpm"] = "ddim"
    eta: float = 0.0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise SpecError(f"sampler {self.sampler!r} is unknown; known: {', '.join(SAMPLERS)}")
        if self.steps < 1 or self.guidance < 0 or not 0 <= self.eta <= 1:
            raise SpecError(
                f"sampling: steps are 1 or more, guidance 0 or more and eta lies in [0, 1]; got {self.steps}, "
                f"{self.guidance}, {self.eta}"
            )


class Process:
    """Add noise to latents for training, and take it away step by step.

    Args:
        options: the schedule and the prediction.
    """

    def __init__(self, options: DiffusionOptions) -> None:
        self.options = options
        self._training = self._scheduler("ddpm")

    def _scheduler(self, sampler: str) -> Any:
        told: dict[str, Any] = {
            "num_train_timesteps": self.options.timesteps,
            "beta_schedule": self.options.schedule,
            "prediction_type": self.options.prediction,
            "timestep_spacing": "trailing",
            "rescale_betas_zero_snr": self.options.prediction == "v_prediction",
        }
        if "linear" in self.options.schedule:
            told |= {"beta_start": self.options.beta_start, "beta_end": self.options.beta_end}
        if sampler != "dpm":
            told["clip_sample"] = False  # latents have no range
        return getattr(diffusers_library(), SAMPLERS[sampler])(**told)

    def noised(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Latents with the noise of their steps.

        Args:
            clean: (N, ...) latents.
            noise: (N, ...) standard normal.
            step: (N,) steps of the schedule.
        """
        if not len(clean):
            return clean
        out: Tensor = self._training.add_noise(clean, noise, step)
        return out

    def losses(self, predicted: Tensor, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Mean squared error of each row (N,) against the noise or the velocity."""
        if not len(clean):
            return predicted.flatten(1).sum(1)
        velocity = self.options.prediction == "v_prediction"
        aim = self._training.get_velocity(clean, noise, step) if velocity else noise
        return (predicted - aim).square().flatten(1).mean(1)

    @torch.no_grad()
    def sample(
        self,
        predict: Callable[[dict[str, Tensor], Tensor], Mapping[str, Tensor]],
        shapes: Mapping[str, tuple[int, ...]],
        noise: RowNoise,
        options: SamplingOptions,
        device: torch.device | str = "cpu",
    ) -> dict[str, Tensor]:
        """Draw latents of one or several modalities together.

        Args:
            predict: maps noisy latents by modality, and a step (), to the predictions by modality.
            shapes: modality -> sizes of the latent of a row.
            noise: random numbers of each of N rows.
            options: of the sampler.
            device: where it is computed.

        Returns:
            Modality -> (N, *shape).
        """
        schedulers = {m: self._scheduler(options.sampler) for m in shapes}
        for scheduler in schedulers.values():
            scheduler.set_timesteps(options.steps)
        extra: dict[str, Any] = {"generator": noise.generators} if options.sampler != "dpm" else {}
        if options.sampler == "ddim":
            extra["eta"] = options.eta
        latents = {m: noise.normal(shape, device) for m, shape in shapes.items()}
        for step in next(iter(schedulers.values())).timesteps:
            predicted = predict(latents, step.to(device))
            latents = {
                m: s.step(predicted[m].float(), step, latents[m], **extra).prev_sample for m, s in schedulers.items()
            }
        return latents
