"""Whether made values may be handed on: near copies of training rows and a membership attack, each with a limit.

A share of copies counts where it is beyond three others: that of held-out rows; what as many rows that nobody
trained on reach by chance, which is far more where there are few held-out rows; and the share of made rows that are
as near to a held-out row, which nobody can have copied. Blurred pictures and ever the same text are near to both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from zoo.errors import SpecError
from zoo.evaluation.generated.neighbours import Pair
from zoo.evaluation.generated.privacy import PrivacyOptions, PrivacyResult, check_apart, privacy
from zoo.evaluation.generated.text_copies import TextCopies, text_copies
from zoo.evaluation.resampling import Interval

Units = Mapping[str, Sequence[str]]
"""The units of "made", "train" and "heldout" rows."""
LEVEL = 0.99
"""Share of generators that know no training row and stay below ``chance``."""


@dataclass(frozen=True)
class AuditLimits:
    """From where on made values are refused.

    Attributes:
        copies: share of near copies beyond the share of held-out rows.
        auc: lower end of the interval of the membership attack's area under the ROC curve.
    """

    copies: float = 0.01
    auc: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.copies < 1 or not 0.5 <= self.auc < 1:
            raise SpecError(
                f"a limit of copies lies in [0, 1) and one of the attack's AUC in [.5, 1), got {self.copies} and "
                f"{self.auc}"
            )


@dataclass(frozen=True)
class AuditFigure:
    """One figure of made values.

    Attributes:
        name: what it is.
        value: with its interval.
        beside: what stands beside it: the share of held-out rows, or what is reached where nothing is given away.
        exchanged: the same share with training and held-out rows exchanged; NaN for other figures.
        limit: that the value, or of the attack the lower end of its interval, may reach; NaN where none is set.
        complaint: a sentence that says what exceeds the limit; "" for nothing.
    """

    name: str
    value: Interval
    beside: float
    exchanged: float = math.nan
    limit: float = math.nan
    complaint: str = ""


@dataclass(frozen=True)
class Audit:
    """What the made values of one modality give away.

    Attributes:
        modality: its name.
        n_made, n_train, n_heldout: number of values.
        figures: each with what stands beside it.
        pairs: made and training rows that are most alike.
        result: all that was measured: a PrivacyResult, or a TextCopies.
    """

    modality: str
    n_made: int
    n_train: int
    n_heldout: int
    figures: tuple[AuditFigure, ...]
    pairs: tuple[Pair, ...]
    result: Any

    @property
    def complaints(self) -> list[str]:
        """The sentences of all figures that exceed their limit."""
        return [f.complaint for f in self.figures if f.complaint]


def chance(copies: int, heldout: int, made: int) -> float:
    """Share of copies among made rows that a generator without any training row exceeds in 1 of 100 cases.

    The quantile of the number among ``made`` new rows where ``copies`` of ``heldout`` rows were ones (beta-binomial,
    with one more copy, as the upper limit of Clopper and Pearson has it).

    Args:
        copies: held-out rows that count as copies.
        heldout: held-out rows.
        made: independent made rows.

    >>> round(chance(1, 100, 1000), 3), round(chance(10, 1000, 1000), 3), chance(5, 5, 10)
    (0.067, 0.024, 1.0)
    """
    from scipy.stats import betabinom

    if copies >= heldout:
        return 1.0
    return float(betabinom.ppf(LEVEL, made, copies + 1, heldout - copies)) / made


def audit_numbers(
    modality: str,
    sets: Mapping[str, npt.ArrayLike],
    units: Units,
    limits: AuditLimits = AuditLimits(),
    options: PrivacyOptions = PrivacyOptions(),
) -> Audit:
    """Compare values as numbers, such as the pixels of pictures.

    Copies by the ratio of distances always have a limit. Copies by the distance alone have one only where made rows
    are nearer to training than to held-out rows beyond chance, as blurred pictures are near to every picture.

    Args:
        modality: name of the values.
        sets: "made", "train" and "heldout" -> (N, F).
        units: of their rows.
        limits: from where on they are refused.
        options: of the measurement.

    Raises:
        DataError: see ``privacy``.
    """

    def measured(train: str, heldout: str, options: PrivacyOptions) -> PrivacyResult:
        return privacy(
            sets["made"],
            sets[train],
            sets[heldout],
            made_units=units["made"],
            train_units=units[train],
            heldout_units=units[heldout],
            options=options,
        )

    found = measured("train", "heldout", options)
    other = measured("heldout", "train", replace(options, draws=1, pairs=0))
    counts = _Counts(modality, len(set(units["made"])), found.n_heldout, limits)
    ratio = found.to_train / found.to_heldout if found.to_heldout > 0 else math.nan
    near = counts.share("near copies by distance", found.copies, found.copies_floor, other.copies.value)
    if found.closer.low <= found.closer_chance[1]:
        near = replace(near, limit=math.nan, complaint="")
    figures = (
        AuditFigure("median distance to training over held-out rows", Interval(ratio), 1.0),
        AuditFigure("nearer to a training than to a held-out row", found.closer, 0.5),
        near,
        counts.share(
            "near copies by ratio of distances", found.ratio_copies, found.ratio_floor, other.ratio_copies.value
        ),
        _attack(modality, found.attack, limits),
    )
    return Audit(modality, found.n_made, found.n_train, found.n_heldout, figures, found.pairs, found)


def audit_texts(
    modality: str, sets: Mapping[str, Sequence[str]], units: Units, limits: AuditLimits = AuditLimits()
) -> Audit:
    """Compare texts by their words.

    Args:
        modality: name of the texts.
        sets: "made", "train" and "heldout" -> texts.
        units: of their rows.
        limits: from where on they are refused.

    Raises:
        DataError: see ``text_copies``, or a unit is in training and held-out rows.
    """
    check_apart(units)

    def measured(train: str, heldout: str) -> TextCopies:
        return text_copies(
            sets["made"],
            sets[train],
            sets[heldout],
            made_units=units["made"],
            train_units=units[train],
            heldout_units=units[heldout],
        )

    found, other = measured("train", "heldout"), measured("heldout", "train")
    n_heldout = len(sets["heldout"])
    counts = _Counts(modality, len(set(units["made"])), n_heldout, limits)
    figures = tuple(
        counts.share(name, share.made, share.floor.value, exchanged.made.value)
        for name, share, exchanged in (
            ("words of one training patient only", found.rare, other.rare),
            ("near copies of texts", found.near, other.near),
        )
    )
    return Audit(modality, len(sets["made"]), len(sets["train"]), n_heldout, figures, found.pairs, found)


@dataclass(frozen=True)
class _Counts:
    """What the limits of all shares of a modality depend on: independent made rows, held-out rows, and options."""

    modality: str
    made: int
    heldout: int
    limits: AuditLimits

    def share(self, name: str, value: Interval, floor: float, exchanged: float) -> AuditFigure:
        """A share of copies with its limit, and the sentence where it is exceeded."""
        limit = max(
            max(floor, exchanged) + self.limits.copies,
            chance(round(floor * self.heldout), self.heldout, self.made),
            chance(round(exchanged * self.made), self.made, self.made),
        )
        complaint = ""
        if value.value > limit:
            complaint = (
                f"{self.modality}: {value.value:.1%} of the made values are {name}, where held-out rows reach "
                f"{floor:.1%}, {exchanged:.1%} are as near to a held-out row, and {limit:.1%} is allowed "
                f"(--most-copies {self.limits.copies:g}, or what chance reaches)"
            )
        return AuditFigure(name, value, floor, exchanged, limit, complaint)


def _attack(modality: str, value: Interval, limits: AuditLimits) -> AuditFigure:
    """The membership attack with its limit; the value counts where there is no interval."""
    low = value.low if math.isfinite(value.low) else value.value
    complaint = ""
    if low > limits.auc:
        complaint = (
            f"{modality}: the made values tell training from held-out rows with an AUC of {value.value:.3f}, at "
            f"least {low:.3f}, where .5 tells nothing and {limits.auc:g} is allowed (--most-auc)"
        )
    return AuditFigure("membership attack, AUC", value, 0.5, math.nan, limits.auc, complaint)
