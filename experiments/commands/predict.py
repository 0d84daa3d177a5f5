"""The commands ``predict`` and ``evaluate``: a trained model on rows of a table."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.core.command import COMMANDS, Command, at_least, required
from experiments.core.progress import steps
from experiments.core.written import Written, kinds_of_problems, say_problems, stopped
from zoo.errors import DataError, SpecError

if TYPE_CHECKING:
    from zoo.bundle.load import Bundle
    from zoo.data import NewRows

STATE = "predict.json"
"""File in the folder of predictions that says how far they are, and what they are of."""


class BundleCommand(Command):
    """What the commands on bundles have in common."""

    group = "training and prediction"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Model, table, and how rows are computed."""
        parser.add_argument("--model", type=Path, help="folder that fit wrote, such as runs/mine/version_0/bundle")
        parser.add_argument("--table", type=Path, help="csv, tsv, Parquet or Arrow file with a row a sample")
        parser.add_argument("--folder", type=Path, help="what paths in cells are relative to; default: the table's")
        parser.add_argument(
            "--coverage", type=float, default=0.9, help="of conformal sets and intervals: .8, .9, .95"
        )
        parser.add_argument("--batch", type=int, default=128, help="rows that are computed at once")
        parser.add_argument("--device", default="cpu", help="where the model computes, such as cuda")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse the options.

        Raises:
            SpecError: options of Lightning's commands, or one that is needed is missing.
        """
        of_lightning = [a for a in arguments if a.partition("=")[0] in ("--config", "-c", "--ckpt_path")]
        if of_lightning:
            raise SpecError(
                f"{self.name} takes no {of_lightning[0].partition('=')[0]}: scales and classes of a model are in its "
                "bundle, not in the table at hand; every fit writes one into the folder 'bundle' of its run: "
                f"zoo {self.name} --model RUN/bundle --table NEW.csv"
            )
        options = self.parser().parse_args(list(arguments))
        required(options, self.name, "model", "table")
        at_least(options, batch=1)
        return options

    def opened(self, options: argparse.Namespace) -> tuple[Bundle, NewRows]:
        """The model, and the rows of the table."""
        from zoo.bundle.load import load

        bundle = load(options.model, device=options.device)
        return bundle, bundle.rows(options.table, options.folder)


@COMMANDS.register
class Predict(BundleCommand):
    """Predict new rows with a trained model (--model FOLDER --table new.csv --out DIR).

    The folder is the bundle that every fit writes. The table has the columns of the training table, or one for each
    modality (the model's README.md lists them); a row may lack any of them, and no labels are needed. Writes
    predictions_TASK.csv, a row for each row of the table. The same command goes on where a killed one stopped.
    """

    name = "predict"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Where to write."""
        super().options(parser)
        parser.add_argument("--out", type=Path, help="folder for the predictions")

    def main(self, arguments: Sequence[str]) -> int:
        """Predict batch by batch."""
        options = self.parse(arguments)
        if options.out is None:
            raise SpecError("predict needs --out, the folder for the predictions")
        bundle, rows = self.opened(options)
        written = Written(
            options.out,
            identity(bundle, options),
            {t: f"predictions_{t}.csv" for t in bundle.model.tasks},
            STATE,
        )
        begin = written.begin({t: _csv_line(bundle.headings(t)) for t in bundle.model.tasks})
        if begin:
            print(f"{begin} of {len(rows)} rows are predicted already; going on", flush=True)
        try:
            self._predict(bundle, rows, written, options)
        except KeyboardInterrupt:
            return stopped(self.name, arguments, written.rows, len(rows))
        written.finish(len(rows))
        say_problems(written.problems, len(rows))
        print(f"predictions: {options.out}/predictions_*.csv", flush=True)
        return 0

    def _predict(self, bundle: Bundle, rows: NewRows, written: Written, options: argparse.Namespace) -> None:
        """Predict the rows that are not written yet, batch by batch."""
        with steps("predicting", len(rows), written.rows) as progress:
            for start in range(written.rows, len(rows), options.batch):
                stop = min(start + options.batch, len(rows))
                parts = bundle.predict_part(rows, start, stop, coverage=options.coverage)
                problems = next(iter(parts.values()))["problem"] if parts else []
                written.add(
                    {t: frame.to_csv(index=False, header=False) for t, frame in parts.items()}, stop, problems
                )
                progress.to(stop)


def identity(bundle: Bundle, options: argparse.Namespace) -> dict[str, Any]:
    """What predictions are of: model, table and options."""
    from zoo.bundle.files import checksum

    return {
        "model": bundle.manifest["sha256"],
        "table": checksum(options.table),
        "coverage": options.coverage,
        "batch": options.batch,
    }


def _csv_line(cells: Sequence[str]) -> str:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


@COMMANDS.register
class Evaluate(BundleCommand):
    """Score a trained model on rows that carry labels (--model FOLDER --table labelled.csv).

    Labels are read as those of training. Prints each task's metric with its 95 % interval, the calibration error, and
    the share of the truth that conformal sets hold.
    """

    name = "evaluate"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Where to write."""
        super().options(parser)
        parser.add_argument("--out", type=Path, help="file for the figures, such as scores.json; default: none")

    def main(self, arguments: Sequence[str]) -> int:
        """Evaluate and print."""
        from zoo.bundle.evaluate import evaluate

        options = self.parse(arguments)
        bundle, rows = self.opened(options)
        problems = Counter[str]()
        with steps("evaluating", len(rows)) as progress:

            def done(count: int, found: list[str]) -> None:
                problems.update(k for p in found for k in kinds_of_problems(p))
                progress.to(count)

            lines = evaluate(bundle, rows, coverage=options.coverage, batch_size=options.batch, done=done)
        if not lines:
            raise DataError("no row carries a label that the model predicts; see the labels in its README.md")
        say_problems(problems, len(rows))
        print_lines([asdict(line) for line in lines])
        if options.out is not None:
            told = [{k: _plain(v) for k, v in asdict(line).items()} for line in lines]
            options.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            print(f"scores: {options.out}", flush=True)
        return 0


def _plain(value: Any) -> Any:
    """Numbers that are not finite as JSON has them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_lines(lines: Sequence[dict[str, Any]]) -> None:
    """Print a table with a line a task."""
    from rich.table import Table

    from experiments.core.finish import wide_console

    table = Table(title="labelled rows; 95 % intervals over the units named")
    for name in ("task", "metric", "value", "interval", "unit", "rows", "calibration error", "coverage"):
        table.add_column(name)
    for line in lines:
        table.add_row(
            line["task"],
            line["metric"],
            f"{line['value']:.3f}",
            f"{line['low']:.3f}..{line['high']:.3f}" if math.isfinite(line["low"]) else "none",
            line["unit"],
            str(line["n"]),
            *(f"{line[k]:.3f}" if math.isfinite(line[k]) else "" for k in ("ece", "coverage")),
        )
    wide_console().print(table)
