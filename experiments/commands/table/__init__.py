"""The command ``table``: a paper's tables in its form, from finished runs, beside its own figures."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.commands.table.fill import Filled, fill
from experiments.commands.table.form import Paper
from experiments.commands.table.papers import papers
from experiments.commands.table.scores import Row, read_scores
from experiments.commands.table.write import written
from experiments.core.command import COMMANDS, Command
from zoo.errors import SpecError, unknown_name
from zoo.tables import FORMATS, SUFFIXES

EPILOG = """examples
  zoo table --paper cross_modal runs/cross_modal/ham10000_mini
  zoo table --paper cross_modal runs/cross_modal --tables 4 16 17 --out tables

Every measured line is followed by the paper's own, marked 'paper (its data)'. A line that no run gives is a dash and
is counted below its table as 'not run'. Leaky replications and simulated data say so in their line.
"""


def find_paper(name: str) -> Paper:
    """The paper of this name.

    Raises:
        UnknownNameError: there is none.
    """
    known = papers()
    if name not in known:
        raise unknown_name("paper", name, known)
    return known[name]


def fill_all(paper: Paper, rows: Sequence[Row], numbers: Sequence[int] = ()) -> list[Filled]:
    """The tables of a paper, filled with rows of scores.

    Args:
        paper: whose tables.
        rows: as ``read_scores`` returns them.
        numbers: of the tables wanted, in this order; all where none is given.

    Raises:
        SpecError: a number that is not among the paper's forms.
    """
    forms = {f.number: f for f in paper.forms}
    wrong = [n for n in numbers if n not in forms]
    if wrong:
        raise SpecError(
            f"--tables {', '.join(map(str, wrong))}: '{paper.name}' has no such table here; "
            f"known: {', '.join(map(str, forms))}"
        )
    wanted = list(dict.fromkeys(numbers)) or list(forms)
    return [t for n in wanted for t in fill(forms[n], rows, paper.figures.get(n, {}))]


def unused(rows: Sequence[Row], tables: Sequence[Filled]) -> list[str]:
    """What of the rows is in none of the tables, in words, one line a reason."""
    used = {id(r) for t in tables for e in t.entries for r in e.rows}

    def kind(row: Row) -> tuple[object, ...]:
        return tuple(row[k] for k in ("dataset", "direction", "setting", "mode", "trained", "leaky"))

    shown = {kind(r) for r in rows if id(r) in used}
    left = [r for r in rows if id(r) not in used]
    raw = sum(kind(r) in shown for r in left)
    others = Counter(
        f"{r['setting']} ({r['dataset']}, {r['mode']}, {r['trained']}{', leaky' if r['leaky'] else ''})"
        for r in left
        if kind(r) not in shown
    )
    said = [f"not shown: {raw} rows before calibration, of lines that are shown calibrated"] if raw else []
    if others:
        words = "; ".join(f"{name}: {n}" for name, n in others.items())
        said.append(f"in none of these tables: {sum(others.values())} rows of scores: {words}")
    return said


def write_files(tables: Sequence[Filled], folder: Path) -> list[Path]:
    """Write each table, over all its data sets, as table_NUMBER with .csv, .md and .tex; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in dict.fromkeys(t.form.number for t in tables):
        mine = [t for t in tables if t.form.number == number]
        for style, suffix in SUFFIXES.items():
            path = folder / f"table_{number}{suffix}"
            path.write_text(written(mine, style), encoding="utf-8")
            paths.append(path)
    return paths


def _table_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no number of a table; put the folders of runs before --tables")
    return int(text)


@COMMANDS.register
class PaperTables(Command):
    """A paper's tables, in its form, from finished runs, beside its figures (--paper cross_modal)."""

    name = "table"
    group = "results and data"
    epilog = EPILOG

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which paper, which runs, and where the tables go."""
        known = papers().values()
        words = "; ".join(f"{p.name}: tables {', '.join(str(f.number) for f in p.forms)}" for p in known)
        add = parser.add_argument
        add("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run, or above some")
        add("--paper", required=True, metavar="NAME", help=words)
        add("--tables", nargs="+", type=_table_number, default=[], metavar="N", help="only these; default: all")
        add("--out", type=Path, metavar="FOLDER", help="also write table_N.csv, .md and .tex there")
        add("--format", choices=list(FORMATS), default="text", help="of what is printed; default: text")

    def main(self, arguments: Sequence[str]) -> int:
        """Read the runs, print the tables, and write them where that is asked for."""
        options = self.parser().parse_args(arguments)
        paper = find_paper(options.paper)
        fill_all(paper, [], options.tables)  # a wrong number is said before anything is read
        rows = read_scores(options.runs, paper)
        tables = fill_all(paper, rows, options.tables)
        print(written(tables, options.format), end="")
        aside = sys.stdout if options.format == "text" else sys.stderr  # what is piped into a file holds tables only
        print("", paper.note, *unused(rows, tables), sep="\n", file=aside)
        if options.out is not None:
            paths = write_files(tables, options.out)
            print(f"{options.out}: {len(paths)} files: {', '.join(p.name for p in paths)}", file=aside)
        return 0
