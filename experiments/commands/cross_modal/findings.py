"""What ``run.py cross_modal`` found: tables with intervals, what beats what, and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.commands.cross_modal.figures import (
    alignment_gain_figures,
    class_gain_figures,
    confusion_figures,
    setting_bars,
)
from experiments.commands.cross_modal.scoring import Key, Scored
from experiments.commands.cross_modal.settings import Setting
from experiments.core.study_command import StudyRun
from experiments.reporting.columns import interval_column
from zoo.evaluation.alignment import agreement, alignment_gain
from zoo.evaluation.class_gains import class_gains
from zoo.evaluation.class_scores import ByScore
from zoo.evaluation.paired import Difference, Runs, compare, estimate
from zoo.evaluation.resampling import UNIT_HELP
from zoo.results import Column, Result, Table, joint_word
from zoo.training.collector import Evaluated

METRICS = ("balanced_accuracy", "macro_f1")
RANKED = 200
"""Resamples of the AUROC's bootstrap, which is slow."""
PAIRS = (
    ("fusion", "image"),
    ("fusion", "metadata"),
    ("fusion+records", "fusion"),
    ("fusion+records", "image"),
    ("fusion+records", "metadata"),
    ("fusion+records leaky", "fusion+records"),
    ("image+records", "image"),
    ("metadata+records", "metadata"),
    ("fusion+records", "concat"),
    ("fusion", "concat"),
    ("gated", "concat"),
    ("synthetic image + metadata", "metadata"),
    ("synthetic image + metadata", "fusion"),
    ("+ standard augmentation", "fusion"),
    ("+ synthetic augmentation", "fusion"),
    ("+ synthetic augmentation", "+ standard augmentation"),
    ("synthetic supervision", "fusion"),
    ("round trip", "fusion+records"),
    ("ensemble", "fusion"),
    ("fusion, TTA", "fusion"),
    ("fusion+records, TTA", "fusion+records"),
)
"""(setting, what it is compared with), on the rows and seeds of both."""


def make_result(run: StudyRun, scored: Scored, settings: Sequence[Setting]) -> Result:
    """Put everything into a Result.

    Args:
        run: of the command.
        scored: scores of every setting.
        settings: that were asked for.
    """
    resamples = run.options.resamples
    result = run.result("cross_modal", f"Generated modalities on {run.study.name}", [scored.data])
    rows = list(scored.rows())
    pairs = list(_pairs(scored, resamples))
    gains = list(_class_gains(scored, resamples))
    aligned = list(_alignment(scored, resamples))
    result.tables = [
        _settings_table(scored, resamples),
        _pairs_table(pairs),
        _scores_table(rows),
        _plain("class_gains", "Gain in F1 of each class, calibrated models", gains),
        _plain("alignment", "Gain by how well the generated value fits (appendix K)", aligned),
        _plain("agreement", "Agreement of two judges (appendix L)", list(_agreement(scored, resamples))),
        _plain("generation", "What was generated", scored.generation),
    ]
    result.tables = [t for t in result.tables if t.rows]
    result.figures = setting_bars(rows) + confusion_figures(list(_confusion(scored)), classes=scored.spec.classes)
    result.figures += class_gain_figures(gains)
    scores = [{**r, "seed": "all"} for r in aligned if r["by"] == "score"]
    result.figures += alignment_gain_figures(scores)
    result.summary = _sentences(scored, pairs, settings)
    return result


def _runs(scored: Scored, key: Key, metric: str) -> Runs:
    kind = ByScore(scored.spec, metric)
    return {s: (kind, r) for s, r in scored.runs.get(key, {}).items()}


def _find(scored: Scored, setting: str, calibrated: bool) -> Key | None:
    """The key of a setting's own model, not one under masks."""
    for key in scored.runs:
        if key.setting == setting and key.calibrated == calibrated and key.trained == "separate":
            return key
    return None


def _settings_table(scored: Scored, resamples: int) -> Table:
    rows = []
    for key in scored.runs:
        line: dict[str, Any] = {"setting": key.setting, "mode": key.mode, "trained": key.trained}
        line |= {"calibrated": key.calibrated, "leaky": "leaky" in key.setting, "data": scored.word(key)}
        for metric in METRICS:
            found = estimate(_runs(scored, key, metric), resamples=min(resamples, 300))
            line |= {metric: found.value, f"{metric}_sd": found.std, f"{metric}_low": found.low}
            line |= {f"{metric}_high": found.high, "seeds": found.seeds, "n": found.n}
            line["unit"] = found.unit
        for metric in ("accuracy", "auroc"):
            kind = ByScore(scored.spec, metric)
            values = [kind.primary_value(r.prediction, r.target) for r in scored.runs[key].values()]
            line[metric] = float(np.nanmean(values))
        rows.append(line)
    columns = [Column(n, n) for n in ("setting", "mode", "trained")]
    columns += [Column("calibrated", "calibrated", "flag", help="adjusted on validation")]
    for metric in METRICS:
        words = metric.replace("_", " ")
        columns += [
            interval_column(metric, words),
            Column(f"{metric}_sd", "sd", "number"),
        ]
    columns += [Column(n, n, "number") for n in ("accuracy", "auroc")]
    columns += [Column("seeds", "seeds", "integer"), Column("n", "n", "integer"), Column("leaky", "leaky", "flag")]
    columns.append(Column("unit", "unit", help=UNIT_HELP))
    note = "Mean over seeds; 95 % bootstrap interval over the units named; sd over seeds."
    return Table("settings", "What each setting reaches", [*columns, Column("data", "data")], rows, note)


def _scores_table(rows: list[dict[str, Any]]) -> Table:
    kinds = {"seed": "integer", "n": "integer", "calibrated": "flag", "leaky": "flag"}
    text = ("dataset", "direction", "setting", "mode", "trained", "data")
    columns = [Column(k, k.replace("_", " "), kinds.get(k, "text" if k in text else "number")) for k in rows[0]]
    return Table("scores", "Every setting and seed", columns, rows, "run.py table --paper cross_modal reads this.")


def _plain(name: str, title: str, rows: list[dict[str, Any]]) -> Table:
    """A table whose columns follow from its rows."""
    keys = list(dict.fromkeys(k for row in rows for k in row if not k.endswith(("_low", "_high"))))
    columns = []
    for key in keys:
        value = next((r[key] for r in rows if r.get(key) is not None), "")
        kind = "flag" if isinstance(value, bool) else "integer" if isinstance(value, int) else "text"
        kind = "number" if isinstance(value, float) else kind
        ends = (f"{key}_low", f"{key}_high") if any(f"{key}_low" in r for r in rows) else ("", "")
        columns.append(Column(key, key.replace("_", " "), kind, *ends))
    return Table(name, title, columns, rows)


def _pairs(scored: Scored, resamples: int) -> Iterator[dict[str, Any]]:
    for setting, other in PAIRS:
        for calibrated in (False, True):
            ours, theirs = _find(scored, setting, calibrated), _find(scored, other, calibrated)
            if ours is None or theirs is None:
                continue
            line: dict[str, Any] = {"setting": setting, "against": other, "calibrated": calibrated}
            for metric in METRICS:
                gap = compare(_runs(scored, ours, metric), _runs(scored, theirs, metric), resamples=resamples)
                if gap is not None:
                    line |= {metric: gap.value, f"{metric}_low": gap.low, f"{metric}_high": gap.high}
                    line |= {f"{metric}_verdict": gap.verdict, f"{metric}_p": gap.p, "seeds": gap.seeds}
                    line["unit"] = gap.unit
            ranked = None if calibrated else _auroc(scored, ours, theirs, min(resamples, RANKED))
            if ranked is not None:
                line |= {"auroc": ranked.value, "auroc_low": ranked.low, "auroc_high": ranked.high}
                line |= {"auroc_verdict": ranked.verdict}
            yield line | {"leaky": "leaky" in setting, "data": joint_word([scored.word(ours), scored.word(theirs)])}


def _auroc(scored: Scored, ours: Key, theirs: Key, resamples: int) -> Difference | None:
    """The difference of the macro AUROC, which calibration is not about."""
    return compare(_runs(scored, ours, "auroc"), _runs(scored, theirs, "auroc"), resamples=resamples)


def _pairs_table(rows: list[dict[str, Any]]) -> Table:
    columns = [Column("setting", "setting"), Column("against", "against"), Column("calibrated", "calibrated", "flag")]
    for metric in METRICS:
        words = metric.replace("_", " ")
        columns += [interval_column(metric, words)]
        columns += [Column(f"{metric}_verdict", "verdict"), Column(f"{metric}_p", "p", "number")]
    columns += [
        interval_column("auroc", "macro AUROC"),
        Column("auroc_verdict", "verdict"),
    ]
    columns += [Column("seeds", "seeds", "integer"), Column("leaky", "leaky", "flag")]
    columns += [Column("unit", "unit", help=UNIT_HELP), Column("data", "data")]
    note = "Paired bootstrap over the units named, the same rows and seeds for both; better and worse leave out zero."
    return Table("differences", "Differences between settings", columns, rows, note)


def _class_gains(scored: Scored, resamples: int) -> Iterator[dict[str, Any]]:
    for setting, other in (("fusion", "image"), ("fusion+records", "fusion"), ("+ synthetic augmentation", "fusion")):
        ours, theirs = _find(scored, setting, True), _find(scored, other, True)
        if ours is None or theirs is None:
            continue
        after, before = scored.runs[ours], scored.runs[theirs]
        for seed in sorted(set(after) & set(before)):
            one = {seed: _same(before[seed], after[seed])}, {seed: _same(after[seed], before[seed])}
            counts = [float(c) for c in scored.counts[seed].tolist()]
            found = class_gains(*one, scored.spec.classes, counts, resamples=min(resamples, 100))
            for gain in found.classes:
                yield {
                    "dataset": scored.plan.dataset, "setting": setting, "baseline": other, "class": gain.name,
                    "n_train": int(gain.train_rows), "group": gain.group, "seed": seed, "n": gain.test_rows,
                    "before": gain.before, "after": gain.after, "gain": _number(gain.gain.value), "unit": found.unit,
                    "data": scored.data,
                }  # fmt: skip


def _same(result: Evaluated, other: Evaluated) -> Evaluated:
    """The rows that both have."""
    ids = set(other.ids)
    keep = [k for k, i in enumerate(result.ids) if i in ids]
    return result.take(keep)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _alignment(scored: Scored, resamples: int) -> Iterator[dict[str, Any]]:
    setting, other = ("fusion+records", "image") if scored.plan.record else ("fusion", "metadata")
    ours, theirs = _find(scored, setting, True), _find(scored, other, True)
    if ours is None or theirs is None:
        return
    for judge, by_seed in scored.judged.items():
        score, before, after, units = [], [], [], []
        for seed, scores in by_seed.items():
            if seed not in scored.runs[ours] or seed not in scored.runs[theirs]:
                continue
            pair = scored.runs[theirs][seed], scored.runs[ours][seed]
            first, second = _same(pair[0], pair[1]), _same(pair[1], pair[0])
            right = [(r.prediction.argmax(1) == r.target).tolist() for r in (first, second)]
            for k, name in enumerate(first.ids):
                score.append(scores.get(name, math.nan))
                before.append(right[0][k])
                after.append(right[1][k])
                units.append(first.drawn[k])
        if not np.isfinite(score).any():
            continue
        found = alignment_gain(score, before, after, units=units, resamples=resamples)
        for bins, words in ((found.bins, "score"), (found.terciles, "tercile")):
            for each in bins:
                if each.n:
                    yield {
                        "dataset": scored.plan.dataset, "setting": setting, "baseline": other, "judge": judge,
                        "by": words, "bin": each.name, "n": each.n, "score": each.score, "before": each.before,
                        "after": each.after, "gain": each.gain.value, "gain_low": each.gain.low,
                        "gain_high": each.gain.high, "unit": found.unit, "data": scored.data,
                    }  # fmt: skip


def _agreement(scored: Scored, resamples: int) -> Iterator[dict[str, Any]]:
    judges = list(scored.judged)
    results = [r for by_seed in scored.runs.values() for r in by_seed.values()]
    units = {name: unit for r in results for name, unit in zip(r.ids, r.drawn, strict=True)}
    for k, first in enumerate(judges):
        for second in judges[k + 1 :]:
            pairs = [
                (name, value, scored.judged[second][seed][name])
                for seed, scores in scored.judged[first].items()
                for name, value in scores.items()
                if name in scored.judged[second].get(seed, {})
            ]
            if not pairs:
                continue
            names, a, b = zip(*pairs, strict=True)
            found = agreement(a, b, units=[units.get(n, f"row:{n}") for n in names], resamples=resamples)
            line: dict[str, Any] = {"judge": first, "other": second}
            for what in ("pearson", "spearman", "exact", "within_one"):
                value = getattr(found, what)
                line |= {what: value.value, f"{what}_low": value.low, f"{what}_high": value.high}
            yield line | {"n": found.n, "unit": found.unit, "data": scored.data}


def _confusion(scored: Scored) -> Iterator[dict[str, Any]]:
    best = "fusion+records" if scored.plan.record else "fusion"
    names = scored.spec.classes
    for setting in dict.fromkeys((best, "fusion", "image", "metadata", "synthetic image")):
        key = _find(scored, setting, True)
        for result in scored.runs.get(key, {}).values() if key is not None else ():
            for truth, said in zip(result.target.tolist(), result.prediction.argmax(1).tolist(), strict=True):
                yield {
                    "dataset": scored.plan.dataset, "setting": setting, "mode": key.mode if key else "",
                    "truth": names[truth], "predicted": names[said], "count": 1, "data": scored.data,
                }  # fmt: skip


def _sentences(scored: Scored, pairs: list[dict[str, Any]], settings: Sequence[Setting]) -> list[str]:
    lines = []
    for row in pairs:
        if row["calibrated"]:
            continue
        words = [
            f"{m.replace('_', ' ')} {row[m]:+.3f} ({row[f'{m}_low']:+.3f} to {row[f'{m}_high']:+.3f}, "
            f"{row[f'{m}_verdict']})"
            for m in (*METRICS, "auroc")
            if m in row
        ]
        lines.append(f"{row['setting']} against {row['against']}: {', '.join(words)}.")
    leaks = [s.key for s in settings if "leaky" in s.key and any(k.setting == s.key for k in scored.runs)]
    if leaks:
        lines.append(
            f"{', '.join(leaks)}: the generator was told the label of every row; it is no result, but shows the leak."
        )
    rejected = sum(int(g["rejected"]) for g in scored.generation)
    made = sum(int(g["ok"]) + int(g["repaired"]) for g in scored.generation)
    lines.append(f"Generated: {made} values, {rejected} rejected, over all seeds.")
    if any(g["simulated"] for g in scored.generation):
        lines.append(
            "Generated images are simulated: drawn from the metadata by rules, they add no information to it."
        )
    for judge, by_seed in scored.judged.items():
        given = [x for scores in by_seed.values() for x in scores.values() if math.isfinite(x)]
        if len(given) > 1 and len(set(given)) == 1:
            lines.append(
                f"{judge} scores all {len(given)} alike ({given[0]:g}): it tells nothing of gain by alignment."
            )
    return lines
