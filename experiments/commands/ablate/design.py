"""The simulated cohort's stated design beside what was measured: order of the values, sign of the synergy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from datamodules.phantom import PhantomCohort, best_accuracy
from datamodules.phantom.design import LATENTS, REVEALS
from datamodules.phantom.questions import ABSENCE, KINDS, answer
from experiments.commands.ablate.values import Found, metric_names
from experiments.core.study import Study
from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.resampling import Interval
from zoo.evaluation.shapley import gains, interaction, synergy
from zoo.evaluation.subsets import Subset

MARGIN = 0.02
"""Differences in accuracy up to this size count as none: perception is never without error."""
AGREES, UNDECIDED, DISAGREES = "agrees", "within the interval", "disagrees"
SPLIT = ("redundant", "unique_a", "unique_b", "synergistic")


def check_simulated(study: Study) -> None:
    """Raise SpecError where the data are not the simulated cohort alone."""
    sources = study.data(seed=study.seed).pipeline.sources
    other = [type(s).__name__ for s in sources if not isinstance(s, PhantomCohort)]
    if other:
        raise SpecError(f"--design compares with the design of PhantomCohort alone; the data hold {other} too")


def designed_metric(task: TaskSpec) -> str:
    """The metric that the design speaks of: accuracy where the task has one, else its own."""
    return "accuracy" if "accuracy" in metric_names(task) else ""


def has_design(task: str) -> bool:
    """Whether the design states a best accuracy for the task."""
    return task not in ("expression", "structure")


def reachable(task: str, modalities: Sequence[str]) -> float:
    """The best accuracy that ``modalities`` allow on rows that have all images.

    For vqa the question is about any of the three images with equal chance, and may be answered from another one;
    datamodules.phantom.best_accuracy would ask only about images that are there.
    """
    if task != "vqa":
        return best_accuracy(task, modalities)
    value = 0.0
    for image, kinds in KINDS.items():
        for kind, share in kinds.items():
            polarities = ABSENCE.get(kind, (False, False))
            for absence in polarities:
                value += share / len(polarities) / len(KINDS) * _best_answer(image, kind, absence, modalities)
    return value


def _best_answer(image: str, kind: str, absence: bool, modalities: Sequence[str]) -> float:
    latent = kind if kind in LATENTS else "disease"
    seen: dict[tuple[int, ...], dict[str, int]] = {}
    for code in range(LATENTS[latent]):
        view = tuple(REVEALS[m][latent][code] for m in modalities if latent in REVEALS[m])
        said = answer(image, kind, absence, {latent: code})
        seen.setdefault(view, {}).setdefault(said, 0)
        seen[view][said] += 1
    return sum(max(counts.values()) for counts in seen.values()) / LATENTS[latent]


def designed(found: Found) -> dict[Subset, float]:
    """Subset -> best reachable accuracy; the empty set is a model that knows only what is kept."""
    plan = found.plan
    return {s: reachable(plan.task.name, plan.modalities(s)) for s in found.draws}


def verdict(expected: float, measured: Interval, margin: float = MARGIN) -> str:
    """Whether a measured number has the expected sign; expected numbers up to ``margin`` count as 0.

    It agrees with a positive expectation where the whole interval is positive, and with 0 where some of the interval
    lies within the margin. It disagrees with a positive one where the whole interval is below 0, and with 0 where the
    whole interval is beyond the margin. What is left is undecided: the interval is too wide, or the value too small.

    Args:
        expected: the number that the design states.
        measured: the number that was measured, with its interval.
        margin: expected numbers up to it count as 0.
    """
    if abs(expected) <= margin:
        return AGREES if measured.low <= margin and measured.high >= -margin else DISAGREES
    low, high = (measured.low, measured.high) if expected > 0 else (-measured.high, -measured.low)
    if low > 0:
        return AGREES
    return DISAGREES if high < 0 else UNDECIDED


def check_rows(found: Found) -> list[dict[str, Any]]:
    """One row a comparison of two subsets, and one a pair's synergy and interaction."""
    best, plan = designed(found), found.plan
    rows = []
    models = [s for s in found.draws if s or plan.kept]
    for s, r in itertools.combinations(sorted(models, key=lambda s: (best[s], len(s))), 2):
        rows.append(
            _check(found, "order", f"{plan.label(r)} - {plan.label(s)}", best[r] - best[s], _difference(found, r, s))
        )
    for a, b in found.pairs():
        for what, ours, theirs in (
            ("synergy", synergy(found.draws, (a, b)), synergy(best, (a, b))),
            ("interaction", interaction(found.draws, a, b), interaction(best, a, b)),
        ):
            rows.append(_check(found, what, f"{a} + {b}", float(theirs), found.gap(ours)))
    return rows


def _difference(found: Found, more: Subset, less: Subset) -> Interval:
    return found.gap(found.draws[more] - found.draws[less])


def _check(found: Found, what: str, where: str, expected: float, measured: Interval) -> dict[str, Any]:
    return {
        **found.head(),
        "check": what,
        "between": where,
        "designed": expected,
        "measured": measured.value,
        "measured_low": measured.low,
        "measured_high": measured.high,
        "verdict": verdict(expected, measured),
    }


def gain_rows(found: Found) -> list[dict[str, Any]]:
    """One row a pair: designed and measured redundant, unique and synergistic gains of accuracy."""
    best = {s: np.asarray(v) for s, v in designed(found).items()}
    rows = []
    for a, b in found.pairs():
        ours, theirs = gains(found.draws, a, b), gains(best, a, b)
        row: dict[str, Any] = {**found.head(), "pair": f"{a} + {b}"}
        for key in SPLIT:
            measured = found.gap(getattr(ours, key))
            row |= {
                f"{key}_designed": float(getattr(theirs, key)),
                key: measured.value,
                f"{key}_low": measured.low,
                f"{key}_high": measured.high,
            }
        rows.append(row)
    return rows


def design_sentences(rows: Sequence[dict[str, Any]]) -> list[str]:
    """How many checks agree, by task and mode, and every one that disagrees."""
    said = []
    for task, mode in dict.fromkeys((r["task"], r["mode"]) for r in rows):
        mine = [r for r in rows if (r["task"], r["mode"]) == (task, mode)]
        parts = []
        for what in ("order", "synergy", "interaction"):
            words = [r["verdict"] for r in mine if r["check"] == what]
            if words:
                parts.append(
                    f"{what} {words.count(AGREES)} of {len(words)} agree"
                    + (f", {words.count(UNDECIDED)} within the interval" if UNDECIDED in words else "")
                    + (f", {words.count(DISAGREES)} DISAGREE" if DISAGREES in words else "")
                )
        said.append(f"Design of {task} ({mode}, simulated): " + "; ".join(parts) + ".")
        said += [
            f"  {task} ({mode}): {r['check']} of {r['between']}: designed {r['designed']:+.3f}, measured "
            f"{r['measured']:+.3f} ({r['measured_low']:+.3f} to {r['measured_high']:+.3f})."
            for r in mine
            if r["verdict"] == DISAGREES
        ]
    return said
