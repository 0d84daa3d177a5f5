"""Numbers of an ablation: values of subsets, contributions, pairs and information, each with its interval."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from experiments.commands.ablate.plan import EXACT, Plan
from experiments.commands.ablate.predictions import EMPTY, Predictions
from zoo.contract import TaskSpec, empty_target
from zoo.evaluation.information import Redundancy
from zoo.evaluation.pooled import Pool
from zoo.evaluation.resampling import Interval
from zoo.evaluation.shapley import gains, interaction, shapley, synergy
from zoo.evaluation.subsets import Subset, missing
from zoo.evaluation.task_information import definition, task_parts
from zoo.results import joint_word
from zoo.tasks.base import task_kind

Floats = npt.NDArray[np.float64]
Rows = list[dict[str, Any]]


@dataclass
class Found:
    """The values of one task's subsets in one mode.

    Attributes:
        predictions: what they come from.
        metric: name of what is averaged.
        draws: subset -> (1 + R,), the value on all rows and in each bootstrap resample.
        validation: subset -> value on the validation rows.
        constant: value of the best constant.
        chance: value of a guesser, averaged over 10 draws a seed.
        n: test rows over all seeds.
        word: "real", "simulated" or "mixed".
        pool: the pool of the test rows.
    """

    predictions: Predictions
    metric: str
    draws: dict[Subset, Floats]
    validation: dict[Subset, float]
    constant: float
    chance: float
    n: int
    word: str
    pool: Pool

    @property
    def plan(self) -> Plan:
        """The task and its modalities."""
        return self.predictions.plan

    @property
    def mode(self) -> str:
        """Whether masked or exact."""
        return self.predictions.mode

    @property
    def subsets(self) -> list[Subset]:
        """The subsets that are models; without the constant."""
        return [s for s in self.draws if s or self.plan.kept]

    @property
    def chosen(self) -> Subset:
        """The best subset on validation; of equals the smallest."""
        return max(self.subsets, key=lambda s: (_finite(self.validation[s]), -len(s)))

    @property
    def luckiest(self) -> Subset:
        """The best subset on the test rows, which a user could not have known."""
        return max(self.subsets, key=lambda s: (_finite(float(self.draws[s][0])), -len(s)))

    def interval(self, draws: Floats) -> Interval:
        """The value of a subset, with its interval."""
        return self.pool.interval(draws)

    def gap(self, draws: Floats) -> Interval:
        """A difference of values of subsets, with its interval."""
        return self.pool.interval(draws, gap=True)

    def head(self) -> dict[str, Any]:
        """What every table row of this task and mode begins with."""
        return {"task": self.plan.task.name, "mode": self.mode, "metric": self.metric, "data": self.word} | {
            "n": self.n, "unit": self.pool.unit,
        }  # fmt: skip

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of modalities of which both singles and the pair have a value."""
        return [
            (a, b)
            for a, b in itertools.combinations(self.plan.players, 2)
            if all(frozenset(s) in self.draws for s in ((a,), (b,), (a, b)))
        ]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def values_of(predictions: Predictions, *, resamples: int, metric: str = "") -> Found:
    """Score every subset.

    Args:
        predictions: of the subsets.
        resamples: of the bootstrap.
        metric: a key of the kind's metrics; "" for the primary one.
    """
    kind = task_kind(predictions.plan.task)

    def pool(seeds: Sequence[Any], draws: int) -> Pool:
        return Pool(kind, seeds, resamples=draws, metric=metric)

    test, val = pool(predictions.seeds["test"], resamples), pool(predictions.seeds["val"], 0)
    guesses = [
        float(pool([{EMPTY: g[k]} for g in predictions.guesses], 0).draws(EMPTY)[0])
        for k in range(len(predictions.guesses[0]))
    ]
    constant = pool([{EMPTY: c} for c in predictions.constant["test"]], 0)
    return Found(
        predictions,
        test.metric,
        {s: test.draws(s) for s in test.members},
        {s: float(val.draws(s)[0]) for s in val.members},
        float(constant.draws(EMPTY)[0]),
        float(np.nanmean(guesses)) if np.isfinite(guesses).any() else math.nan,
        test.n,
        joint_word(predictions.words),
        test,
    )


def metric_names(task: TaskSpec) -> list[str]:
    """The metrics of a task, whatever its rows."""
    kind = task_kind(task)
    return list(kind.metrics(torch.zeros((0, *kind.prediction_shape())), empty_target(task)))


def spread(key: str, found: Interval) -> dict[str, float]:
    """An estimate as the columns KEY, KEY_low and KEY_high."""
    return {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}


def combination_rows(found: Found) -> Rows:
    """One row a subset, best first."""
    nothing = found.draws[EMPTY]
    rows = []
    for s in sorted(found.subsets, key=lambda s: -_finite(float(found.draws[s][0]))):
        rows.append(
            {
                **found.head(),
                "modalities": found.plan.label(s),
                "size": len(s) + len(found.plan.kept),
                **spread("value", found.interval(found.draws[s])),
                **spread("gain", found.gap(found.draws[s] - nothing)),
                "validation": found.validation[s],
                "chance": found.chance,
                "constant": found.constant,
                "chosen": s == found.chosen,
                "luckiest": s == found.luckiest,
            }
        )
    return rows


def contribution_rows(found: Found) -> Rows:
    """One row a modality: its Shapley value; none where a subset is missing."""
    if missing(found.plan.players, found.draws):
        return []
    values = shapley(found.plan.players, found.draws)
    full = found.draws[found.plan.full]
    return [
        {
            **found.head(),
            "modality": m,
            **spread("shapley", found.gap(phi)),
            **spread("last", found.gap(full - found.draws[found.plan.full - {m}])),
            **spread("first", found.gap(found.draws[frozenset({m})] - found.draws[EMPTY])),
        }
        for m, phi in values.items()
    ]


def pair_rows(found: Found) -> Rows:
    """One row a pair of modalities, and one for all together where they are more."""
    rows = []
    for a, b in found.pairs():
        parts = gains(found.draws, a, b)
        rows.append(
            {
                **found.head(),
                "pair": f"{a} + {b}",
                "alone_a": float(found.draws[frozenset({a})][0]),
                "alone_b": float(found.draws[frozenset({b})][0]),
                "both": float(found.draws[frozenset({a, b})][0]),
                **spread("synergy", found.gap(synergy(found.draws, (a, b)))),
                **spread("interaction", found.gap(interaction(found.draws, a, b))),
                "redundant": float(parts.redundant[0]),
                "unique_a": float(parts.unique_a[0]),
                "unique_b": float(parts.unique_b[0]),
                "synergistic": float(parts.synergistic[0]),
            }
        )
    players = found.plan.players
    singles = all(frozenset({p}) in found.draws for p in players)
    if len(players) > 2 and singles:
        gain = synergy(found.draws, players)
        whole = float(found.draws[found.plan.full][0])
        rows.append({**found.head(), "pair": "all of them", "both": whole, **spread("synergy", found.gap(gain))})
    return rows


def information_rows(found: Found, redundancy: Redundancy) -> Rows:
    """One row a pair: bits that are redundant, unique and synergistic; none for kinds without a decomposition."""
    task, predictions = found.plan.task, found.predictions
    if task_kind(task).form == "other":
        return []
    rows = []
    for a, b in found.pairs():
        parts = task_parts(
            found.pool, predictions.seeds["val"], a, b, given=bool(found.plan.kept), redundancy=redundancy
        )
        smaller = np.minimum(parts.alone_a, parts.alone_b)
        row = {**found.head(), "pair": f"{a} + {b}", "a": a, "b": b, "mmi": float(smaller[0])}
        for key in ("alone_a", "alone_b", "both", "redundant", "unique_a", "unique_b", "synergistic", "negative"):
            row |= spread(key, found.pool.interval(getattr(parts, key), bounded=False))
        rows.append(row)
    return rows


def information_note(found: Found, redundancy: Redundancy) -> str:
    """The definition by which a task is decomposed; what is missing where it is not."""
    told = definition(task_kind(found.plan.task), redundancy, " + ".join(found.plan.kept))
    name = found.plan.task.name
    return f"{name}: {told}." if told else f"{name}: kind '{found.plan.task.kind}' has no decomposition in bits."


def sentences(found: Found) -> list[str]:
    """What was found for a task in a mode."""
    plan, name = found.plan, f"{found.plan.task.name} ({found.mode}, {found.word})"
    best, value = found.chosen, found.interval(found.draws[found.chosen])
    said = [
        f"{name}: best on validation is {plan.label(best)}, with test {found.metric} {value.value:.3f} "
        f"({value.low:.3f} to {value.high:.3f}, n = {found.n}); the best constant has {found.constant:.3f}."
    ]
    if found.luckiest != best:
        said.append(
            f"{name}: on the test rows {plan.label(found.luckiest)} is best with "
            f"{float(found.draws[found.luckiest][0]):.3f} (chosen on the test, so too good)."
        )
    for row in pair_rows(found):
        if row["synergy_low"] > 0 or row["synergy_high"] < 0:
            word = "gain over" if row["synergy_low"] > 0 else "are worse than"
            said.append(
                f"{name}: {row['pair']} {word} the best of them alone by {abs(row['synergy']):.3f} "
                f"({row['synergy_low']:.3f} to {row['synergy_high']:.3f})."
            )
    if found.mode == EXACT and missing(plan.players, found.draws) and not plan.greedy:
        lacking = len(missing(plan.players, found.draws))
        said.append(f"{name}: no Shapley values, as {lacking} subsets were not trained; --order 0 trains all.")
    return said
