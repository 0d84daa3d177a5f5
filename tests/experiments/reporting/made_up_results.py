"""Results that nobody measured, with every kind of figure and with texts that break careless pages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from zoo.results import Column, Example, Figure, Result, Series, Table

NASTY = "</script><img src=x onerror=\"window.broken=1\"> & 'quoted' $x^2$"
LONG = "pneumonoultramicroscopicsilicovolcanoconiosis" * 3
TASKS = ("disease", "brain_tumor", "cell_type", "radiographic_findings", "structure", "vqa")


def result(number: int = 0, nasty: bool = True) -> Result:
    """A result of the command fit; ``number`` moves its values."""
    return Result(
        command="fit",
        title=f"Every task together {NASTY if nasty else ''}",
        config="mtl.yaml",
        data="mixed",
        summary=[f"{4 + number} of 6 tasks beat the baseline with their whole interval.", f"Unlucky: {NASTY}"],
        tables=[tasks_table(number), metrics_table(number)],
        figures=figures(number),
        seeds=[0, 1, 2],
        seconds=754.0,
        command_line=f"run.py fit --config mtl.yaml --data.split.seed {number}",
    )


def tasks_table(number: int) -> Table:
    """Tasks with intervals, a flag, an empty cell and simulated rows."""
    rows: list[dict[str, object]] = []
    for k, task in enumerate(TASKS):
        value = 0.45 + 0.08 * k + 0.03 * number * (-1) ** k
        rows.append(
            {
                "task": task,
                "metric": "accuracy",
                "value": value,
                "low": value - 0.05,
                "high": value + 0.04,
                "chance": 0.25,
                "n": 1200 * (k + 1),
                "beats": k % 3 > 0,
                "data": "simulated" if k % 2 else "real",
            }
        )
    rows.append({"task": NASTY, "metric": LONG, "value": None, "n": 3, "beats": None, "data": "mixed"})
    rows.append(
        {"task": "h\u00e9morragie \u2014 \u51fa\u8840", "metric": "auroc", "value": 0.61, "n": 40, "data": "real"}
    )
    columns = [
        Column("task", "task"),
        Column("metric", "metric"),
        Column("value", "value", "number", "low", "high", help="of the test split"),
        Column("chance", "chance", "number"),
        Column("n", "rows", "integer"),
        Column("beats", "beats chance", "flag"),
        Column("data", "data"),
    ]
    return Table("tasks", "Test results by task", columns, rows, "95 % bootstrap intervals over rows.")


def metrics_table(number: int) -> Table:
    """A table without a column for where data come from."""
    rows = [
        {"task": t, "auroc": 0.5 + k / 20 + number / 50, "data": "simulated" if k > 3 else "real"}
        for k, t in enumerate(TASKS)
    ]
    return Table("metrics", "Other metrics", [Column("task", "task"), Column("auroc", "AUROC", "number")], list(rows))


def figures(number: int) -> list[Figure]:
    """Every kind, groups of few and of many, dashed series, gaps, references, simulated points."""
    generator = np.random.default_rng(number)
    shots = [0, 5, 10, 20, 50]

    def curve(start: float) -> list[float | None]:
        return [start + 0.1 * math.log1p(s) / 2 for s in shots]

    def with_band(name: str, start: float, **changes: object) -> Series:
        y = curve(start)
        low, high = [v - 0.05 for v in y if v is not None], [v + 0.06 for v in y if v is not None]
        return Series(name, list(shots), y, list(low), list(high), n=[100] * 5, **changes)  # type: ignore[arg-type]

    rows = ("domain-specific", "unimodal", "unimodal multitask", "multimodal", "multimodal multitask")
    made = [
        Figure(
            "rows",
            f"Five rows by task {NASTY}",
            "bars",
            "task",
            "accuracy",
            series=[
                Series(
                    row,
                    list(TASKS),
                    [0.4 + 0.06 * k + 0.02 * j for j in range(6)],
                    [0.35 + 0.06 * k + 0.02 * j for j in range(6)],
                    [0.44 + 0.06 * k + 0.02 * j for j in range(6)],
                    simulated=[j % 2 == 1 for j in range(6)],
                )
                for k, row in enumerate(rows)
            ]
            + [Series("paper's own", list(TASKS), [0.6, 0.65, None, 0.7, 0.66, 0.5], dashed=True)],
            references={"chance": 0.25},
            note="Lines across: the paper's data.",
            data="mixed",
        ),
        Figure(
            "ood",
            "In and out of distribution",
            "bars",
            "organ",
            "accuracy",
            series=[
                Series(
                    "in distribution",
                    ["lung", "liver", "brain"],
                    [0.9, 0.85, 0.8],
                    [0.87, 0.8, 0.75],
                    [0.93, 0.89, 0.84],
                ),
                Series(
                    "held out", ["lung", "liver", "brain"], [0.7, 0.65, None], [0.6, 0.6, None], [0.75, 0.7, None]
                ),
            ],
            references={"chance": 0.2, "constant baseline": 0.35},
        ),
        Figure(
            "shots",
            "Few-shot curve",
            "lines",
            "shots",
            "accuracy",
            series=[
                with_band("prototypes", 0.3),
                with_band("linear probe", 0.35, simulated=True),
                Series("majority", list(shots), [0.3] * 5, dashed=True),
            ],
            references={"chance": 0.25},
            data="mixed",
        ),
        Figure(
            "noise",
            "Robustness to words of noise",
            "lines",
            "noise",
            "accuracy",
            series=[
                Series(
                    "blur",
                    ["none", LONG, NASTY, "much"],
                    [0.9, None, 0.6, 0.5],
                    [0.85, None, 0.55, 0.4],
                    [0.95, None, 0.7, 0.6],
                )
            ],
        ),
        Figure(
            "contributions",
            "Pairwise synergy",
            "heatmap",
            rows=["ct", "mri", "dna"],
            columns=["ct", "mri", "dna"],
            values=[[None, 0.21, -0.02], [0.21, None, 0.13], [-0.02, 0.13, None]],
            data="simulated",
        ),
    ]
    for k, task in enumerate(TASKS[:4]):
        made.append(
            Figure(
                f"curve_{task}",
                f"Validation of {task}",
                "lines",
                "epoch",
                "accuracy",
                group="curves",
                panel=task,
                series=[Series("validation", list(range(20)), [0.3 + 0.02 * e + 0.01 * k for e in range(20)])],
                references={"chance": 0.25},
            )
        )
    for n, task in ((3, "disease"), (12, "cell_type")):
        counts = generator.random((n, n)) + 3 * np.eye(n)
        shares = (counts / counts.sum(1, keepdims=True)).tolist()
        names = [f"class {LONG if i == 2 else i}" for i in range(n)]
        made.append(
            Figure(
                f"confusion_{task}",
                f"Confusion of {task}",
                "heatmap",
                "predicted",
                "true",
                rows=names,
                columns=names,
                values=shares,
                group="confusion",
                panel=task,
            )
        )
    angle = np.linspace(0, 6 * np.pi, 48)
    helix = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(48) / 3], 1)
    for k, (panel, noise) in enumerate((("best", 0.2), ("worst", 1.5))):
        wrong = helix + generator.normal(0, noise, helix.shape)
        made.append(
            Figure(
                f"structure_{k}",
                f"Protein {panel}, TM-score {0.91 - 0.5 * k:.2f}",
                "chains",
                group="structures",
                panel=panel,
                chains={"true": helix.tolist(), "predicted": wrong.tolist()},
                data="simulated",
            )
        )
    return made


def examples(folder: Path) -> list[Example]:
    """Examples with pictures, which are written into ``folder``."""
    from PIL import Image

    (folder / "examples").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    made = []
    for k in range(5):
        name = f"examples/disease_{k}.png"
        Image.fromarray(generator.integers(0, 255, (96, 96), dtype=np.uint8)).save(folder / name)
        made.append(
            Example(
                TASKS[k // 3],
                f"Phantom/patient-{k} {NASTY if k == 1 else ''}",
                "tumour (p 0.02)",
                "healthy (p 0.91)",
                0.02,
                {"ct": name},
                {"text": f"a lesion of uncertain nature {NASTY}", "dna": "ACGT" * 40},
                "simulated" if k % 2 else "real",
            )
        )
    return made


def write_runs(folder: Path, count: int = 2) -> list[Path]:
    """Runs in ``folder``/run_0, run_1, ...: results with examples."""
    folders = []
    for k in range(count):
        own = folder / f"run_{k}" / "version_0"
        made = result(k)
        made.examples = examples(own)
        made.save(own)
        folders.append(own)
    return folders
