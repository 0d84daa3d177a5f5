"""``python -m zoo.evaluation.generated.findings index.csv`` compares the labeler with manual labels, as Markdown."""

from __future__ import annotations

import argparse

import pandas as pd

from zoo.evaluation.generated.findings.scores import FindingScores
from zoo.evaluation.generated.findings.validation import HALVES, validate
from zoo.evaluation.resampling import Interval


def _cell(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f}-{interval.high:.2f})"


def _table(scores: FindingScores) -> str:
    rows: list[tuple[object, ...]] = [
        (s.finding, s.positives, s.predicted, _cell(s.precision), _cell(s.recall), _cell(s.f1), f"{s.chance:.2f}")
        for s in scores.findings
    ]
    for name, figure, chance in (
        ("macro", scores.macro, scores.macro_chance),
        ("micro", scores.micro, scores.micro_chance),
    ):
        rows.append((f"{name} of {len(scores.scored)}", "", "", "", "", _cell(figure), f"{chance:.2f}"))
    heads = ["finding", "positive", "predicted", "precision", "recall", "F1", "chance F1"]
    return str(pd.DataFrame(rows, columns=heads).to_markdown(index=False, disable_numparse=True))


def main() -> None:
    """Read the arguments, and print one table for each way to count uncertain findings."""
    parser = argparse.ArgumentParser(prog="python -m zoo.evaluation.generated.findings", description=__doc__)
    parser.add_argument("table", help="CSV with a report and a column of 0 and 1 for each finding")
    parser.add_argument("--half", default="evaluation", choices=HALVES, help="of the studies, by their names")
    parser.add_argument("--identifier", default="uid", help="column with the patient or study")
    parser.add_argument("--texts", nargs="+", default=["findings", "impression"], help="columns of the report")
    parser.add_argument("--unknown", nargs=2, default=["MeSH", "No Indexing"], help="column and value of no labels")
    given = parser.parse_args()
    found = validate(
        given.table,
        identifier=given.identifier,
        texts=given.texts,
        unknown=(given.unknown[0], given.unknown[1]),
        half=given.half,
    )
    print(f"{found.rows} rows; {found.unknown} of unknown labels left out; {found.empty} without a report\n")
    print(f"Uncertain findings count as absent:\n\n{_table(found.strict)}\n")
    print(f"Uncertain findings count as positive:\n\n{_table(found.lenient)}")


if __name__ == "__main__":
    main()
