"""Rows of bright letters near the border of a picture, as scanners and people burn them in.

It looks for what printed letters have in common, shapes of one height side by side on a darker ground, and reads
nothing. It misses dark letters, letters in the middle of the picture, handwriting, and letters of fewer than MIN
pixels or more than a tenth of the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BORDER = 0.2
"""Share of each side that counts as border."""
BRIGHT = 0.8
"""Letters are brighter than this share of the way from the border's usual level to the brightest of the picture."""
MIN = 5
"""Pixels that a letter is high at least."""
LETTERS = 3
"""Letters that make a row."""
MOST_SHAPES = 400
"""With more bright shapes in the border than so many, it is a texture, and nothing is said."""


def has_letters(grey: npt.NDArray[np.uint8]) -> bool:
    """Whether a row of at least LETTERS bright letter-like shapes stands near the border.

    Args:
        grey: (H, W) in 256 levels.
    """
    from scipy import ndimage

    high, wide = grey.shape
    if min(high, wide) < 8 * MIN:
        return False
    zone = np.ones(grey.shape, dtype=bool)
    top, side = int(BORDER * high), int(BORDER * wide)
    zone[top : high - top, side : wide - side] = False
    usual, most = float(np.median(grey[zone])), float(grey[zone].max())
    if most - usual < 100:
        return False
    bright = (grey > usual + BRIGHT * (most - usual)) & zone
    if bright.sum() > 0.1 * zone.sum():
        return False
    label, number = ndimage.label(bright, structure=np.ones((3, 3)))
    if not LETTERS <= number <= MOST_SHAPES:
        return False
    boxes = [_box(place) for place in ndimage.find_objects(label)]
    filled = np.bincount(label.ravel(), minlength=number + 1)[1:]
    shapes = [box for box, area in zip(boxes, filled.tolist(), strict=True) if _like_a_letter(box, area, high)]
    return _longest_row(sorted(shapes)) >= LETTERS


Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def _box(place: tuple[slice, ...]) -> Box:
    rows, columns = place[0], place[1]
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _like_a_letter(box: Box, area: int, picture: int) -> bool:
    """Neither a speck nor a bar, and with some ground inside its box, or as thin as an I."""
    _, _, wide, high = box
    if not MIN <= high <= max(MIN + 3, picture // 10) or wide > 1.5 * high:
        return False
    share = area / (wide * high)
    return 0.2 <= share <= 0.85 or (wide <= 0.4 * high and share > 0.5)


def _longest_row(shapes: list[Box]) -> int:
    """Most shapes of one height that follow each other on one line, of at least two widths or forms."""
    longest = 0
    for k, first in enumerate(shapes):
        row = [first]
        for box in shapes[k + 1 :]:
            last = row[-1]
            gap = box[0] - (last[0] + last[2])
            if gap > 1.2 * last[3]:
                break
            level = abs((box[1] + box[3]) - (last[1] + last[3])) <= 0.15 * last[3] + 1
            alike = abs(box[3] - last[3]) <= 0.2 * last[3] + 1
            if level and alike and gap >= 0:
                row.append(box)
        longest = max(longest, len(row))
    return longest
