"""``python -m tests.fuzz``: damage files of every format, and count what the readers make of them."""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.fuzz.campaign import Result, Workers, run_format
from tests.fuzz.cases import GOOD, OUTCOMES
from tests.fuzz.formats import FORMATS


def main() -> int:
    """Run the campaign; 0 where nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="cases a format")
    parser.add_argument("--format", nargs="+", default=list(FORMATS), choices=list(FORMATS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to run one again")
    parser.add_argument("--verbose", action="store_true", help="print every case, not only the failures")
    asked = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    workers, results = Workers(asked.seed), []
    for name in asked.format:
        begun = time.monotonic()
        try:
            result = run_format(name, asked.count, workers, asked.first)
        except RuntimeError as error:
            result = Result(name, failures=[(-1, "not started", str(error))])
        results.append(result)
        for number, outcome, text in result.log if asked.verbose else result.failures:
            console.print(f"{name} {number}: {outcome}: {text}", markup=False)
        console.print(f"{name}: {dict(result.counts)} in {time.monotonic() - begun:.0f} s", markup=False)
    workers.close()
    console.print(table(results))
    return 0 if all(r.good for r in results) else 1


def table(results: list[Result]) -> Table:
    """One line a format, a column an outcome."""
    made = Table(title="damaged files")
    made.add_column("format")
    for outcome in OUTCOMES:
        made.add_column(outcome, justify="right")
    for result in results:
        made.add_row(
            result.name,
            *(
                f"[red]{result.counts[o]}[/red]" if result.counts[o] and o not in GOOD else str(result.counts[o])
                for o in OUTCOMES
            ),
        )
    made.add_section()
    made.add_row("all", *(str(sum(r.counts[o] for r in results)) for o in OUTCOMES))
    return made


if __name__ == "__main__":
    sys.exit(main())
