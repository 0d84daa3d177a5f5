"""Figures of a cross-modal run from its rows: bars of settings, confusion matrices, gain by class and alignment."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from zoo.errors import DataError
from zoo.results import Figure, Series, joint_word

Row = Mapping[str, Any]
MOST_CLASSES = 16
"""A confusion matrix of more classes keeps the most frequent ones and joins the others in one."""
LABELS = {
    "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "accuracy": "accuracy", "auroc": "macro AUROC",
    "precision": "macro precision", "recall": "macro recall", "weighted_f1": "weighted F1",
}  # fmt: skip
FLOORS = ("chance", "constant")
"""Settings that are drawn as lines."""
SPREAD = "Bars are means over seeds, whiskers one standard deviation."
INTERVALS = "Whiskers are 95 % intervals over test rows."


def setting_bars(rows: Sequence[Row], metrics: Sequence[str] = ("balanced_accuracy", "macro_f1")) -> list[Figure]:
    """One figure a data set, direction and metric: every setting and mode, with the spread over seeds.

    Args:
        rows: of scores: dataset, direction, setting, mode, trained, calibrated, leaky, seed, n, data and metrics.
        metrics: keys of the metrics to draw.

    Returns:
        Figures of bars, one series for scores as they are and one for calibrated ones; chance and the best constant
        are lines. A setting whose metric is unknown for all seeds has no bar.

    Raises:
        DataError: a row lacks a column.
    """
    needed = ("dataset", "direction", "setting", "mode", "trained", "calibrated", "leaky", "seed", "n", "data")
    _check(rows, needed, "scores")
    found = []
    for (dataset, direction), mine in _by(rows, "dataset", "direction").items():
        for metric in metrics:
            known = [r for r in mine if _number(r.get(metric)) is not None]
            bars = [r for r in known if r["setting"] not in FLOORS]
            if not bars:
                continue
            floors = _by([r for r in known if r["setting"] in FLOORS], "setting")
            found.append(
                Figure(
                    _name("settings", dataset, direction, metric),
                    f"{dataset}, {_words(direction)}: {LABELS.get(metric, metric)} of every setting",
                    "bars",
                    "",
                    LABELS.get(metric, metric),
                    _setting_series(bars, metric),
                    {str(key[0]): statistics.fmean(float(r[metric]) for r in some) for key, some in floors.items()},
                    group="settings",
                    panel=f"{dataset}, {_words(direction)}, {LABELS.get(metric, metric)}",
                    note=f"{SPREAD} Leaky: the generator was told the label.",
                    data=joint_word([r["data"] for r in bars]),
                )
            )
    return found


def _setting_series(rows: Sequence[Row], metric: str) -> list[Series]:
    """Rows as they are, and calibrated."""
    found = []
    for calibrated, name in ((False, "as trained"), (True, "calibrated")):
        part: dict[str, list[Row]] = {}
        for row in rows:
            if bool(row["calibrated"]) == calibrated:
                part.setdefault(setting_label(row), []).append(row)
        if part:
            found.append(_series(name, part, metric))
    return found


def setting_label(row: Row) -> str:
    """A setting in words, with its mode where that is not plain from its name.

    >>> setting_label({"setting": "fusion", "mode": "image", "trained": "masked", "leaky": False})
    'fusion, image alone (masked)'
    >>> setting_label({"setting": "metadata", "mode": "tabular", "trained": "separate", "leaky": False})
    'metadata'
    """
    label = str(row["setting"])
    if row["leaky"] and "leaky" not in label:
        label += " leaky"
    alone = {"fusion": "", "image": "image alone", "tabular": "metadata alone"}.get(row["mode"])
    return f"{label}, {alone} (masked)" if alone and row["trained"] == "masked" else label


def confusion_figures(rows: Sequence[Row], *, classes: Sequence[str] = (), most: int = MOST_CLASSES) -> list[Figure]:
    """One row-normalised confusion matrix a data set, setting and mode.

    Args:
        rows: dataset, setting, mode, truth, predicted, count, and data where it is not real; counts of the same
            pair, such as of several seeds, are added up.
        classes: their order; sorted by name where none is given. Classes without any row are left out.
        most: classes that a matrix shows; of more, the most frequent ones are kept and the others joined.

    Returns:
        Heatmaps: true class down, predicted across, shares of each true class.

    Raises:
        DataError: a row lacks a column, has a negative count, or names a class that is not in ``classes``.
    """
    _check(rows, ("dataset", "setting", "mode", "truth", "predicted", "count"), "confusion")
    for k, row in enumerate(rows):
        if row["count"] < 0:
            raise DataError(f"count is {row['count']}; it is a number of test rows", row=k)
        for key in ("truth", "predicted"):
            if classes and row[key] not in classes:
                raise DataError(f"{key} {row[key]!r} is none of the classes {list(classes)}", row=k)
    return [
        _confusion(str(dataset), str(setting), str(mode), mine, classes, most)
        for (dataset, setting, mode), mine in _by(rows, "dataset", "setting", "mode").items()
    ]


def _confusion(
    dataset: str, setting: str, mode: str, rows: Sequence[Row], classes: Sequence[str], most: int
) -> Figure:
    seen = {str(r[key]) for r in rows for key in ("truth", "predicted")}
    order = [c for c in classes if c in seen] or sorted(seen)
    total = {c: sum(int(r["count"]) for r in rows if str(r["truth"]) == c) for c in order}
    kept, other = order, ""
    if len(order) > most:
        frequent = sorted(order, key=lambda c: -total[c])[: most - 1]
        kept, other = [c for c in order if c in frequent], f"the other {len(order) - most + 1}"
        kept = [*kept, other]
    place = {c: kept.index(c if c in kept else other) for c in order}
    counts = [[0] * len(kept) for _ in kept]
    for row in rows:
        counts[place[str(row["truth"])]][place[str(row["predicted"])]] += int(row["count"])
    sums = [sum(line) for line in counts]
    note = "Shares of each true class; test rows of all seeds."
    note += f" {len(order) - most + 1} rarer classes are joined in '{other}'." if other else ""
    return Figure(
        _name("confusion", dataset, setting, mode),
        f"{dataset}, {setting}, {mode}: predicted class of each true class",
        "heatmap",
        "predicted",
        "true",
        rows=[f"{c} (n {n})" for c, n in zip(kept, sums, strict=True)],
        columns=kept,
        values=[[v / n if n else None for v in line] for line, n in zip(counts, sums, strict=True)],
        group=f"confusion of {dataset}",
        panel=f"{setting}, {mode}",
        note=note,
        data=joint_word([str(r.get("data", "real")) for r in rows]),
    )


def class_gain_figures(rows: Sequence[Row]) -> list[Figure]:
    """Gain of each class, from the rarest to the most frequent one; one figure a data set.

    Args:
        rows: dataset, setting (what is compared), baseline, class, n_train (training rows of the class), seed, gain
            (difference of the class's F1), and data where it is not real. A gain that is None is unknown.

    Returns:
        Bars; the note has Spearman's correlation of mean gain and class frequency where three classes or more allow.

    Raises:
        DataError: a row lacks a column.
    """
    _check(rows, ("dataset", "setting", "baseline", "class", "n_train", "seed"), "class gains")
    found = []
    for (dataset,), mine in _by(rows, "dataset").items():
        known = sorted((r for r in mine if _number(r.get("gain")) is not None), key=lambda r: _frequency(mine, r))
        if not known:
            continue
        series, notes = [], [f"{SPREAD} Numbers: training rows of the class."]
        for (setting, baseline), some in _by(known, "setting", "baseline").items():
            name = f"{setting} against {baseline}"
            part: dict[str, list[Row]] = {}
            for row in some:
                part.setdefault(f"{row['class']} ({_frequency(mine, row)[0]:.0f})", []).append(row)
            series.append(_series(name, part, "gain"))
            notes.append(_correlation(name, [_frequency(mine, p[0])[0] for p in part.values()], series[-1].y))
        figure = Figure(
            _name("class-gain", dataset),
            f"{dataset}: gain in F1 of each class, rare classes first",
            "bars",
            "class (training rows)",
            "gain in F1",
            series,
            group="gain by class",
            panel=str(dataset),
            note=" ".join(n for n in notes if n),
            data=joint_word([str(r.get("data", "real")) for r in known]),
        )
        found.append(figure)
    return found


def _frequency(rows: Sequence[Row], row: Row) -> tuple[float, str]:
    """Mean number of training rows of a class over seeds, and its name to break ties."""
    return statistics.fmean(r["n_train"] for r in rows if r["class"] == row["class"]), str(row["class"])


def _correlation(name: str, frequency: Sequence[float], gain: Sequence[float | None]) -> str:
    from scipy.stats import spearmanr

    values = [v for v in gain if v is not None]
    if len(values) < 3 or len(set(values)) < 2 or len(set(frequency)) < 2:
        return ""
    return f"{name}: Spearman correlation of gain and frequency {spearmanr(frequency, values).statistic:.2f}."


def alignment_gain_figures(rows: Sequence[Row]) -> list[Figure]:
    """Gain in accuracy by bin of the alignment score, one figure a data set, one series a judge (appendix K).

    Args:
        rows: dataset, setting, baseline, judge, bin (in the order to draw), n (test rows of the bin), seed, gain (a
            difference of accuracies; None where the bin is empty), gain_low and gain_high where a row stands for all
            seeds, and data where it is not real.

    Raises:
        DataError: a row lacks a column.
    """
    _check(rows, ("dataset", "setting", "baseline", "judge", "bin", "n", "seed"), "alignment gains")
    found = []
    for (dataset, setting, baseline), mine in _by(rows, "dataset", "setting", "baseline").items():
        series = []
        for (judge,), some in _by(mine, "judge").items():
            part = {str(key[0]): list(binned) for key, binned in _by(some, "bin").items()}
            series.append(_series(f"judge {judge}", part, "gain"))
        found.append(
            Figure(
                _name("alignment-gain", dataset, setting, baseline),
                f"{dataset}: gain of {setting} over {baseline} by how well the made value fits",
                "bars",
                "alignment score",
                "gain in accuracy",
                series,
                group="gain by alignment",
                panel=f"{dataset}, {setting} against {baseline}",
                note=f"{INTERVALS if any(r.get('gain_low') is not None for r in mine) else SPREAD} "
                "n: test rows of the bin over all seeds; a bin without rows has no bar.",
                data=joint_word([str(r.get("data", "real")) for r in mine]),
            )
        )
    return found


def _series(name: str, part: Mapping[str, Sequence[Row]], key: str) -> Series:
    """Mean of a value over the rows of each x, one standard deviation either way, and their test rows.

    A row that stands alone with the ends of its interval, ``KEY_low`` and ``KEY_high``, keeps these.
    """
    series = Series(name, list(part), [])
    flags = []
    for rows in part.values():
        values = [v for r in rows if (v := _number(r.get(key))) is not None]
        mean = statistics.fmean(values) if values else None
        spread = statistics.stdev(values) if len(values) > 1 else None
        series.y.append(mean)
        ends: list[float | None] = (
            [_number(rows[0].get(f"{key}_{end}")) for end in ("low", "high")] if len(rows) == 1 else [None, None]
        )
        if mean is not None and spread is not None:
            ends = [mean - spread, mean + spread]
        series.low.append(ends[0])
        series.high.append(ends[1])
        flags.append(any(r.get("data", "real") != "real" for r in rows))
        if all(r.get("n") is not None for r in rows):
            series.n.append(sum(int(r["n"]) for r in rows))
    series.n = series.n if len(series.n) == len(series.x) else []
    series.simulated = flags
    return series


def _check(rows: Iterable[Row], keys: Sequence[str], what: str) -> None:
    for k, row in enumerate(rows):
        absent = [key for key in keys if row.get(key) is None]
        if absent:
            raise DataError(f"a row of {what} has no {', '.join(absent)}; it needs {', '.join(keys)}", row=k)


def _by(rows: Iterable[Row], *keys: str) -> dict[tuple[Hashable, ...], list[Row]]:
    found: dict[tuple[Hashable, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[k] for k in keys), []).append(row)
    return found


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _name(*parts: object) -> str:
    """Name of a figure: letters, digits, "_" and "-"; "+" is told from nothing, so that names stay apart.

    >>> _name("confusion", "ham10000", "fusion+records", "image")
    'confusion-ham10000-fusion-plus-records-image'
    """
    text = "-".join(str(p) for p in parts).replace("+", "-plus-")
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_]+", "-", text)).strip("-")


def _words(direction: object) -> str:
    return str(direction).replace("_", " ")
