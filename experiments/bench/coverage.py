"""How often intervals hold the truth on simulated clustered data: over rows, over units, and by other bootstraps.

    zoo bench coverage --simulations 1000

prints a Markdown table. Rows of a unit share an effect, so that their scores are correlated.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import DegenerateDataWarning, bootstrap, norm

from zoo.evaluation.resampling import Interval, Resampler

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Simulated test splits.

    Attributes:
        units: number of units.
        rows: rows of each unit.
        share: share of right rows, which is the truth.
        likeness: correlation of the normal variables behind two rows of a unit.
    """

    units: int
    rows: int
    share: float
    likeness: float


DESIGNS = tuple(
    Design(units, rows, share, likeness)
    for units in (5, 9, 20, 50, 200)
    for rows, share, likeness in ((1, 0.8, 0.0), (4, 0.8, 0.6), (4, 0.98, 0.6))
)


def draw(design: Design, generator: np.random.Generator) -> tuple[Floats, list[str]]:
    """Scores (N,), 1 where right, and the unit of each row."""
    effect = np.sqrt(design.likeness) * generator.standard_normal((design.units, 1))
    noise = np.sqrt(1 - design.likeness) * generator.standard_normal((design.units, design.rows))
    right = effect + noise < norm.ppf(design.share)
    return right.astype(np.float64).ravel(), [str(k) for k in range(design.units) for _ in range(design.rows)]


def over_units(scores: Floats, units: Sequence[str], *, resamples: int, seed: int) -> Interval:
    """The interval of the zoo.

    Args:
        scores: (N,) score of each row.
        units: unit of independence of each row.
        resamples: of the bootstrap.
        seed: of the draws.
    """
    resampler = Resampler(units, resamples=resamples, seed=seed)
    return resampler.interval(resampler.means(scores, units), bounds=(0.0, 1.0))


def over_rows(scores: Floats, units: Sequence[str], *, resamples: int, seed: int) -> Interval:
    """The same where each row is taken for a unit.

    Args:
        scores: (N,) score of each row.
        units: unit of independence of each row, which is not used.
        resamples: of the bootstrap.
        seed: of the draws.
    """
    return over_units(scores, [str(k) for k in range(len(units))], resamples=resamples, seed=seed)


def by_scipy(method: str) -> Callable[..., Interval]:
    """SciPy's bootstrap of the ratio of sums over units; it has no answer where all units are alike."""

    def function(scores: Floats, units: Sequence[str], *, resamples: int, seed: int) -> Interval:
        place = np.unique(np.asarray(units), return_inverse=True)[1]
        total, count = np.bincount(place, scores), np.bincount(place).astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateDataWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            found = bootstrap(
                (total, count), lambda t, c, axis: t.sum(axis) / c.sum(axis), paired=True, n_resamples=resamples,
                method=method, random_state=seed,
            ).confidence_interval  # fmt: skip
        return Interval(float(scores.mean()), float(found.low), float(found.high))

    return function


METHODS: Mapping[str, Callable[..., Interval]] = {
    "zoo, over rows": over_rows,
    "zoo, over units": over_units,
    "percentile, over units": by_scipy("percentile"),
    "BCa, over units": by_scipy("BCa"),
}


def coverage(
    design: Design, method: Callable[..., Interval], *, simulations: int, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """The share of simulations whose interval holds the truth, and the mean width of intervals that there are.

    Args:
        design: what is simulated.
        method: one of METHODS.
        simulations: their number.
        resamples: of each bootstrap.
        seed: of data and bootstrap.
    """
    generator, held, widths = np.random.default_rng(seed), 0, list[float]()
    for k in range(simulations):
        found = method(*draw(design, generator), resamples=resamples, seed=k)
        held += found.low <= design.share <= found.high
        widths.append(found.high - found.low)
    return held / simulations, float(np.nanmean(widths))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="zoo bench coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000, help="of each design (default 1000)")
    options = parser.parse_args(argv)
    print("| units | rows each | right | likeness |", " | ".join(METHODS), "|")
    print("|---|---|---|---|" + "---|" * len(METHODS))
    for d in DESIGNS:
        found = [coverage(d, m, simulations=options.simulations) for m in METHODS.values()]
        cells = " | ".join(f"{c:.3f} ({w:.3f})" for c, w in found)
        print(f"| {d.units} | {d.rows} | {d.share} | {d.likeness} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
