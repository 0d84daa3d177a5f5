"""ImageAutoencoder: the autoencoder of latent diffusion models, AutoencoderKL of the library diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from zoo.contract import ModalitySpec
from zoo.errors import SpecError, ZooError
from zoo.generation.diffusion.autoencoder import AUTOENCODERS, Autoencoder, Posterior
from zoo.generation.libraries import diffusers_library


@AUTOENCODERS.register
class ImageAutoencoder(Autoencoder):
    """Map (N, C, H, W) images in [-1, 1] to latents (N, Z, H / f, W / f), where f = 2 ** (levels - 1).

    Rombach et al. (CVPR 2022); XGeM section 4.1. The loss is the mean absolute error of pixels, and the divergence
    weighed by ``beta``; there is neither a perceptual nor an adversarial part, as both need weights from elsewhere.

    Args:
        spec: a modality of kind image, whose sides are multiples of f.
        channels: width of each level.
        latent_channels: Z.
        blocks: residual blocks a level.
        beta: weight of the divergence, a mean over latents, against the mean error of pixels.
        pretrained: a local folder of an AutoencoderKL, or its name on the hub; the sizes above are its own then. Grey
            images are repeated to the channels that it takes, and averaged behind it.

    Raises:
        SpecError: a size does not fit, or the weights are not found.
        MissingExtraError: diffusers is not installed.
    """

    kinds = ("image",)

    def __init__(
        self,
        spec: ModalitySpec,
        *,
        channels: Sequence[int] = (16, 32, 64),
        latent_channels: int = 4,
        blocks: int = 1,
        beta: float = 1e-4,
        pretrained: str = "",
    ) -> None:
        super().__init__(spec)
        self.beta = beta
        self.net = _load(pretrained) if pretrained else _new(spec.shape[0], tuple(channels), latent_channels, blocks)
        factor = 2 ** (len(self.net.config.block_out_channels) - 1)
        height, width = spec.shape[1:]
        if height % factor or width % factor:
            raise SpecError(
                f"ImageAutoencoder: '{spec.name}' of {height} x {width} pixels is not a multiple of {factor}, which "
                f"{len(self.net.config.block_out_channels)} levels need; resize the images, or take fewer levels"
            )
        self.latent_shape = (int(self.net.config.latent_channels), height // factor, width // factor)

    def encode(self, x: Tensor) -> Posterior:
        """Map (N, C, H, W) to the Posterior of latents (N, Z, h, w)."""
        if not len(x):
            none = x.new_zeros((0, *self.latent_shape))
            return Posterior(none, none)
        wide = x.expand(-1, int(self.net.config.in_channels), -1, -1) if x.shape[1] == 1 else x
        found = self.net.encode(wide).latent_dist
        return Posterior(found.mean, found.std)

    def decode(self, latent: Tensor) -> Tensor:
        """Map (N, Z, h, w) to images (N, C, H, W), cut to [-1, 1]."""
        return self._image(latent).clamp(-1, 1)

    def _image(self, latent: Tensor) -> Tensor:
        if not len(latent):
            return latent.new_zeros((0, *self.spec.shape))
        out: Tensor = self.net.decode(latent).sample
        return out.mean(1, keepdim=True) if self.spec.shape[0] == 1 else out

    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """Mean absolute error of the pixels of each row, and ``beta`` times the mean divergence: (N,)."""
        posterior = self.encode(x)
        error = F.l1_loss(self._image(posterior.draw(noise)), x, reduction="none").flatten(1).mean(1)
        return error + self.beta * posterior.divergence().flatten(1).mean(1)


def _new(channels: int, widths: tuple[int, ...], latent_channels: int, blocks: int) -> Any:
    """An AutoencoderKL of random weights."""
    if not widths or any(w < 8 or w % 8 for w in widths) or latent_channels < 1 or blocks < 1:
        raise SpecError(
            f"ImageAutoencoder: channels are multiples of 8, latent_channels and blocks positive; got {widths}, "
            f"{latent_channels}, {blocks}"
        )
    return diffusers_library().AutoencoderKL(
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=blocks,
        latent_channels=latent_channels,
        norm_num_groups=8,
    )


def _load(name: str) -> Any:
    """An AutoencoderKL with the weights of a folder or a repository, safetensors only."""
    try:
        return diffusers_library().AutoencoderKL.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, ZooError):
            raise
        raise SpecError(
            f"ImageAutoencoder: pretrained={name!r} cannot be loaded ({str(error).splitlines()[0][:200]}); give a "
            "folder with config.json and diffusion_pytorch_model.safetensors, or '' to train one"
        ) from error
