"""Pictures of samples, small enough to keep: images, drawn signals and profiles, and the words of the others."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.contract import Sample

TILE = 96
"""Longer side of pictures in pixels."""
Picture = npt.NDArray[np.uint8]


@dataclass
class Example:
    """One sample as it is shown.

    Attributes:
        id: of the row; label: of the first task, as words; split: where the row lies.
        pictures: modality -> (H, W, 3) uint8, at most TILE on a side.
        words: modality -> the beginning of a text, a sequence or a table.
    """

    id: str
    label: str
    split: str
    pictures: dict[str, Picture]
    words: dict[str, str]


def make_example(sample: Sample, kinds: dict[str, str], label: str, split: str) -> Example:
    """Draw a sample.

    Args:
        sample: as read.
        kinds: modality -> kind.
        label: shown with it.
        split: shown with it.
    """
    pictures: dict[str, Picture] = {}
    words: dict[str, str] = {}
    for name, value in sample.inputs.items():
        kind = kinds.get(name, "")
        if value is None or not kind:
            continue
        if kind == "image":
            pictures[name] = small_image(np.asarray(value))
        elif kind == "signal":
            pictures[name] = draw_signal(np.asarray(value))
        elif kind == "expression":
            pictures[name] = draw_profile(np.asarray(value))
        elif kind == "tabular":
            words[name] = shorten(", ".join(f"{k} {_cell(v)}" for k, v in value.items()), 160)
        else:
            words[name] = shorten(str(value), 160)
    return Example(sample.id, label, split, pictures, words)


def _cell(value: Any) -> str:
    return "?" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def shorten(text: str, most: int) -> str:
    """Cut a text after ``most`` characters; long words are cut as well.

    >>> shorten("ACGTACGT", 5)
    'AC...'
    """
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def label_words(sample: Sample) -> str:
    """The label of a sample's first task in a few words; "" for none that can be said so."""
    for target in sample.targets.values():
        if isinstance(target, str):
            return target
        if isinstance(target, dict):
            shown = [k if v == 1 else f"{k} {_cell(float(v))}" for k, v in target.items() if v]
            return shorten(", ".join(shown) or "none", 40)
    return ""


def grey_image(image: npt.NDArray[Any]) -> Picture:
    """Bring an image (H, W) or (H, W, 3) to 256 levels of grey, (H, W)."""
    values = image.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)[: values.shape[-1]]
    if image.dtype != np.uint8:
        values = np.nan_to_num(values)
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        low = float(values.min()) if values.size else low
        values = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)


def small_image(image: npt.NDArray[Any]) -> Picture:
    """Shrink an image to at most TILE pixels a side, in colour."""
    from PIL import Image

    grey = image.ndim == 2 or image.dtype != np.uint8
    picture = Image.fromarray(grey_image(image) if grey else np.ascontiguousarray(image[..., :3]))
    picture = picture.convert("RGB")
    scale = TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST))


def draw_signal(signal: npt.NDArray[Any]) -> Picture:
    """Draw at most four channels of a signal (C, T) as lines below each other."""
    from PIL import Image, ImageDraw

    channels = signal[:4]
    picture = Image.new("RGB", (TILE, TILE * 2 // 3), "white")
    draw = ImageDraw.Draw(picture)
    height = picture.height / max(1, len(channels))
    spread = float(np.abs(channels - channels.mean(axis=1, keepdims=True)).max(initial=1e-9)) or 1.0
    for k, channel in enumerate(channels):
        taken = channel[np.linspace(0, len(channel) - 1, 2 * TILE).astype(int)]
        y = height * (k + 0.5 - 0.48 * (taken - taken.mean()) / spread)
        draw.line(list(zip(np.linspace(0, TILE - 1, 2 * TILE).tolist(), y.tolist(), strict=True)), fill=(30, 80, 160))
    return np.asarray(picture)


def draw_profile(values: npt.NDArray[Any]) -> Picture:
    """Draw an expression profile (G,): a bar for the highest value among neighbouring genes, on a log scale."""
    from PIL import Image, ImageDraw

    parts = np.array_split(np.log1p(np.clip(np.nan_to_num(values.astype(np.float64)), 0, None)), TILE // 2)
    bars = np.array([p.max(initial=0.0) for p in parts])
    picture = Image.new("RGB", (TILE, TILE * 2 // 3), "white")
    draw = ImageDraw.Draw(picture)
    top = bars.max(initial=0.0) or 1.0
    base = picture.height - 1
    for k, bar in enumerate((bars / top * (base - 3)).tolist()):
        draw.rectangle([2 * k, base - bar, 2 * k, base], (40, 130, 90))
    return np.asarray(picture)


def wrap(text: str, width: int, lines: int) -> str:
    """Break a text into at most ``lines`` lines of ``width`` characters."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=True)[:lines])
