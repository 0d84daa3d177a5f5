"""One bootstrap for every interval and paired difference: it draws units of independence with replacement.

Rows of one patient, lesion, subject or family are alike, so that drawing rows makes intervals too narrow: whole units
are drawn (Davison and Hinkley 1997, section 3.8). Evaluated.drawn names the unit of each row. Statistics are arrays
(1 + R,): the value on all rows first, then on each of R resamples. Arrays that come of one Resampler, or of two with
the same units and seed, are of the same resamples, so that a difference of two of them is paired.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from zoo.errors import SpecError

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
UNBOUNDED = (-math.inf, math.inf)
UNIT_HELP = "what intervals draw, and how many there are"
"""What the column with the unit of a table says of itself."""
METHOD_HELP = (
    "bootstrap; exact or adjusted where all resamples agree, as with a perfect score; none for fewer than two units"
)
"""The same of the column that says how an interval was made."""
BOOTSTRAP, EXACT, ADJUSTED, NONE = "bootstrap", "exact", "adjusted", "none"
"""How an interval was made, see Resampler.interval."""


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        value: on all rows; NaN where it is undefined.
        low, high: ends of the interval; NaN where there is none.
        method: "bootstrap", "exact", "adjusted" or "none", see Resampler.interval.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    method: str = NONE


class Resampler:
    """Draw units with replacement, R times as many as there are.

    Args:
        units: the unit of each row; repeated names are one unit. Take the rows of all methods, seeds and subsets
            that are to be compared: an id that is tested under several seeds is then drawn for all of them.
        resamples: R.
        level: of the intervals, in (0, 1).
        seed: of the draws. Which units are drawn depends on the seed and the set of units alone.

    Raises:
        SpecError: fewer than 0 resamples, or a level outside (0, 1).

    >>> resampler = Resampler(["ann", "ann", "bob"], resamples=2)
    >>> len(resampler), round(float(resampler.means([1.0, 0.0, 1.0], ["ann", "ann", "bob"])[0]), 3)
    (2, 0.667)
    """

    def __init__(self, units: Iterable[str], *, resamples: int = 500, level: float = 0.95, seed: int = 0) -> None:
        if resamples < 0 or not 0 < level < 1:
            raise SpecError(
                f"a bootstrap takes 0 or more resamples and a level between 0 and 1, got {resamples} and {level}"
            )
        self.names = sorted(set(units))
        self.resamples, self.level, self.seed = resamples, level, seed
        self._place = {name: k for k, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Whole]:
        """How often each unit counts (U,): once, then in each resample."""
        n = len(self.names)
        generator = np.random.default_rng(self.seed)
        yield np.ones(n, dtype=np.int64)
        for _ in range(self.resamples):
            yield np.bincount(generator.integers(0, n, n), minlength=n) if n else np.zeros(0, dtype=np.int64)

    def places(self, units: Sequence[str]) -> Whole:
        """The number (N,) of the unit of each row.

        Raises:
            SpecError: a unit that is not among those that are drawn.
        """
        unknown = next((u for u in units if u not in self._place), None)
        if unknown is not None:
            raise SpecError(f"the unit '{unknown}' is not among the {len(self)} units that are drawn")
        return np.array([self._place[u] for u in units], dtype=np.int64)

    def weights(self, units: Sequence[str]) -> Floats:
        """(1 + R, N) how often each row counts."""
        place = self.places(units)
        return np.stack([times[place] for times in self]).astype(np.float64)

    def sums(self, values: npt.ArrayLike, units: Sequence[str]) -> Floats:
        """(1 + R,) sums of values (N,), or (1 + R, K) of values (N, K), over all rows and over each resample."""
        each, place = np.asarray(values, dtype=np.float64), self.places(units)
        totals = np.zeros((len(self), *each.shape[1:]))
        np.add.at(totals, place, each)
        return np.stack([times @ totals for times in self])

    def means(self, scores: npt.ArrayLike, units: Sequence[str]) -> Floats:
        """(1 + R,) means of row scores (N,); a NaN score enters no mean, and a mean of none is NaN."""
        each = np.asarray(scores, dtype=np.float64)
        known = np.isfinite(each)
        found = self.sums(np.stack([np.where(known, each, 0.0), known.astype(np.float64)], 1), units)
        total, count = found[:, 0], found[:, 1]
        means: Floats = np.divide(total, count, out=np.full(len(count), math.nan), where=count > 0)
        return means

    def apply(self, statistic: Callable[[Whole], float], units: Sequence[str]) -> Floats:
        """(1 + R,) values of a statistic of row numbers; NaN where no row is drawn.

        Args:
            statistic: maps row numbers, of which a row that is drawn twice is there twice, to a figure.
            units: (N,) of the rows.
        """
        place, rows = self.places(units), np.arange(len(units))
        picks = (np.repeat(rows, times[place]) for times in self)
        return np.array([statistic(pick) if len(pick) else math.nan for pick in picks], dtype=np.float64)

    # -- from draws to intervals -------------------------------------------------------------------------------

    def interval(
        self, draws: Floats, *, units: int = 0, bounds: tuple[float, float] = UNBOUNDED, support: int = 0
    ) -> Interval:
        """The value and its interval.

        "bootstrap": percentiles of the draws, spread for few units as Student's t is against the normal
        (Hesterberg, The American Statistician 69:371, 2015, section 5.3.2: expanded percentiles); from a hundred
        units on these are the plain percentiles. Where every draw is the same, that says nothing: of n units that are
        all alike, up to a share of 1 - (alpha / 2) ** (1 / n) may be otherwise. The interval then reaches so far from
        the value to the bounds of the statistic. "exact": for a mean over units that is the interval of Clopper and
        Pearson (1934). "adjusted": for other statistics, with ``support`` in the place of n. "none": fewer than two
        units, fewer than half of the draws known, or draws that are all alike of a statistic without bounds.

        Args:
            draws: (1 + R,), see the module.
            units: number of units that have part in the statistic; 0 takes all.
            bounds: smallest and largest value that the statistic can have.
            support: number of independent comparisons behind a statistic that is no mean over units, such as pairs
                of one positive and one negative unit behind an AUROC; 0 says that it is a mean over units.
        """
        n, value, drawn = units or len(self), float(draws[0]), draws[1:]
        known = drawn[np.isfinite(drawn)]
        if n < 2 or not math.isfinite(value) or not len(known) or 2 * len(known) < len(drawn):
            return Interval(value)
        tail = self._tail(n)
        low, high = np.quantile(known, [tail, 1 - tail])
        if high - low > 1e-12 * max(1.0, abs(value)):
            return Interval(value, float(low), float(high), BOOTSTRAP)
        share = 1 - ((1 - self.level) / 2) ** (1 / (support or n))
        ends = (value - share * (value - bounds[0]), value + share * (bounds[1] - value))
        if not all(math.isfinite(end) for end in ends):
            return Interval(value)
        return Interval(value, *ends, method=ADJUSTED if support else EXACT)

    def p_value(self, draws: Floats, *, units: int = 0) -> float:
        """Two-sided p-value of no difference: 1 - the level of the widest interval that leaves out zero.

        Args:
            draws: (1 + R,) of a difference.
            units: number of units that have part in it; 0 takes all.
        """
        n = units or len(self)
        known = draws[1:][np.isfinite(draws[1:])]
        if n < 2 or not len(known):
            return math.nan
        tail = (min((known <= 0).sum(), (known >= 0).sum()) + 1) / (len(known) + 1)
        if tail >= 0.5:
            return 1.0
        return float(2 * student.cdf(norm.ppf(tail) / math.sqrt(n / (n - 1)), n - 1))

    def _tail(self, n: int) -> float:
        """The share of draws below an interval over n units."""
        reach = student.ppf((1 + self.level) / 2, n - 1) * math.sqrt(n / (n - 1))
        return float(norm.cdf(-reach))


def mean_interval(
    values: npt.ArrayLike, *, bounds: tuple[float, float] = UNBOUNDED, resamples: int = 500, seed: int = 0
) -> Interval:
    """The mean of values that are each a unit of their own, such as episodes or held-out groups; NaN are left out.

    Args:
        values: (N,).
        bounds: smallest and largest value that the mean can have.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    each = np.asarray(values, dtype=np.float64)
    known = each[np.isfinite(each)]
    resampler = Resampler([f"{k:09d}" for k in range(len(known))], resamples=resamples, seed=seed)
    if not len(known):
        return Interval(math.nan)
    return resampler.interval(resampler.means(known, resampler.names), bounds=bounds)


def describe_units(units: Iterable[str]) -> str:
    """Which units were drawn, and how many.

    >>> describe_units(["patient:a", "patient:b", "patient:a", "row:7"])
    'patient (2), row (1)'
    """
    words = Counter(name.partition(":")[0] for name in set(units))
    return ", ".join(f"{word} ({n})" for word, n in sorted(words.items(), key=lambda item: (-item[1], item[0])))
