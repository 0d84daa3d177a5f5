"""What can be measured of a lesion in a picture, and words for it: the ABCD rule of dermoscopy by scikit-image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Thresholds = Mapping[str, tuple[float, float]]
"""Measure -> the lower and the upper threshold between few, middle and many."""

SIDE = 128
"""Pixels of the longer side at which everything is measured, so that measures do not depend on resolution."""
SMALLEST, LARGEST = 0.01, 0.9
"""A lesion covers a share of the picture between these two."""
FAINTEST = 0.02
"""A lesion differs from the skin by at least this much darkness (0 to 1)."""
COLOUR_SHARE = 0.05
"""A colour counts where it covers this share of the lesion."""
PALETTE: Mapping[str, tuple[int, int, int]] = {
    "white": (235, 225, 215),
    "red": (190, 70, 70),
    "light_brown": (180, 130, 100),
    "dark_brown": (100, 60, 45),
    "blue_grey": (105, 115, 135),
    "black": (35, 30, 30),
}
"""The six colours of the ABCD rule (Stolz et al. 1994) as RGB; a pixel has the nearest one in CIELAB."""
OF_PICTURE = ("found", "brightness", "sharpness", "hair")
"""Measures of the whole picture, known where no lesion is found."""
OF_LESION = (
    "relative_size", "asymmetry", "border_irregularity", "contrast", "redness", "colour_spread", "colour_count",
    "texture", "network", *PALETTE,
)  # fmt: skip
"""Measures of the lesion, NaN where none is found."""
MEASURES = (*OF_PICTURE, *OF_LESION)
"""Names of all measures, in the order of ``measure``."""
NO_LESION = "no lesion found"
"""The word where nothing differs from the skin."""
WORDS: Mapping[str, tuple[str, str, str]] = {
    "asymmetry": ("symmetric shape", "mild asymmetry", "asymmetric shape"),
    "border_irregularity": ("regular border", "slightly irregular border", "irregular border"),
    "colour_count": ("one or two colours", "", "many colours"),
    "colour_spread": ("uniform colour", "", "variegated colour"),
    "relative_size": ("small in the frame", "", "large in the frame"),
    "contrast": ("faint against the skin", "", "sharply darker than the skin"),
    "redness": ("", "", "reddish"),
    "texture": ("smooth surface", "", "coarse texture"),
    "network": ("", "", "network-like lines"),
    "white": ("", "", "white areas"),
    "red": ("", "", "red areas"),
    "light_brown": ("", "", "light brown areas"),
    "dark_brown": ("", "", "dark brown areas"),
    "blue_grey": ("", "", "blue-grey veil"),
    "black": ("", "", "black areas"),
    "hair": ("", "", "hair"),
}
"""Measure -> words for few, middle and many; "" says nothing."""
CONCERNING = (
    "asymmetric shape", "irregular border", "many colours", "variegated colour", "blue-grey veil", "black areas",
    "network-like lines",
)  # fmt: skip
"""Words that the ABCD rule counts towards melanoma."""
QUALITY: Mapping[str, tuple[str, str]] = {"sharpness": ("soft focus", ""), "brightness": ("dark", "bright")}
"""Measure -> what is said of the quality of the picture below its lower and above its upper threshold."""
ODD = 0.1
"""Share of training pictures at either end of which the quality is remarked upon."""


def measure(image: Picture) -> dict[str, float]:
    """Measure a picture (H, W, 3) or (H, W) uint8; the keys are MEASURES.

    The lesion is the darkest part by Otsu's threshold that lies nearest the middle. Asymmetry is the share of
    the lesion that does not fall on itself when mirrored at its principal axes (0 to 1); border irregularity is
    perimeter^2 / (4 pi area), about 1 for a disc; colours are shares of the lesion (PALETTE); contrast is the
    difference of darkness from the skin (0 to 1); redness and colour spread are in CIELAB units; texture is the
    deviation of fine detail; network is the mean strength of dark lines. ``found`` is 1 or 0, and without a lesion
    its measures are NaN.

    Raises:
        DataError: the array is no picture of bytes.

    >>> measure(np.full((40, 40, 3), 200, np.uint8))["found"]
    0.0
    """
    from skimage.color import rgb2lab
    from skimage.filters import gaussian, laplace
    from skimage.morphology import black_tophat, disk

    rgb = _small(image)
    lab = np.asarray(rgb2lab(rgb), dtype=np.float64)
    light = lab[..., 0] / 100.0
    hairs = np.asarray(black_tophat(light, disk(3))) > 0.12  # type: ignore[no-untyped-call]
    out = dict.fromkeys(MEASURES, math.nan)
    out["brightness"] = float(light.mean())
    out["sharpness"] = float(np.std(laplace(light)))  # type: ignore[no-untyped-call]
    out["hair"] = float(hairs.mean())
    mask = find_lesion(rgb)
    out["found"] = float(mask is not None)
    if mask is None:
        return out
    detail = light - np.asarray(gaussian(light, 2.0))  # type: ignore[no-untyped-call]
    out.update(_shape(mask))
    out.update(_colours(lab, mask))
    out["contrast"] = float(light[~mask].mean() - light[mask].mean())
    out["texture"] = float(detail[mask].std())
    out["network"] = _network(light)[mask].mean().item()
    return out


def _small(image: Picture) -> Floats:
    """RGB (h, w, 3) in 0 to 1, the longer side at most SIDE pixels."""
    from skimage.transform import resize

    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise DataError(f"a picture is (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if not image.size:
        raise DataError(f"a picture has at least one pixel, got shape {image.shape}")
    rgb = (np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image).astype(np.float64) / 255.0
    scale = min(1.0, SIDE / max(rgb.shape[:2]))
    shape = tuple(max(1, round(n * scale)) for n in rgb.shape[:2])
    return rgb if shape == rgb.shape[:2] else np.asarray(resize(rgb, (*shape, 3), anti_aliasing=True))  # type: ignore[no-untyped-call]


def find_lesion(rgb: Floats) -> Mask | None:
    """Find the lesion in (h, w, 3), values 0 to 1: a mask (h, w), or None.

    Darkness is one minus the mean of green and blue, in which melanin and blood are both dark. Of the connected
    parts above Otsu's threshold the one with most pixels, weighted by nearness to the middle, is the lesion.
    """
    from scipy.ndimage import binary_fill_holes
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import label

    dark = np.asarray(gaussian(1.0 - rgb[..., 1:].mean(2), 2.0), dtype=np.float64)  # type: ignore[no-untyped-call]
    if np.ptp(dark) < FAINTEST:
        return None
    parts = np.asarray(label(dark > threshold_otsu(dark)))  # type: ignore[no-untyped-call]
    height, width = dark.shape
    y, x = np.mgrid[:height, :width]
    far = ((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2
    weight = np.bincount(parts.ravel(), np.exp(-far / 0.08).ravel())
    weight[0] = 0.0
    mask: Mask = np.asarray(binary_fill_holes(parts == int(weight.argmax())), dtype=np.bool_)
    share = float(mask.mean())
    if not SMALLEST <= share <= LARGEST or dark[mask].mean() - dark[~mask].mean() < FAINTEST:
        return None
    return mask


def _shape(mask: Mask) -> dict[str, float]:
    """Size, asymmetry and border of a mask (h, w)."""
    from skimage.measure import perimeter_crofton

    area = float(mask.sum())
    around = float(perimeter_crofton(np.pad(mask, 1), directions=4))  # type: ignore[no-untyped-call]
    return {
        "relative_size": area / mask.size,
        "asymmetry": _asymmetry(mask),
        "border_irregularity": around**2 / (4.0 * math.pi * area),
    }


def _asymmetry(mask: Mask) -> float:
    """Mean share of the lesion that mirroring at each principal axis moves off the lesion (0 to 1)."""
    points = np.argwhere(mask).astype(np.float64)
    centred = points - points.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    shares = []
    for axis in axes.T:
        mirrored = centred - 2.0 * np.outer(centred @ axis, axis) + points.mean(0)
        there = np.rint(mirrored).astype(np.int64)
        inside = ((there >= 0) & (there < mask.shape)).all(1)
        hit = np.zeros(len(points), dtype=np.bool_)
        hit[inside] = mask[tuple(there[inside].T)]
        shares.append(1.0 - hit.mean())
    return float(np.mean(shares))


def _colours(lab: Floats, mask: Mask) -> dict[str, float]:
    """Shares of the palette, how many of them count, their spread, and redness."""
    from skimage.color import rgb2lab

    pixels = lab[mask]
    palette = np.asarray(rgb2lab(np.array([list(PALETTE.values())], dtype=np.uint8)))[0]
    nearest = ((pixels[:, None] - palette[None]) ** 2).sum(2).argmin(1)
    shares = np.bincount(nearest, minlength=len(PALETTE)) / len(pixels)
    return {
        "redness": float(pixels[:, 1].mean() - lab[~mask][:, 1].mean()),
        "colour_spread": float(np.sqrt(pixels.var(0).sum())),
        "colour_count": float((shares >= COLOUR_SHARE).sum()),
        **dict(zip(PALETTE, shares.tolist(), strict=True)),
    }


def _network(light: Floats) -> Floats:
    """Strength (h, w) of dark lines one to two pixels wide (Sato et al. 1998)."""
    from skimage.filters import sato

    return np.asarray(sato(light, sigmas=(1.0, 2.0), black_ridges=True), dtype=np.float64)  # type: ignore[no-untyped-call]


def learn_thresholds(
    rows: Sequence[Mapping[str, float]], *, low: float = 1.0 / 3.0, high: float = 2.0 / 3.0
) -> dict[str, tuple[float, float]]:
    """Quantiles ``low`` and ``high`` of each measure with words over the rows where it is known.

    For the quality of the picture they are ODD and 1 - ODD. A measure that is known nowhere has no thresholds, and
    no words come of it.

    Args:
        rows: measure -> value of each training picture.
        low: quantile below which a measure is called low.
        high: quantile above which a measure is called high.
    """
    out: dict[str, tuple[float, float]] = {}
    for name in (*WORDS, *QUALITY):
        values = np.array([row[name] for row in rows if not math.isnan(row[name])])
        if len(values):
            first, second = np.quantile(values, (ODD, 1.0 - ODD) if name in QUALITY else (low, high))
            out[name] = (float(first), float(second))
    return out


def words(measures: Mapping[str, float], thresholds: Thresholds) -> tuple[str, ...]:
    """Say a picture in words: few where a measure is below its lower threshold, many above its upper one.

    A measure that does not vary over the training pictures (equal thresholds) says many above and few below it
    only. Without a lesion the words are NO_LESION and those of the picture.

    >>> words({"found": 1.0, "asymmetry": 0.4}, {"asymmetry": (0.1, 0.3)})
    ('asymmetric shape',)
    """
    said = [] if measures["found"] else [NO_LESION]
    for name, levels in WORDS.items():
        value = measures.get(name, math.nan)
        if name in thresholds and not math.isnan(value):
            low, high = thresholds[name]
            word = levels[0] if value < low else levels[2] if value > high else levels[1]
            said += [word] if word else []
    return tuple(said)


def quality_note(measures: Mapping[str, float], thresholds: Thresholds) -> str:
    """Say what is odd about the quality of a picture, or "adequate"."""
    said = []
    for name, (below, above) in QUALITY.items():
        if name in thresholds and not math.isnan(measures[name]):
            low, high = thresholds[name]
            said.append(below if measures[name] < low else above if measures[name] > high else "")
    return ", ".join(s for s in said if s) or "adequate"


def vector(measures: Mapping[str, Any]) -> Floats:
    """Map measures to a vector (len(MEASURES),) in the order of MEASURES; NaN where unknown."""
    return np.array([float(measures[name]) for name in MEASURES])
