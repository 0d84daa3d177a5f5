"""Examples of samples, small enough to keep: pictures of those that have one, the words of others."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.contract import MODALITIES, RawModality, Sample
from zoo.values import Picture, shorten

TILE = 96
"""Longer side of pictures in pixels."""


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


def make_example(sample: Sample, modalities: Mapping[str, RawModality], label: str, split: str) -> Example:
    """Show a sample as its kinds show their values: a picture where there is one, else words.

    Args:
        sample: as read.
        modalities: name -> modality; inputs of other names are left out.
        label: shown with it.
        split: shown with it.
    """
    pictures: dict[str, Picture] = {}
    words: dict[str, str] = {}
    for name, value in sample.inputs.items():
        if value is None or name not in modalities:
            continue
        shown = MODALITIES.get(modalities[name].kind).show(modalities[name], value, TILE)
        if shown.picture is not None:
            pictures[name] = shown.picture
        else:
            words[name] = shorten(shown.words, 160)
    return Example(sample.id, label, split, pictures, words)


def _cell(value: Any) -> str:
    return "?" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def label_words(sample: Sample) -> str:
    """The label of a sample's first task in a few words; "" for none that can be said so."""
    for target in sample.targets.values():
        if isinstance(target, str):
            return target
        if isinstance(target, dict):
            shown = [k if v == 1 else f"{k} {_cell(float(v))}" for k, v in target.items() if v]
            return shorten(", ".join(shown) or "none", 40)
    return ""


def wrap(text: str, width: int, lines: int) -> str:
    """Break a text into at most ``lines`` lines of ``width`` characters.

    Args:
        text: to break.
        width: most characters of a line.
        lines: most lines; the rest is left out.
    """
    return "\n".join(textwrap.wrap(text, width, break_long_words=True)[:lines])
