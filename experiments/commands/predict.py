"""The commands ``predict`` and ``evaluate``: a trained model on rows of a table."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.core.command import COMMANDS, Command, at_least
from experiments.core.progress import steps
from zoo.errors import DataError, SpecError

if TYPE_CHECKING:
    from zoo.bundle.load import Bundle
    from zoo.data import NewRows

STATE = "predict.json"
"""File in the folder of predictions that says how far they are, and what they are of."""
SHOWN = 5
"""Problems that are listed at the end, the most frequent first."""


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
        for name in ("model", "table"):
            if getattr(options, name) is None:
                raise SpecError(f"{self.name} needs --{name}; zoo {self.name} --help says what it is")
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
        written = Written(options.out, identity(bundle, options), list(bundle.model.tasks))
        begin = written.begin({t: bundle.headings(t) for t in bundle.model.tasks})
        if begin:
            print(f"{begin} of {len(rows)} rows are predicted already; going on", flush=True)
        try:
            self._predict(bundle, rows, written, options)
        except KeyboardInterrupt:
            print(f"\nstopped after {written.rows} of {len(rows)} rows; go on with: zoo predict "
                  f"{shlex.join(arguments)}", file=sys.stderr, flush=True)  # fmt: skip
            return 130
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


class Written:
    """Files of predictions that grow batch by batch, with a note of how far they are.

    Args:
        folder: of the files.
        identity: what they are of; a folder of others is refused.
        tasks: names of the tasks.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], tasks: Sequence[str]) -> None:
        self.folder, self.identity = folder, identity
        self.paths = {t: folder / f"predictions_{t}.csv" for t in tasks}
        self.rows, self.problems = 0, Counter[str]()

    def begin(self, headings: dict[str, list[str]]) -> int:
        """Cut the files after the last whole batch, or begin them; return the number of rows that they hold.

        Raises:
            DataError: the folder holds predictions of another model, table or option.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        note = self.folder / STATE
        if note.is_file():
            told = json.loads(note.read_text(encoding="utf-8"))
            other = [k for k, v in self.identity.items() if told["of"].get(k) != v]
            if other:
                raise DataError(
                    f"the folder holds predictions of another {' and '.join(other)}; give another --out",
                    file=self.folder,
                )
            if all(p.is_file() and p.stat().st_size >= told["bytes"][t] for t, p in self.paths.items()):
                for task, path in self.paths.items():
                    with path.open("r+b") as file:
                        file.truncate(told["bytes"][task])
                self.rows, self.problems = told["rows"], Counter(told["problems"])
                return self.rows
        for task, path in self.paths.items():
            path.write_text(_csv_line(headings[task]), encoding="utf-8", newline="")
        self._note()
        return 0

    def add(self, parts: dict[str, str], rows: int, problems: Sequence[str]) -> None:
        """Append a batch.

        Args:
            parts: task -> lines of its file.
            rows: that the files hold then.
            problems: of each row of the batch, "" for none.
        """
        for task, text in parts.items():
            with self.paths[task].open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        self.rows = rows
        self.problems.update(k for p in problems for k in kinds_of_problems(p))
        self._note()

    def finish(self, rows: int) -> None:
        """Check that all is there."""
        assert self.rows == rows, (self.rows, rows)

    def _note(self) -> None:
        told = {
            "of": self.identity,
            "rows": self.rows,
            "bytes": {t: p.stat().st_size for t, p in self.paths.items()},
            "problems": dict(self.problems),
        }
        part = self.folder / f"{STATE}.part"
        part.write_text(json.dumps(told, indent=1), encoding="utf-8")
        part.replace(self.folder / STATE)


def _csv_line(cells: Sequence[str]) -> str:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def kinds_of_problems(text: str) -> list[str]:
    """The problems of a row without what is of that row alone, so that equal ones can be counted.

    >>> kinds_of_problems("xray: the file is missing [file: a.png]; age: 'x' is no number, and counts as unknown")
    ['xray: the file is missing', 'age: ... is no number, and counts as unknown']
    """
    shorn = re.sub(r" \[(file|row): [^\]]*\]", "", text)
    return [re.sub(r"'[^']*'", "...", p) for p in shorn.split("; ") if p and not p.startswith("no prediction")]


def say_problems(problems: Counter[str], rows: int) -> None:
    """Print what was wrong in how many rows."""
    for reason, count in problems.most_common(SHOWN):
        print(f"{count} of {rows} rows: {reason}", flush=True)
    if len(problems) > SHOWN:
        print(f"and {len(problems) - SHOWN} other problems; the column 'problem' has them all", flush=True)


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
