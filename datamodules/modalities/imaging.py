"""Images: the processor that brings every image to one size, channel count and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.io.frames import ImageReading
from datamodules.modalities.drawing import LUMA, grey_image, small_image
from zoo.contract import MODALITIES, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality
from zoo.thinning import evenly_spaced
from zoo.values import Cell, Shown

UNIT_WINDOWS = {"HU": (-160.0, 240.0), "relative intensity": (0.0, 1.2)}
"""Windows taken where none is given, by unit: soft tissue for CT (level 40, width 400 HU); in MRI 1 is bright."""
_TINY = 8
"""Below this many pixels a side, uint8 images are resized as floats: torch's uint8 path fails on some."""
FEATURE_SIDE = 16
"""Height and width that images are averaged to for methods without a network."""
_FIT_ROWS = 256
_FIT_PIXELS = 4096


@MODALITIES.register_as("image")
class Image(ModalityKind):
    """Images of shape (C, H, W) in [-1, 1]; raw: numpy (H, W) or (H, W, 3), uint8, uint16 or float32 in the unit.

    Where all frames of a file are read, raw values are (H, W, F), and C is F. In a table, a cell holds the bytes of
    an image file, or names one: whatever ``datamodules.io.images`` reads.
    """

    rank = 3
    encoder = "ViTEncoder"
    processor = "ImageProcessor"
    pixels = True
    transforms = ("torchvision.transforms",)

    @classmethod
    def read(cls, cell: Cell) -> npt.NDArray[Any]:
        """Decode the image in a cell, or in the file that it names."""
        return cell.image()

    @classmethod
    def grey(cls, value: Any) -> npt.NDArray[np.uint8]:
        """The image in 256 levels of grey."""
        return grey_image(np.asarray(value))

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """The image itself, smaller or larger."""
        return Shown(picture=small_image(np.asarray(value), side))

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """Average images (N, C, H, W) to at most FEATURE_SIDE pixels a side, and lay them out flat."""
        sides = (min(FEATURE_SIDE, rows.shape[2]), min(FEATURE_SIDE, rows.shape[3]))
        return functional.adaptive_avg_pool2d(rows.float(), sides).flatten(1)


@dataclass(frozen=True)
class ImageAugmentation:
    """How far training images are altered at random.

    Attributes:
        flip: mirror left and right with probability one half. Off, since many images have a side.
        shift: largest shift in pixels of the tensor, each way; black enters.
        rotation: largest rotation in degrees, each way; black enters.
        brightness: largest change of brightness, each way, as a fraction of the full scale.
        contrast: largest relative change of contrast about the image mean, each way.

    Raises:
        SpecError: a limit is out of range.
    """

    flip: bool = False
    shift: int = 0
    rotation: float = 5.0
    brightness: float = 0.1
    contrast: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("shift", np.inf), ("rotation", 180), ("brightness", 1), ("contrast", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise SpecError(f"ImageProcessor: {name} must be from 0 to {most}, got {getattr(self, name)}")


@PROCESSORS.register
class ImageProcessor(Processor):
    """Map an image (H, W) or (H, W, 3) to a float32 tensor (C, size, size), normalised to mean .5 and std .5.

    In order: scale to [0, 1], zero-pad to a square, resize with antialiasing, grey or RGB, and (x - .5) / .5, so
    that black is -1 and white is 1. No image is scaled by its own range. Values of more than 8 bits are clipped to
    a window and scaled by it; the window is the given one, or that of ``percentiles`` over the training images, or
    the unit's (UNIT_WINDOWS). Without any of the three, uint16 is divided by 65535, and a float image is refused.
    uint8 is divided by 255, unless a window is given for a modality without unit: where there is a unit, values of
    8 bits are not in it, but made to be looked at.

    Args:
        size: height and width of the tensor, in pixels.
        channels: 1 or 3; 0 decides in ``fit``: 3 if any image given there has colour.
        window: (low, high) in the unit of the images, such as (-160.0, 240.0) in HU.
        percentiles: (low, high) in percent of the values of the training images, such as (1.0, 99.0); learned in
            ``fit`` from at most 256 images, evenly spaced. Not together with ``window``.
        reading: how image files are read: which of several frames, which level, in which unit.
        pad: add black borders to a square before resizing; without it the image is stretched.
        augment: whether training images are altered at random.
        augmentation: how far they are altered.
    """

    kind = "image"
    for_networks = True

    def __init__(
        self,
        *,
        size: int = 32,
        channels: int = 0,
        window: tuple[float, float] | None = None,
        percentiles: tuple[float, float] | None = None,
        reading: ImageReading = ImageReading(),
        pad: bool = True,
        augment: bool = False,
        augmentation: ImageAugmentation = ImageAugmentation(),
    ) -> None:
        if size < 1:
            raise SpecError(f"ImageProcessor: size must be at least 1 pixel, got {size}")
        if channels not in (0, 1, 3):
            raise SpecError(f"ImageProcessor: channels must be 1, 3, or 0 to decide from the images, got {channels}")
        if window is not None and percentiles is not None:
            raise SpecError("ImageProcessor: give window or percentiles, not both")
        if window is not None and not (np.isfinite(window).all() and window[0] < window[1]):
            raise SpecError(f"ImageProcessor: window must be (low, high) with low < high, got {window}")
        if percentiles is not None and not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise SpecError(f"ImageProcessor: percentiles must rise within 0..100, got {percentiles}")
        if augmentation.shift >= size:
            raise SpecError(
                f"ImageProcessor: shift must be from 0 to size - 1 = {size - 1} pixels, got {augmentation.shift}"
            )
        self.size, self.channels, self.pad = size, channels, pad
        if reading.frame == "all" and channels:
            raise SpecError(
                f"ImageProcessor: with reading.frame 'all' frames are channels: leave channels at 0, got {channels}"
            )
        self.window, self.percentiles = window, percentiles
        self._reading = astuple(reading)
        self._unit = reading.unit
        self.augments, self.flip, self.shift = augment, augmentation.flip, augmentation.shift
        self.rotation, self.brightness = augmentation.rotation, augmentation.brightness
        self.contrast = augmentation.contrast
        self.fits = percentiles is not None
        self._channels = channels
        self._window = window
        self._floats = window is not None

    def reading(self, raw: RawModality) -> ImageReading:
        """How image files are read: in the modality's unit, and as levels where a window needs them."""
        asked = ImageReading(*self._reading)
        unit, values = asked.unit or raw.unit, asked.values
        if values == "auto" and not unit and (self.window or self.percentiles):
            values = "levels"
        padding = self.window[0] if asked.padding is None and self.window else asked.padding
        return replace(asked, unit=unit, values=values, padding=padding)

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Decide the number of channels, where it is 0, and the window, where percentiles are asked for.

        Raises:
            DataError: a value is no image, or float images have neither a window nor percentiles.
        """
        if len(values) == 0:
            raise DataError(f"modality '{raw.name}': no training image to fit on")
        colour, pixels, frames = False, [], 0
        self._unit = self._unit or raw.unit
        self._floats = np.asarray(values[0]).dtype != np.uint8
        for pick in evenly_spaced(len(values), _FIT_ROWS).tolist():
            image = self._checked(values[pick])
            frames = image.shape[2] if image.ndim == 3 else 1
            colour = colour or _has_colour(image)
            if self.percentiles is not None and image.dtype != np.uint8:
                flat = image.reshape(-1)
                pixels.append(flat[:: max(1, flat.size // _FIT_PIXELS)])
        self._channels = frames if self._all_frames else self.channels or (3 if colour else 1)
        self._window = self.window if self.window is not None else UNIT_WINDOWS.get(self._unit)
        if pixels and self.percentiles is not None:
            low, high = (float(v) for v in np.percentile(np.concatenate(pixels), self.percentiles))
            if not low < high:
                raise DataError(
                    f"modality '{raw.name}': the percentiles {self.percentiles} of its training images are both "
                    f"{low}; give wider percentiles or a window"
                )
            self._window = (low, high)

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Return the spec: shape (C, size, size).

        Raises:
            SpecError: the number of channels is not decided yet.
        """
        if not self._channels:
            raise SpecError(f"modality '{raw.name}': call fit before spec, or give channels=1 or channels=3")
        return ModalitySpec(raw.name, raw.kind, (self._channels, self.size, self.size), unit=self._unit)

    def __call__(self, value: Any) -> Tensor:
        """Map an image (H, W) or (H, W, 3) to (C, size, size) in [-1, 1].

        Raises:
            DataError: the image is empty, not finite, of another shape or type, or lacks a window.
        """
        from torchvision.transforms.v2 import functional as transforms

        if not self._channels:
            raise SpecError("ImageProcessor: call fit first, or give channels=1 or channels=3")
        x = self._to_tensor(self._checked(value))
        if self.pad and x.shape[1] != x.shape[2]:
            height, width = x.shape[1:]
            side = max(height, width)
            top, left = (side - height) // 2, (side - width) // 2
            x = functional.pad(x, (left, side - width - left, top, side - height - top))
        if x.shape[1:] != (self.size, self.size):
            if min(self.size, *x.shape[1:]) < _TINY and x.dtype == torch.uint8:
                x = x.to(torch.float32) / 255
            x = transforms.resize(x, [self.size, self.size], antialias=True)
        if x.dtype == torch.uint8:
            x = x.to(torch.float32) / 255
        return (self._to_channels(x).clamp(0.0, 1.0) - 0.5) / 0.5

    def decode(self, value: Tensor) -> npt.NDArray[Any]:
        """Map (C, size, size) back to an image (size, size) or (size, size, 3).

        uint8, or float32 in the unit of the source where images of more than 8 bits are scaled by a window. Borders
        stay.
        """
        image = value.detach().cpu().float().clamp(-1, 1).mul(0.5).add(0.5).permute(1, 2, 0).numpy()
        image = image[..., 0] if image.shape[2] == 1 else image
        if self._window is None or not (self._floats or self._windows_bytes):
            return np.asarray((image * 255).round(), dtype=np.uint8)
        low, high = self._window
        if not self._floats:
            return np.asarray((image * (high - low) + low).round().clip(0, 255), dtype=np.uint8)
        return np.asarray(image * (high - low) + low, dtype=np.float32)

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Alter a processed (C, size, size) image at random, where the constructor's ``augment`` is set.

        Mirror, shift, rotate, then contrast and brightness; always six draws, whatever is switched on.
        """
        if not self.augments:
            return value
        from torchvision.transforms.v2 import functional as transforms

        draw = generator.uniform(-1.0, 1.0, 6)
        x = value * 0.5 + 0.5
        if self.flip and draw[0] > 0:
            x = transforms.horizontal_flip(x)
        shift = [round(float(d) * (self.shift + 0.499)) for d in draw[1:3]]
        angle = float(draw[3]) * self.rotation
        if any(shift) or angle:
            bilinear = transforms.InterpolationMode.BILINEAR
            x = transforms.affine(x, angle, shift, 1.0, [0.0, 0.0], interpolation=bilinear)
        if self.contrast:
            mean = x.mean()
            x = (x - mean) * (1.0 + float(draw[4]) * self.contrast) + mean
        x = x + float(draw[5]) * self.brightness
        return (x.clamp(0.0, 1.0) - 0.5) / 0.5

    def _to_tensor(self, image: npt.NDArray[Any]) -> Tensor:
        """Map (H, W) or (H, W, C) to (C, H, W): uint8 as it is, others scaled to [0, 1] by the window.

        uint8 is resized before it is scaled, since torch has a faster path for it than for floats.
        """
        if image.dtype != np.uint8 or self._windows_bytes:
            window = self._window or ((0.0, 65535.0) if image.dtype == np.uint16 else None)
            if window is None:
                raise DataError(
                    f"the image is of type {image.dtype}, values {image.min():g} to {image.max():g}, and its scale "
                    "is not known: give the modality a unit such as HU, or its processor window=(low, high), or "
                    "percentiles=(1, 99) to learn a window from training images"
                )
            low, high = window
            image = ((image.astype(np.float32) - low) / (high - low)).clip(0.0, 1.0).astype(np.float32)
        tensor = torch.from_numpy(image if image.flags.writeable and image.flags.c_contiguous else image.copy())
        return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1)

    @property
    def _all_frames(self) -> bool:
        """Whether channels are frames and not colours."""
        return ImageReading(*self._reading).frame == "all"

    @property
    def _windows_bytes(self) -> bool:
        """Whether the window is one of uint8 too: there is one, and no unit that it could be in."""
        return self.window is not None and not self._unit

    def _checked(self, value: Any) -> npt.NDArray[Any]:
        """Return the image as an array, or raise DataError."""
        image = np.asarray(value)
        fits_rank = image.ndim == 2 or (image.ndim == 3 and (image.shape[2] == 3 or self._all_frames))
        if not fits_rank or image.size == 0:
            raise DataError(f"an image must be (H, W) or (H, W, 3) with pixels in it, got shape {image.shape}")
        frames = image.shape[2] if image.ndim == 3 else 1
        if self._all_frames and self._channels not in (0, frames):
            raise DataError(
                f"all frames are read, {frames} of this image and {self._channels} of the first training image; "
                "choose one by reading.frame, such as 'middle'"
            )
        if image.dtype in (np.uint8, np.uint16):
            return image
        if not np.issubdtype(image.dtype, np.floating):
            raise DataError(f"an image must be uint8 (0..255), uint16 or float, got {image.dtype}")
        if not np.isfinite(image).all():
            bad = int((~np.isfinite(image)).sum())
            raise DataError(f"the image of shape {image.shape} has {bad} values that are NaN or infinite")
        return image

    def _to_channels(self, x: Tensor) -> Tensor:
        """Turn (1, H, W) or (3, H, W) into (C, H, W): grey by LUMA, colour by repeating grey."""
        if x.shape[0] == self._channels:
            return x
        if self._channels == 1:
            return (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(0, keepdim=True)
        return x.expand(3, -1, -1)


def _has_colour(image: npt.NDArray[Any]) -> bool:
    """Whether the channels differ by more than 1 % of the image's largest absolute value, on average."""
    if image.ndim == 2 or image.shape[2] != 3:
        return False
    spread = image.max(axis=2).astype(np.float64) - image.min(axis=2)
    return bool(spread.mean() > 0.01 * max(float(np.abs(image).max()), 1e-12))
