"""Tables and figures of ``run.py ablate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.commands.ablate.plan import MODE_WORDS
from experiments.commands.ablate.values import Found, combination_rows
from experiments.reporting.columns import interval_column
from zoo.evaluation.resampling import UNIT_HELP
from zoo.results import Column, Figure, Series, Table, joint_word

Rows = Sequence[dict[str, Any]]
PART_NAMES = {
    "redundant": "redundant",
    "unique_a": "unique to the first",
    "unique_b": "unique to the second",
    "synergistic": "synergistic",
}
INTERVALS = "Intervals: 95 % bootstrap over the units named, pooled over seeds, paired between subsets."
_HEAD = (Column("task", "task"), Column("mode", "mode", help="; ".join(MODE_WORDS.values())))
_TAIL = (Column("n", "rows", "integer"), Column("unit", "unit", help=UNIT_HELP), Column("data", "data"))


def combination_table(rows: Rows, with_design: bool) -> Table:
    """Every subset with its value, best first within a task and mode."""
    columns = [
        *_HEAD,
        Column("modalities", "modalities"),
        Column("metric", "metric"),
        interval_column("value", "value", "on the test rows"),
        *(
            [interval_column("reachable", "reachable", "best accuracy by the stated design", interval=False)]
            if with_design
            else []
        ),
        interval_column("gain", "gain", "over the empty set: the best constant, or what is always kept alone"),
        interval_column("validation", "validation", "value on the validation rows", interval=False),
        interval_column("constant", "constant", interval=False),
        interval_column("chance", "chance", interval=False),
        Column("chosen", "best", "flag", help="best on validation: the choice to report"),
        Column("luckiest", "best on test", "flag", help="chosen on the test rows, so too good"),
        *_TAIL,
    ]
    note = f"{MODE_WORDS['masked']}; {MODE_WORDS['exact']}. Same rows for all subsets of a task and mode. {INTERVALS}"
    return Table("combinations", "Combinations of modalities", columns, list(rows), note)


def contribution_table(rows: Rows) -> Table:
    """Shapley values."""
    columns = [
        *_HEAD,
        Column("modality", "modality"),
        interval_column("shapley", "Shapley value", "mean gain of adding it, over all orders"),
        interval_column("first", "gain alone", "over the empty set"),
        interval_column("last", "loss without", "full set minus the full set without it"),
        *_TAIL,
    ]
    note = (
        "Exact over all subsets. The empty set has the value of the best constant, or of what is always kept alone."
    )
    return Table("contributions", "What each modality contributes", columns, list(rows), f"{note} {INTERVALS}")


def pair_table(rows: Rows) -> Table:
    """Synergy and interaction of pairs."""
    columns = [
        *_HEAD,
        Column("pair", "together"),
        interval_column("alone_a", "first alone", interval=False),
        interval_column("alone_b", "second alone", interval=False),
        interval_column("both", "together", interval=False),
        interval_column("synergy", "synergy", "together minus the best of them alone, of each resample"),
        interval_column("interaction", "interaction", "gain together minus the sum of the gains alone"),
        *(interval_column(k, f"{n} gain", interval=False) for k, n in PART_NAMES.items()),
        *_TAIL,
    ]
    note = "Gains split in units of the metric: redundant = max(0, g_a + g_b - g_ab), "
    note += "synergistic = max(0, g_ab - g_a - g_b)."
    return Table("pairs", "Synergy of pairs", columns, list(rows), f"{note} {INTERVALS}")


def information_table(rows: Rows, notes: Sequence[str]) -> Table:
    """Partial information decomposition of pairs, in bits."""
    columns = [
        *_HEAD,
        Column("pair", "pair"),
        interval_column("alone_a", "I(Y; first)"),
        interval_column("alone_b", "I(Y; second)"),
        interval_column("both", "I(Y; both)"),
        *(interval_column(k, n) for k, n in PART_NAMES.items()),
        interval_column("mmi", "MMI", "redundancy by the smaller information", interval=False),
        interval_column("negative", "negative", "sum of the parts below 0, which an estimate can have"),
        *_TAIL,
    ]
    note = "Bits. Estimates from the models' predictions: what a model fails to see counts as not there. Parts "
    note += "below 0 are kept here; the figure shows them as 0. " + " ".join(notes)
    return Table("information", "Redundant, unique and synergistic information", columns, list(rows), note)


def variant_table(rows: Rows) -> Table:
    """Fusions, weightings, lambdas and options."""
    columns = [
        Column("task", "task"),
        Column("what", "varied"),
        Column("variant", "variant"),
        Column("metric", "metric"),
        interval_column("value", "value"),
        interval_column("difference", "difference", "from the configured model, on the same rows"),
        interval_column("constant", "constant", interval=False),
        interval_column("chance", "chance", interval=False),
        *_TAIL,
    ]
    return Table(
        "variants", "Variants of the model", columns, list(rows), f"One network for all tasks each. {INTERVALS}"
    )


def step_table(rows: Rows) -> Table:
    """The path of a forward selection."""
    columns = [
        *_HEAD,
        Column("step", "step", "integer"),
        Column("added", "added"),
        Column("modalities", "modalities"),
        interval_column("validation", "validation", "by which it was chosen", interval=False),
        interval_column("value", "test"),
        *_TAIL,
    ]
    return Table("selection", "Forward selection on validation", columns, list(rows), INTERVALS)


def check_table(rows: Rows, margin: float) -> Table:
    """Measured against designed."""
    columns = [
        *_HEAD,
        Column("check", "check"),
        Column("between", "of"),
        interval_column("designed", "designed", interval=False),
        interval_column("measured", "measured"),
        Column("verdict", "verdict"),
        *_TAIL,
    ]
    note = (
        f"In accuracy. Designed differences up to {margin} count as none. Intervals know the test rows only, not how "
    )
    note += "another training would come out."
    return Table("design", "Measured against the stated design", columns, list(rows), note)


def gain_table(rows: Rows) -> Table:
    """Measured and designed split of the gains."""
    columns = [*_HEAD, Column("pair", "pair")]
    for key, name in PART_NAMES.items():
        columns += [
            interval_column(f"{key}_designed", f"{name}, designed", interval=False),
            interval_column(key, name),
        ]
    return Table(
        "design_gains", "Gains of accuracy, designed and measured", [*columns, *_TAIL], list(rows), INTERVALS
    )


# -- figures -------------------------------------------------------------------------------------------------


def _series(name: str, rows: Rows, x: str, y: str, order: Sequence[str] = ()) -> Series:
    by_x = {str(r[x]): r for r in rows}
    names = [n for n in order if n in by_x] if order else list(by_x)
    mine = [by_x[n] for n in names]
    return Series(
        name,
        names,
        [r[y] for r in mine],
        [r[f"{y}_low"] for r in mine],
        [r[f"{y}_high"] for r in mine],
        n=[int(r["n"]) for r in mine],
        simulated=[r["data"] != "real" for r in mine],
    )


def combination_figure(task: str, founds: Sequence[Found], reachable: dict[str, float]) -> Figure:
    """Bars of every combination of a task, highest first; series are the modes.

    Args:
        task: name of the task.
        founds: what was found in each mode.
        reachable: combination -> the best that can be reached, where a design states it.
    """
    rows = {f.mode: combination_rows(f) for f in founds}
    lead = rows.get("exact") or next(iter(rows.values()))
    order = [str(r["modalities"]) for r in lead]
    order += [str(r["modalities"]) for other in rows.values() for r in other if r["modalities"] not in order]
    order = list(dict.fromkeys(order))
    series = [_series(MODE_WORDS[mode], r, "modalities", "value", order) for mode, r in rows.items()]
    if reachable:
        shown = [n for n in order if n in reachable]
        series.append(
            Series(
                "best reachable by design", list(shown), [reachable[n] for n in shown], simulated=True, dashed=True
            )
        )
    first = founds[0]
    return Figure(
        f"combinations_{task}",
        f"Combinations of modalities: {task}",
        "bars",
        "modalities",
        first.metric,
        series,
        {"chance": first.chance, "best constant": first.constant},
        group="combinations",
        panel=task,
        note=f"Highest first ({'exact' if 'exact' in rows else 'masked'}). n = {first.n} test rows. {INTERVALS}",
        data=joint_word([f.word for f in founds]),
    )


def _by(rows: Rows, *keys: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[k]) for k in keys), []).append(row)
    return groups


def contribution_figures(rows: Rows) -> list[Figure]:
    """Bars of the Shapley values, a panel a task."""
    return [
        Figure(
            f"shapley_{task}",
            f"Shapley values: {task}",
            "bars",
            "modality",
            f"share of the {mine[0]['metric']}",
            [_series(MODE_WORDS[mode], r, "modality", "shapley") for (mode,), r in _by(mine, "mode").items()],
            group="shapley",
            panel=task,
            note=INTERVALS,
            data=joint_word([r["data"] for r in mine]),
        )
        for (task,), mine in _by(rows, "task").items()
    ]


def synergy_figures(founds: Sequence[Found], rows: Rows) -> list[Figure]:
    """Heatmaps of pairwise synergy, a panel a task and mode."""
    made = []
    for found in founds:
        task, names = found.plan.task.name, list(found.plan.players)
        value = {r["pair"]: r["synergy"] for r in rows if r["task"] == task and r["mode"] == found.mode}
        if not found.pairs():
            continue
        table = [[value.get(f"{a} + {b}", value.get(f"{b} + {a}")) for b in names] for a in names]
        made.append(
            Figure(
                f"synergy_{task}_{found.mode}",
                f"Synergy of pairs: {task} ({MODE_WORDS[found.mode]})",
                "heatmap",
                rows=names,
                columns=names,
                values=table,
                group="synergy",
                panel=f"{task}, {found.mode}",
                note=f"{found.metric} together minus that of the better one alone.",
                data=found.word,
            )
        )
    return made


def information_figures(rows: Rows) -> list[Figure]:
    """Bars of the parts in bits, a panel a task and mode; parts below 0 are shown as 0."""
    made = []
    for (task, mode), mine in _by(rows, "task", "mode").items():
        shown = [
            {**r, **{f"{k}{end}": max(0.0, r[f"{k}{end}"]) for k in PART_NAMES for end in ("", "_low", "_high")}}
            for r in mine
        ]
        made.append(
            Figure(
                f"information_{task}_{mode}",
                f"Information of pairs: {task} ({MODE_WORDS[mode]})",
                "bars",
                "pair (first + second)",
                "bits",
                [_series(name, shown, "pair", key) for key, name in PART_NAMES.items()],
                group="information",
                panel=f"{task}, {mode}",
                note="Estimated from predictions; negative parts are shown as 0 and listed in the table.",
                data=joint_word([r["data"] for r in mine]),
            )
        )
    return made


def variant_figures(rows: Rows) -> list[Figure]:
    """Bars of the variants, a panel a task."""
    made = []
    for (task,), mine in _by(rows, "task").items():
        made.append(
            Figure(
                f"variants_{task}",
                f"Variants of the model: {task}",
                "bars",
                "variant",
                str(mine[0]["metric"]),
                [_series("test", mine, "variant", "value")],
                {"chance": float(mine[0]["chance"]), "best constant": float(mine[0]["constant"])},
                group="variants",
                panel=task,
                note=INTERVALS,
                data=joint_word([r["data"] for r in mine]),
            )
        )
    return made
