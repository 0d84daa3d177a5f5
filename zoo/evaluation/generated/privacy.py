"""Whether a generator gives its training rows away: near copies, and an attack that tells who was trained on.

All is measured between features, which may be pixels. Each figure stands beside what real rows that were not trained
on reach. It shows what these attacks find; that they find nothing is no proof that nothing is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.features.base import Matrix, checked
from zoo.evaluation.generated.neighbours import Pair, closest, nearest
from zoo.evaluation.resampling import Floats, Interval, Resampler, Whole, describe_units

Bools = npt.NDArray[np.bool_]
NEIGHBOURS = 50
"""Further training rows to which the distance of the nearest one is compared."""
REACH = 200
"""Nearest real rows of a made row among which the first training or held-out row is looked for."""


@dataclass(frozen=True)
class PrivacyOptions:
    """How near is a copy, and how intervals are made.

    Attributes:
        quantile: of held-out rows that are nearer to training rows than the threshold of a near copy.
        pairs: closest pairs that are named.
        draws: random choices of as many training as held-out rows, over which ``closer`` is averaged, and, ten times
            as many, random exchanges of training for held-out patients that say what it is by chance.
        resamples: of the bootstrap.
        seed: of all draws.
    """

    quantile: float = 0.01
    pairs: int = 10
    draws: int = 20
    resamples: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1 or self.pairs < 0 or self.draws < 1:
            raise SpecError(
                f"PrivacyOptions: quantile lies between 0 and 1, pairs is 0 or more and draws 1 or more, got "
                f"{self.quantile}, {self.pairs} and {self.draws}"
            )


@dataclass(frozen=True)
class PrivacyResult:
    """What made rows tell of training rows.

    Attributes:
        closer: share of made rows that are nearer to a training row than to a held-out one, of equally many
            (Platzer and Reutterer, Frontiers in Big Data 4:679939, 2021).
        closer_chance: range that 95 % of random exchanges of training for held-out patients reach, around .5.
        to_train, to_heldout: median distance of made rows to the nearest of these equally many rows.
        heldout_to_train: median distance of held-out rows to the nearest training row, all of them.
        copies: share of made rows that are as near to a training row as the ``quantile`` nearest held-out rows.
        copies_floor: the same share of held-out rows.
        ratio_copies: the same by the distance over the mean distance to the next training rows (as Carlini et al.,
            USENIX Security 2023, section 4.2), which dense and sparse regions share.
        ratio_floor: the same share of held-out rows.
        attack: area under the ROC curve of telling training from held-out rows by their distance to the nearest
            made row (Chen et al., GAN-Leaks, CCS 2020, section 5.2); .5 where nothing is told.
        attack_at_1: share of training rows that the attack finds where it takes 1 % of held-out rows for trained on;
            .01 where nothing is told.
        pairs: made and training row with their distance, of the smallest ratio.
        n_made: made rows.
        n_train: training rows.
        n_heldout: held-out rows.
        unit: what intervals draw of the real rows, and how many.
    """

    closer: Interval
    closer_chance: tuple[float, float]
    to_train: float
    to_heldout: float
    heldout_to_train: float
    copies: Interval
    copies_floor: float
    ratio_copies: Interval
    ratio_floor: float
    attack: Interval
    attack_at_1: Interval
    pairs: tuple[Pair, ...]
    n_made: int
    n_train: int
    n_heldout: int
    unit: str


def privacy(
    made: npt.ArrayLike,
    train: npt.ArrayLike,
    heldout: npt.ArrayLike,
    *,
    made_units: Sequence[str] | None = None,
    train_units: Sequence[str] | None = None,
    heldout_units: Sequence[str] | None = None,
    options: PrivacyOptions = PrivacyOptions(),
) -> PrivacyResult:
    """Look for training rows in what a generator made.

    Args:
        made: (M, F) features of made rows.
        train: (N, F) features of rows that the generator was trained on.
        heldout: (H, F) features of rows of the same distribution that it was not trained on.
        made_units: (M,) patient of whose data each made row was made; None: each row is its own.
        train_units: (N,) patient of each training row; None: each row is its own.
        heldout_units: (H,) patient of each held-out row; None: each row is its own.
        options: thresholds and intervals.

    Raises:
        DataError: sets differ in F, are not finite, have fewer than 3 rows, share a patient, or lack a unit.
    """
    sets = {"made": checked("made rows", made), "train": checked("training rows", train)}
    sets["heldout"] = checked("held-out rows", heldout)
    given = {"made": made_units, "train": train_units, "heldout": heldout_units}
    units = {name: _units(name, rows, given[name]) for name, rows in sets.items()}
    _check(sets, units)
    resampler = Resampler(units["made"], resamples=options.resamples, seed=options.seed)
    closer, chance, to_train, to_heldout = _closer(sets, units, options)
    near = {name: _near(sets[name], sets["train"]) for name in ("made", "heldout")}
    shares = []
    for k in (0, 1):
        limit = np.quantile(near["heldout"][k], options.quantile)
        draws = resampler.means(near["made"][k] <= limit, units["made"])
        floor = float((near["heldout"][k] <= limit).mean())
        shares.append((resampler.interval(draws, bounds=(0.0, 1.0)), floor))
    attack, at_1 = _attack(sets, units, options)
    return PrivacyResult(
        closer=resampler.interval(resampler.means(closer, units["made"]), bounds=(0.0, 1.0)),
        closer_chance=chance,
        to_train=to_train,
        to_heldout=to_heldout,
        heldout_to_train=float(np.median(near["heldout"][0])),
        copies=shares[0][0],
        copies_floor=shares[0][1],
        ratio_copies=shares[1][0],
        ratio_floor=shares[1][1],
        attack=attack,
        attack_at_1=at_1,
        pairs=tuple(
            Pair(p.made, p.train, float(near["made"][0][p.made]))
            for p in closest(near["made"][1], near["made"][2], options.pairs)
        ),
        n_made=len(sets["made"]),
        n_train=len(sets["train"]),
        n_heldout=len(sets["heldout"]),
        unit=describe_units([*units["train"], *units["heldout"]]),
    )


def auroc(scores: npt.ArrayLike, positives: npt.ArrayLike) -> float:
    """Area under the ROC curve, ties counting half; NaN where all rows are of one kind.

    Args:
        scores: (N,) higher where a row is rather positive.
        positives: (N,) True and False.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [False, True, False, True])
    0.875
    """
    from scipy.stats import rankdata

    truth = np.asarray(positives, dtype=bool)
    n, m = int(truth.sum()), int((~truth).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(np.asarray(scores))[truth].sum() - n * (n + 1) / 2) / (n * m))


def _units(name: str, rows: Matrix, given: Sequence[str] | None) -> list[str]:
    units = [f"{name} row:{k}" for k in range(len(rows))] if given is None else list(given)
    if len(units) != len(rows):
        raise DataError(f"{len(units)} units were given for {len(rows)} rows of '{name}'; give one for each")
    return units


def _check(sets: dict[str, Matrix], units: dict[str, list[str]]) -> None:
    if len({rows.shape[1] for rows in sets.values()}) > 1:
        widths = {name: rows.shape[1] for name, rows in sets.items()}
        raise DataError(f"features of the sets differ in width: {widths}; use one network for all")
    few = {name: len(rows) for name, rows in sets.items() if len(rows) < 3}
    if few:
        raise DataError(f"privacy needs 3 rows of each set at least, got {few}")
    check_apart(units)


def check_apart(units: Mapping[str, Sequence[str]]) -> None:
    """Refuse training and held-out rows of one unit.

    Args:
        units: "train" and "heldout" -> the units of their rows.

    Raises:
        DataError: they share one.
    """
    shared = sorted(set(units["train"]) & set(units["heldout"]))
    if shared:
        raise DataError(
            f"{len(shared)} units are in training and held-out rows, such as '{shared[0]}'; split by patient"
        )


def _near(rows: Matrix, train: Matrix) -> tuple[Matrix, Matrix, Whole]:
    """Of each row the distance to the nearest training row, its ratio to the mean distance to the next, and which."""
    count = min(NEIGHBOURS + 1, len(train))
    distances, numbers = nearest(rows, train, count)
    others = distances[:, 1:].mean(1)
    ratio = np.divide(distances[:, 0], others, out=np.zeros(len(rows)), where=others > 0)
    return distances[:, 0], ratio, numbers[:, 0]


def _closer(
    sets: dict[str, Matrix], units: dict[str, list[str]], options: PrivacyOptions
) -> tuple[Matrix, tuple[float, float], float, float]:
    """(M,) how often each made row is nearer to training rows; the range by chance; both median distances."""
    generator = np.random.default_rng(options.seed)
    pool = np.concatenate([sets["train"], sets["heldout"]])
    mixed = generator.permutation(len(pool))  # so that of equal distances no side comes first
    distances, numbers = nearest(sets["made"], pool[mixed], min(REACH, len(pool)))
    numbers = mixed[numbers]
    owners = np.unique([*units["train"], *units["heldout"]], return_inverse=True)[1]
    inside = np.isin(np.arange(owners.max() + 1), owners[: len(sets["train"])])
    n = min(len(sets["train"]), len(sets["heldout"]))
    draws = [_wins(numbers, owners, inside, n, generator) for _ in range(options.draws)]
    chance = [
        _wins(numbers, owners, generator.permutation(inside), n, generator)[0].mean()
        for _ in range(10 * options.draws)
    ]
    medians = []
    for _, left, right in draws:
        found = (
            np.where(side.any(1), distances[np.arange(len(side)), side.argmax(1)], np.nan) for side in (left, right)
        )
        medians.append([np.nanmedian(f) if np.isfinite(f).any() else np.nan for f in found])
    low, high = np.quantile(chance, [0.025, 0.975])
    to_train, to_heldout = np.mean(medians, 0)
    closer: Matrix = np.mean([wins for wins, _, _ in draws], 0)
    return closer, (float(low), float(high)), float(to_train), float(to_heldout)


def _wins(
    numbers: Whole, owners: Whole, inside: Bools, n: int, generator: np.random.Generator
) -> tuple[Matrix, Bools, Bools]:
    """Of each made row 1 where a training row comes first, 0 where a held-out one does, else one half.

    Args:
        numbers: (M, K) nearest real rows, nearest first.
        owners: (N,) number of the unit of each real row.
        inside: (U,) which units are taken for trained on.
        n: rows of each side at most, whole units first.
        generator: of the choice of units.

    Returns:
        (M,) wins, and (M, K) which of the nearest rows are chosen training and held-out rows.
    """
    order = np.argsort(generator.permutation(len(inside))[owners], kind="stable")
    sides = [order[inside[owners[order]] == side] for side in (True, False)]
    size = min(n, *(len(side) for side in sides))
    left, right = (np.isin(numbers, side[:size]) for side in sides)
    first = (left | right).argmax(1)
    rows = np.arange(len(numbers))
    wins = np.where(left[rows, first], 1.0, np.where(right[rows, first], 0.0, 0.5))
    return wins, left, right


def _attack(
    sets: dict[str, Matrix], units: dict[str, list[str]], options: PrivacyOptions
) -> tuple[Interval, Interval]:
    """AUROC, and the share of training rows found at 1 % false alarms, each with an interval over units."""
    scores = np.concatenate([-nearest(sets[name], sets["made"], 1)[0][:, 0] for name in ("train", "heldout")])
    members = np.arange(len(scores)) < len(sets["train"])
    names = [*units["train"], *units["heldout"]]
    resampler = Resampler(names, resamples=options.resamples, seed=options.seed)
    support = min(len(set(units["train"])), len(set(units["heldout"])))

    def found(rows: Whole) -> float:
        inside, outside = scores[rows][members[rows]], scores[rows][~members[rows]]
        return float((inside > np.quantile(outside, 0.99)).mean()) if len(inside) and len(outside) else float("nan")

    both: list[Floats] = [
        resampler.apply(lambda rows: auroc(scores[rows], members[rows]), names),
        resampler.apply(found, names),
    ]
    first, second = (resampler.interval(d, bounds=(0.0, 1.0), support=support) for d in both)
    return first, second
