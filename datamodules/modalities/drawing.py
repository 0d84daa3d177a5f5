"""Small pictures of raw values: images, traces of signals, profiles of many values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.values import Picture

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
LABELLED = 160
"""Pictures of signals of at least so many pixels a side have names of channels and a time."""
_INK = (110, 110, 110)


def _one_frame(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image (H, W) or (H, W, 3) as it is; of an image of other channels, which are frames, the middle one."""
    return image[..., image.shape[2] // 2] if image.ndim == 3 and image.shape[2] != 3 else image


def grey_image(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bring an image (H, W) or (H, W, 3) to 256 levels of grey, (H, W); floats from their least to their greatest.

    Of 16 bits, the higher 8 are taken; of several frames, the middle one.
    """
    image = _one_frame(image)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    values = image.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3] @ np.array(LUMA, dtype=np.float32)[: values.shape[-1]]
    if image.dtype != np.uint8 and values.size:
        values = np.nan_to_num(values)
        low, high = float(values.min()), float(values.max())
        values = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)


def small_image(image: npt.NDArray[Any], side: int) -> Picture:
    """Bring an image (H, W) or (H, W, 3) to ``side`` pixels on its longer side, in colour.

    Values of more than 8 bits are spread over 256 levels between their 1st and 99th percentile; of several frames,
    the middle one is shown.
    """
    from PIL import Image

    image = _one_frame(image)
    values = image if image.dtype == np.uint8 else _spread(image, (1, 99)).round().astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(values)).convert("RGB")
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST))


def draw_signal(signal: npt.NDArray[Any], side: int, names: Sequence[str] = (), rate: float = 0.0) -> Picture:
    """Draw the traces of the first channels of a signal (C, T), one below the other, on one scale.

    Args:
        signal: (C, T); at most eight channels are drawn, four in a picture below LABELLED.
        side: width in pixels; the height is two thirds of it.
        names: of the channels, written beside them in a picture of LABELLED pixels and more.
        rate: samples a second, from which the length is written; 0 if unknown.
    """
    from PIL import Image, ImageDraw

    labelled = side >= LABELLED
    channels = np.nan_to_num(np.asarray(signal[: 8 if labelled else 4], dtype=np.float64))
    picture = Image.new("RGB", (side, side * 2 // 3), "white")
    draw = ImageDraw.Draw(picture)
    left, below = (side // 6, 12) if labelled else (0, 0)
    height = (picture.height - below) / max(1, len(channels))
    spread = float(np.abs(channels - channels.mean(axis=1, keepdims=True)).max(initial=1e-9)) or 1.0
    points = np.linspace(left, side - 1, 2 * (side - left))
    for k, channel in enumerate(channels):
        taken = channel[np.linspace(0, len(channel) - 1, len(points)).astype(int)]
        y = height * (k + 0.5 - 0.48 * (taken - taken.mean()) / spread)
        draw.line(list(zip(points.tolist(), y.tolist(), strict=True)), fill=(30, 80, 160))
        if labelled:
            name = (names[k] if k < len(names) else str(k))[: left // 6]
            draw.text((0, height * (k + 0.5) - 6), name.encode("ascii", "replace").decode(), fill=_INK)
    if labelled:
        length = f"{signal.shape[1] / rate:.3g} s" if rate else f"{signal.shape[1]} samples"
        draw.text((left, picture.height - below), length, fill=_INK)
    return np.asarray(picture)


def draw_profile(values: npt.NDArray[Any], side: int) -> Picture:
    """Draw a profile (G,): a bar for the highest value among neighbouring ones, on a log scale.

    Args:
        values: (G,); values below 0 count as 0.
        side: width in pixels; the height is two thirds of it.
    """
    from PIL import Image, ImageDraw

    parts = np.array_split(np.log1p(np.clip(np.nan_to_num(values.astype(np.float64)), 0, None)), side // 2)
    bars = np.array([p.max(initial=0.0) for p in parts])
    picture = Image.new("RGB", (side, side * 2 // 3), "white")
    draw = ImageDraw.Draw(picture)
    top = bars.max(initial=0.0) or 1.0
    base = picture.height - 1
    for k, bar in enumerate((bars / top * (base - 3)).tolist()):
        draw.rectangle([2 * k, base - bar, 2 * k, base], (40, 130, 90))
    return np.asarray(picture)


def _spread(values: npt.NDArray[Any], percentiles: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Spread values between two of their percentiles over 0 to 255."""
    known = np.nan_to_num(values.astype(np.float64))
    low, high = np.percentile(known, percentiles) if known.size else (0.0, 0.0)
    return np.asarray(np.clip((known - low) / max(high - low, 1e-12), 0, 1) * 255)
