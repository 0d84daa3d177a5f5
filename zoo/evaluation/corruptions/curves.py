"""What is read off a curve of value against level: relative and effective robustness, and the area under it.

Values come as samples (R + 1,): the value itself, then those on R resamples of the same test rows (see
zoo.evaluation.resampling), so that an interval of anything computed from them is that of its samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.integrate import trapezoid

from zoo.errors import SpecError
from zoo.evaluation.resampling import Resampler

Floats = npt.NDArray[np.float64]


def knows(clean: Floats, chance: float, resampler: Resampler) -> bool:
    """Whether the whole interval of a clean value lies above chance. Ratios to clean skill need that.

    Args:
        clean: samples (R + 1,) of a metric that is at most 1.
        chance: value of a guesser.
        resampler: that the samples are from.
    """
    found = resampler.interval(clean, bounds=(-1.0, 1.0))
    return found.value > chance and found.low > chance


def relative(clean: Floats, corrupted: Sequence[Floats], chance: float, resampler: Resampler) -> Floats:
    """Share of the skill above chance that stays: (mean corrupted - chance) / (clean - chance), as samples.

    Args:
        clean: samples (R + 1,) at level 0.
        corrupted: samples at each of the other levels; their mean is taken.
        chance: value of a guesser on these rows.
        resampler: that the samples are from.

    Returns:
        Samples (R + 1,); all NaN where the interval of ``clean`` does not lie above chance, or no level is given.
    """
    if not corrupted or not knows(clean, chance, resampler):
        return np.full_like(clean, np.nan)
    return _ratio(np.mean(np.stack(list(corrupted)), 0) - chance, clean - chance)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; NaN where a resample leaves no skill to divide by."""
    good = whole > 0
    return np.where(good, part / np.where(good, whole, 1.0), np.nan)


def retention(
    clean: Sequence[Floats], corrupted: Sequence[Floats], chance: Sequence[float], resampler: Resampler
) -> Floats | None:
    """Share of skill that reference models keep at one level: sum (r - chance) / sum (r_clean - chance).

    One entry a reference model; those whose clean interval does not lie above chance know nothing and are left out.

    Args:
        clean: samples of each reference at level 0.
        corrupted: its samples at the level.
        chance: value of a guesser on its rows.
        resampler: that the samples are from.

    Returns:
        Samples (R + 1,), or None where no reference is left.
    """
    used = [
        (r, c, g)
        for r, c, g in zip(corrupted, clean, chance, strict=True)
        if knows(c, g, resampler) and len(r) == len(corrupted[0])
    ]
    if not used:
        return None
    kept = np.sum([r - g for r, _, g in used], axis=0)
    return _ratio(kept, np.sum([c - g for _, c, g in used], axis=0))


def effective(clean: Floats, corrupted: Floats, kept: Floats, chance: float) -> Floats:
    """Effective robustness at one level: rho = v - beta(v_clean), after Taori et al., NeurIPS 2020, section 2.

    beta(x) is the corrupted value that a reference would have whose clean value is x. Taori et al. fit it over many
    models. Here the references are few, so beta is the line through chance on which they lie,
    beta(x) = chance + kept (x - chance) with ``kept`` from ``retention``.

    Args:
        clean: samples (R + 1,) of the model at level 0.
        corrupted: its samples at the level.
        kept: samples of the share that references keep at the level.
        chance: value of a guesser on these rows.

    Returns:
        Samples (R + 1,), in the unit of the value; above 0 is more robust than the references.
    """
    return corrupted - (chance + kept * (clean - chance))


def area(levels: Sequence[float], values: Sequence[Floats]) -> Floats:
    """Mean height of a curve by the trapezoid rule, as samples: its area over the range of levels.

    >>> area([0, 1, 5], [np.array([1.0]), np.array([0.0]), np.array([0.0])]).tolist()
    [0.1]

    Raises:
        SpecError: levels do not rise, or are not as many as values.
    """
    x = np.asarray(levels, dtype=np.float64)
    if len(x) != len(values) or len(x) < 2 or (np.diff(x) <= 0).any():
        raise SpecError(f"an area needs two or more rising levels and a value for each, got {list(levels)}")
    return np.asarray(trapezoid(np.stack(list(values)), x, axis=0) / (x[-1] - x[0]), dtype=np.float64)
