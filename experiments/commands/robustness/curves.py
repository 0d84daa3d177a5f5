"""Values under corruption, and the tables and figures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from experiments.commands.robustness.pile import ALL, Mean, Model, Options, Pile, ends, uses
from experiments.reporting.columns import interval_column
from zoo.contract import Batch
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, corrupt, corruptions_for
from zoo.evaluation.corruptions.curves import area, effective, relative, retention
from zoo.evaluation.missing import take_rows
from zoo.evaluation.resampling import UNIT_HELP, Resampler
from zoo.models.predict import predict
from zoo.results import Column, Figure, Series, Table, joint_word
from zoo.thinning import evenly_spaced
from zoo.training.collector import Evaluated

FULL, SINGLE = "full", "single"
"""Who was measured: the network of all modalities, or the reference, the network of one."""
CLEAN = ""
STANDARD = "standard"
"""In the place of a corruption: to each modality the first that fits it."""


def measure_curves(model: Model, pile: Pile, options: Options, who: str, modalities: Sequence[str]) -> None:
    """Corrupt each modality alone, and where ``modalities`` holds ALL, all of them together, at every level.

    Values go on the pile under (who, task, modality, corruption, level). A modality alone is corrupted in the rows
    that have it, and only these are counted; all modalities together in all rows.

    Args:
        model: the trained model with its data.
        pile: where values go.
        options: of the command.
        who: what the model is called on the pile.
        modalities: to corrupt; ALL for all together.
    """
    for name in [m for m in modalities if m != ALL]:
        tasks = [t for t in options.tasks if t in model.specs and uses(model.specs[t], name)]
        if tasks:
            spec = model.module.modalities[name]
            plans = [(c.name, {name: c}) for c in corruptions_for(spec, options.corruptions)]
            _measure(model, pile, options, who, name, tasks, plans)
    if ALL in modalities:
        plan = first_of_each(model, options.corruptions)
        _measure(model, pile, options, who, ALL, [t for t in options.tasks if t in model.specs], [(STANDARD, plan)])


def first_of_each(model: Model, names: Sequence[str] | None) -> dict[str, Corruption]:
    """Modality -> the standard corruption, or the first that was asked for and fits."""
    fitting = {m: corruptions_for(s, names) for m, s in model.module.modalities.items()}
    return {m: found[0] for m, found in fitting.items() if found}


def _measure(
    model: Model,
    pile: Pile,
    options: Options,
    who: str,
    modality: str,
    tasks: Sequence[str],
    plans: Sequence[tuple[str, dict[str, Corruption]]],
) -> None:
    chosen = _chosen(model, modality, tasks, options.rows)
    wanted = set().union(*chosen.values())
    batches = [take_rows(b, _mask(b, wanted)) for b in model.batches]
    chances: dict[str, float] = {}
    for corruption, plan in [(CLEAN, {}), *plans]:
        for level in [0] if not plan else [v for v in options.levels if v]:
            if plan and options.over(f"{who}, seed {model.seed}: {corruption} on {modality}, level {level}"):
                continue
            now = {m: (c, level) for m, c in plan.items()}
            found = predict(model.module, batches, _damage(model, now))
            for task in tasks:
                if task not in found.results or not chosen[task]:
                    continue
                result = only(found.results[task], chosen[task])
                if task not in chances:
                    chances[task] = model.chance(task, result)
                key = (who, task, modality, corruption, level)
                word = model.word(result)
                pile.measure(key, task, model.kind(task), result, chance=chances[task], data=word)


def _damage(model: Model, plan: dict[str, tuple[Corruption, int]]) -> Callable[[Batch], Batch]:
    return lambda batch: corrupt(batch, model.module.modalities.values(), plan, model.seed)


def only(result: Evaluated, ids: set[str]) -> Evaluated:
    """The rows with these ids."""
    return result.take([k for k, i in enumerate(result.ids) if i in ids])


def _mask(batch: Batch, ids: set[str]) -> Any:
    return torch.tensor([i in ids for i in batch.ids], dtype=torch.bool)


def _chosen(model: Model, modality: str, tasks: Sequence[str], most: int) -> dict[str, set[str]]:
    """Task -> ids of its test rows that have the modality, at most ``most`` of them (0: all), evenly spaced."""
    chosen = {}
    has = None if modality == ALL else model.test.present[modality].tolist()
    having = set(model.test.ids) if has is None else {i for i, h in zip(model.test.ids, has, strict=True) if h}
    for task in tasks:
        ids = [i for i in model.test.results[task].ids if i in having] if task in model.test.results else []
        chosen[task] = {ids[k] for k in evenly_spaced(len(ids), most or len(ids))}
    return chosen


def corruption_notes(model: Model, names: Iterable[str] | None = None) -> list[str]:
    """What the corruptions say of how they meet the test rows.

    Args:
        model: a trained model and its test rows.
        names: of corruptions; None for all that fit.
    """
    said = []
    for name, spec in model.module.modalities.items():
        for corruption in corruptions_for(spec, names):
            note = corruption.note((b.inputs[name] for b in model.batches), spec)
            said += [f"Test rows of seed {model.seed}: {note}"] if note else []
    return said


# -- what is read off the curves -------------------------------------------------------------------------------


def summary_rows(pile: Pile, options: Options, standard: dict[str, str]) -> list[dict[str, Any]]:
    """A row a task, modality and corruption: clean, mean corrupted, relative and effective robustness, area.

    Args:
        pile: with the values of ``measure_curves``.
        options: of the command.
        standard: modality -> name of its corruption where all are corrupted together.
    """
    rows = []
    curves = dict.fromkeys(k[1:4] for k in pile.listed() if k[0] == FULL and k[3] != CLEAN)
    for task, modality, corruption in curves:
        levels = [v for v in options.levels if v and (FULL, task, modality, corruption, v) in pile]
        clean = pile.mean((FULL, task, modality, CLEAN, 0))
        values = [pile.mean((FULL, task, modality, corruption, v)).samples for v in levels]
        row: dict[str, Any] = {
            "task": task, "modality": modality, "corruption": corruption, "data": clean.data, "n": clean.n,
            "unit": clean.unit,
            "chance": clean.chance, "levels": " ".join(map(str, levels)),
        }  # fmt: skip
        resampler = pile.resampler(task)
        row["clean"], row["clean_low"], row["clean_high"] = clean.estimate
        _put(row, "corrupted", np.mean(np.stack(values), 0), resampler)
        _put(row, "worst", values[-1], resampler)
        _put(row, "relative", relative(clean.samples, values, clean.chance, resampler), resampler)
        _put(row, "area", area([0, *levels], [clean.samples, *values]), resampler)
        reference = [_retention(pile, task, modality, corruption, v, standard) for v in levels]
        if all(r is not None for r in reference):
            robust = [
                effective(clean.samples, v, r, clean.chance)
                for v, r in zip(values, reference, strict=True)
                if r is not None
            ]
            _put(row, "effective", np.mean(np.stack(robust), 0), resampler)
            _put(row, "effective_area", area([0, *levels], [np.zeros_like(clean.samples), *robust]), resampler)
        rows.append(row)
    return rows


def _retention(pile: Pile, task: str, modality: str, corruption: str, level: int, standard: dict[str, str]) -> Any:
    """The share of skill that the references keep; one network, or those of all modalities."""
    pairs = standard.items() if modality == ALL else [(modality, corruption)]
    clean, damaged, chance = [], [], []
    for m, c in pairs:
        before, after = (SINGLE, task, m, CLEAN, 0), (SINGLE, task, m, c, level)
        if before in pile and after in pile:
            first = pile.mean(before)
            clean.append(first.samples)
            chance.append(first.chance)
            damaged.append(pile.mean(after).samples)
    return retention(clean, damaged, chance, pile.resampler(task)) if clean else None


def _put(row: dict[str, Any], key: str, samples: Any, resampler: Resampler) -> None:
    found = resampler.interval(samples, bounds=(-1.0, 1.0))
    row |= {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}


def summary_table(rows: list[dict[str, Any]], metrics: dict[str, str]) -> Table:
    """The table of ``summary_rows``."""
    for row in rows:
        row["metric"] = metrics[row["task"]]

    columns = [
        Column("task", "task"), Column("metric", "metric"), Column("modality", "corrupted"),
        Column("corruption", "by"), Column("n", "rows", "integer"), Column("unit", "unit", help=UNIT_HELP),
        Column("chance", "chance", "number"),
        interval_column("clean", "clean", "value on these rows as they are"),
        interval_column("corrupted", "mean corrupted", "mean over the levels above 0"),
        interval_column("worst", "worst level", "value at the highest level"),
        interval_column("relative", "relative", "(mean corrupted - chance) / (clean - chance)"),
        interval_column("effective", "effective", "mean over levels of the value - that expected from the reference"),
        interval_column("effective_area", "effective area", "area under effective over levels / range of levels"),
        interval_column("area", "area", "area under the value over levels / range of levels"),
        Column("levels", "levels"), Column("data", "data"),
    ]  # fmt: skip
    note = (
        "A modality alone is corrupted and scored on the test rows that have it. 95 % intervals over units, "
        "paired between levels, mean over seeds. relative is empty where the clean interval does not lie above "
        "chance. effective (after Taori et al. 2020): v - beta(v_clean), where beta(x) = chance + s (x - chance) and "
        "s is the share of its skill above chance that a network of the corrupted modality alone (and what the task "
        "reads) keeps at that level on the same rows; of all modalities together, the pooled share of these networks."
        " It is empty where such networks were not trained or are not above chance when clean. Classical pipelines "
        "read raw files, which are not corrupted here, so they are no reference."
    )
    return Table("robustness", "Robustness to corruption", columns, rows, note)


def curve_table(pile: Pile, metrics: dict[str, str]) -> Table:
    """Every point of every curve."""
    rows = []
    for key in (k for k in pile.listed() if k[0] in (FULL, SINGLE)):
        who, task, modality, corruption, level = key
        mean = pile.mean(key)
        value, low, high = mean.estimate
        physical, unit = None, ""
        if corruption in CORRUPTIONS:
            made = CORRUPTIONS.get(corruption)()
            physical, unit = made.levels[level], made.unit
        rows.append(
            {
                "network": who, "task": task, "metric": metrics[task], "modality": modality,
                "corruption": corruption or "none", "level": level, "physical": physical, "unit": unit,
                "value": value, "low": low, "high": high, "chance": mean.chance, "n": mean.n, "data": mean.data,
            }
        )  # fmt: skip
    columns = [
        Column("network", "network", help="full: of all modalities; single: of the one that is corrupted"),
        Column("task", "task"), Column("metric", "metric"), Column("modality", "corrupted"),
        Column("corruption", "by"), Column("level", "level", "integer"), Column("physical", "physical", "number"),
        Column("unit", "unit"), Column("value", "value", "number", "low", "high"),
        Column("chance", "chance", "number"), Column("n", "rows", "integer"), Column("data", "data"),
    ]  # fmt: skip
    return Table("curves", "Value against level of corruption", columns, rows)


def curve_figures(pile: Pile, options: Options, metrics: dict[str, str], standard: dict[str, str]) -> list[Figure]:
    """For each task the standard corruption of each modality and of all; behind it every corruption of a modality.

    Args:
        pile: the measured values.
        options: of the command.
        metrics: task -> name of its metric.
        standard: modality -> its standard corruption.
    """
    figures = []
    curves = list(dict.fromkeys(k[1:4] for k in pile.listed() if k[0] == FULL and k[3] != CLEAN))
    for task in dict.fromkeys(c[0] for c in curves):
        mine = [c for c in curves if c[0] == task]
        main = [(m, c, FULL) for _, m, c in mine if c == STANDARD or standard.get(m) == c]
        figures.append(_figure(pile, options, task, main, metrics[task], "corruption", task))
        for modality in dict.fromkeys(m for _, m, _ in mine if m != ALL):
            lines = [(m, c, FULL) for _, m, c in mine if m == modality]
            lines += [(m, c, SINGLE) for m, c, _ in lines if (SINGLE, task, m, CLEAN, 0) in pile]
            if len(lines) > 1:
                panel = f"{task}: {modality}"
                figures.append(_figure(pile, options, task, lines, metrics[task], "corruption by modality", panel))
    return figures


def _figure(
    pile: Pile,
    options: Options,
    task: str,
    lines: Sequence[tuple[str, str, str]],
    metric: str,
    group: str,
    panel: str,
) -> Figure:
    series, words, chances = [], [], []
    for modality, corruption, who in lines:
        levels = [v for v in options.levels if v and (who, task, modality, corruption, v) in pile]
        keys = [(who, task, modality, CLEAN, 0), *((who, task, modality, corruption, v) for v in levels)]
        means: list[Mean] = [pile.mean(k) for k in keys]
        y, low, high = ends(m.estimate for m in means)
        name = modality if corruption == STANDARD else f"{modality}: {corruption}"
        name += " (this modality alone)" if who == SINGLE else ""
        simulated = means[0].data == "simulated"
        series.append(Series(name, [0, *levels], y, low, high, [m.n for m in means], simulated, who == SINGLE))
        words.append(means[0].data)
        chances.append(means[0].chance)
    safe = "".join(c if c.isalnum() else "_" for c in panel)
    return Figure(
        f"{'corruption' if group == 'corruption' else 'corruption_detail'}_{safe}",
        f"{panel} under corruption", "lines", "level of corruption (0 is none)", metric, series,
        {"chance": float(np.nanmean(chances))}, group=group, panel=panel, data=joint_word(words),
        note="Each line is over the test rows that have the modality, so lines begin at different heights."
        + (" Dashed: the network of that modality alone." if any(s.dashed for s in series) else ""),
    )  # fmt: skip
