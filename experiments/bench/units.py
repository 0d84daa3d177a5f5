"""How much wider intervals over units of independence are than intervals over rows, on real data.

    zoo bench units --root DATA OCTFundus/fundus/PixelBaseline BCIIV2b/eeg/BandPowerBaseline

prints a Markdown table. Each task is predicted by one classical pipeline in five rounds of a cross-validation, so
that each row is tested once, and the test rows of all rounds are scored together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.core.source import SOURCES
from datamodules.core.splits import assign_splits
from zoo.baselines.base import BASELINES
from zoo.baselines.images import SMALL, shrink
from zoo.contract import TaskSpec
from zoo.evaluation.metric_draws import primary_interval
from zoo.evaluation.resampling import describe_units
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated, joined

FOLDS = 5


def read(data: Pipeline, modality: str) -> dict[int, dict[str, Any]]:
    """Every row that has a modality, with images made small."""
    raw = {r: data.dataset.raw(r).inputs for r in np.flatnonzero(data.availability.present[modality]).tolist()}
    return {
        row: {modality: shrink(x, SMALL) if getattr(x := inputs[modality], "ndim", 0) and _picture(x) else x}
        for row, inputs in raw.items()
    }


def _picture(value: Any) -> bool:
    return bool(value.dtype == np.uint8)


def tested(data: Pipeline, inputs: dict[int, dict[str, Any]], spec: TaskSpec, baseline: str) -> Evaluated:
    """Predictions of every row of a task, each by a pipeline that was fitted without its fold.

    Args:
        data: the prepared data.
        inputs: row -> raw inputs.
        spec: of the task.
        baseline: name of the classical pipeline.
    """
    modality = next(iter(next(iter(inputs.values()))))
    rows = np.array([r for r in inputs if data.availability.labelled[spec.name][r]])
    target, source = data.encoded(spec.name, rows)
    rate, parts = float(data.raw_modalities[modality].sampling_rate), []
    for seed in range(FOLDS):
        test = assign_splits(data.join.table, seed=seed, folds=FOLDS)[rows] == "test"  # type: ignore[union-attr]
        model = BASELINES.get(baseline)(spec, modality, seed=seed, sampling_rate=rate)
        model.fit([inputs[r] for r in rows[~test].tolist()], target[torch.from_numpy(~test)])
        names = [(data.join.id(r), data.join.unit(r)) for r in rows[test].tolist()]
        picked = torch.from_numpy(test)
        predicted = model.predict([inputs[r] for r in rows[test].tolist()])
        parts.append(Evaluated(predicted, target[picked], source[picked], *map(list, zip(*names, strict=True))))
    return joined(parts)


def lines(source: str, modality: str, baseline: str, root: str) -> Iterator[str]:
    """One line of the table for each task.

    Args:
        source: class name.
        modality: that the pipeline reads.
        baseline: class name of the pipeline.
        root: folder below which the source's folder lies.
    """
    data = prepare([SOURCES.get(source)()], root=root, modalities=[modality])
    inputs = read(data, modality)
    for spec in data.task_specs:
        kind, whole = task_kind(spec), tested(data, inputs, spec, baseline)
        over = [primary_interval(kind, part, resamples=2000) for part in (replace(whole, units=[]), whole)]
        row_width, unit_width = (found.high - found.low for found in over)
        cells = [
            source, modality, spec.name, kind.primary, str(len(whole.ids)), describe_units(whole.drawn),
            f"{over[0].value:.3f}", *(f"{f.low:.3f} to {f.high:.3f}" for f in over), f"{unit_width / row_width:.2f}",
        ]  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder that holds the sources' folders")
    parser.add_argument("what", nargs="+", help="SOURCE/MODALITY/BASELINE")
    options = parser.parse_args(argv)
    print("| source | modality | task | metric | rows | unit | value | over rows | over units | width, ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for what in options.what:
        for line in lines(*what.split("/"), options.root):
            print(line, flush=True)


if __name__ == "__main__":
    main()
