"""TexturePainter: a picture drawn from the metadata of a row by rules."""

from __future__ import annotations

import colorsys
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.generation.painters.conditioning import described
from zoo.generator import GENERATORS, Condition, Generation, Generator, row_seed

SIMULATED = "simulated: drawn by rules from the metadata, with no information beyond them"
"""What every picture of TexturePainter says of itself."""


@GENERATORS.register
class TexturePainter(Generator):
    """Draw (size, size, 3) uint8 pictures from metadata by rules. SIMULATED: they add no information to the metadata.

    Each column that a row knows adds one coloured wave to a grey picture. The hash of the column's name and its
    word choose hue, spatial frequency (1 to size / 8 waves a picture), direction and contrast; a number moves them
    smoothly. The waves start where the seed of the row says, so that two rows of one description are not one picture.
    It stands in for a text-to-image model where no images and no pretrained weights are at hand, and shows that a
    recipe runs: a gain from such pictures is one of regularisation or capacity, never of new evidence.

    Args:
        columns: columns to draw, all for none.
        size: edge of the picture in pixels, at least 16.
        noise: standard deviation of the pixel noise, of 1 = full range.
        ranges: column -> lowest and highest value of a number; without one, asinh(x) / asinh(10000) is used.
    """

    makes = "image"
    simulated = True

    def __init__(
        self,
        *,
        columns: Sequence[str] = (),
        size: int = 64,
        noise: float = 0.02,
        ranges: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        if size < 16:
            raise SpecError(f"TexturePainter: size must be at least 16 pixels, got {size}")
        if not 0 <= noise <= 1:
            raise SpecError(f"TexturePainter: noise must lie in 0 .. 1, got {noise}")
        self.columns = tuple(columns)
        self.size = size
        self.noise = noise
        self.ranges = {column: tuple(float(v) for v in pair) for column, pair in (ranges or {}).items()}
        for column, pair in self.ranges.items():
            if len(pair) != 2 or not pair[0] < pair[1]:
                raise SpecError(f"TexturePainter: ranges['{column}'] must be [lowest, highest], got {list(pair)}")

    def options(self) -> dict[str, Any]:
        """Everything that the pictures depend on beside rows and seed."""
        return {
            "columns": list(self.columns),
            "size": self.size,
            "noise": self.noise,
            "ranges": {c: list(pair) for c, pair in self.ranges.items()},
            "simulated": SIMULATED,
        }

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        """Draw one picture a row; a row of which nothing is known is rejected."""
        return [self._draw(row, seed) for row in rows]

    def _draw(self, row: Condition, seed: int) -> Generation:
        known = described(row, self.columns)
        if not known:
            return Generation(None, status="rejected", reason="the row knows none of the columns that are drawn")
        random = np.random.default_rng(row_seed(seed, row.id))
        axis = (np.arange(self.size) + 0.5) / self.size
        picture = np.full((self.size, self.size, 3), 0.5)
        for column, value in known.items():
            hue, frequency, angle, contrast = self._style(column, value)
            phase = random.uniform(0, 2 * math.pi)
            along = math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None]
            wave = 0.6 + 0.4 * np.sin(2 * math.pi * frequency * along + phase)  # stays above 0: the hue is kept
            colour = np.asarray(colorsys.hsv_to_rgb(hue, 1.0, 1.0)) - 0.5
            picture += contrast * wave[..., None] * colour / math.sqrt(len(known))
        picture += random.normal(0.0, self.noise, picture.shape) if self.noise else 0.0
        return Generation((255 * picture.clip(0, 1)).round().astype(np.uint8), reason=SIMULATED)

    def _style(self, column: str, value: float | str) -> npt.NDArray[np.float64]:
        """Hue in 0 .. 1, waves a picture, direction in radians and contrast that a column and its value stand for."""
        base = _hashed(column)
        # A word may turn the hue anywhere; a number turns it by 0.6 of the circle at most, so that ends differ.
        move = _hashed(f"{column}={value}") if isinstance(value, str) else self._place(column, value) * 0.6
        hue, frequency, angle, contrast = (base + move) % 1.0
        return np.asarray([hue, 1 + frequency * (self.size / 8 - 1), math.pi * angle, 0.5 + 0.5 * contrast])

    def _place(self, column: str, value: float) -> npt.NDArray[np.float64]:
        """Place of a number in its range, 0 .. 1, four times over."""
        if column in self.ranges:
            low, high = self.ranges[column]
            place = (value - low) / (high - low)
        else:
            place = 0.5 + 0.5 * math.asinh(value) / math.asinh(1e4)
        return np.full(4, min(max(place, 0.0), 1.0))


def _hashed(text: str) -> npt.NDArray[np.float64]:
    """Four numbers in 0 .. 1 from a text, the same in every process."""
    return np.asarray([zlib.crc32(f"{part}/{text}".encode()) / 2**32 for part in range(4)])
