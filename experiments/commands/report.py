"""The command ``report``: one page of any runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from experiments.core.command import COMMANDS, Command
from experiments.reporting import compare
from experiments.reporting.check import check_result
from experiments.reporting.html import plotly_source, write_page
from zoo.errors import DataError
from zoo.rendering import drawing
from zoo.rendering.png import save_figure, save_table
from zoo.results import FILE, Result, load_result


def find_runs(given: Sequence[Path]) -> list[Path]:
    """The result files of ``given``: files, folders that hold one, or folders above some. Each once, in order.

    Raises:
        DataError: there is no such folder, or no result in or below it.
    """
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise DataError(
                f"there is no such file or folder; give folders of finished runs, with a {FILE}", file=path
            )
        if path.is_file():
            found.append(path)
        elif (path / FILE).is_file():
            found.append(path / FILE)
        else:
            below = sorted(path.rglob(FILE))
            if not below:
                raise DataError(f"no {FILE} in it or below; a run that has finished writes one", file=path)
            found += below
    return list({p.resolve(): p for p in found}.values())


def load_runs(given: Sequence[Path]) -> list[Result]:
    """The results of ``find_runs``, loaded and looked over.

    Raises:
        DataError: a file is broken; it names the file.
    """
    results = []
    for file in find_runs(given):
        result = load_result(file)
        check_result(result)
        results.append(result)
    return results


def file_name(text: str) -> str:
    """Text as part of a file name.

    >>> file_name("mtl/version_0: a b")
    'mtl-version_0-a-b'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:80] or "run"


def draw_all(results: Sequence[Result], names: Sequence[str], folder: Path) -> dict[tuple[int, str], Path]:
    """Draw every figure and table into ``folder``/RUN/.

    Args:
        results: to draw.
        names: of the results, one each.
        folder: to draw into.

    Returns:
        (number of the run, "figures/NAME" or "tables/NAME") -> PNG file.
    """
    made: dict[tuple[int, str], Path] = {}
    pictures = sum(len(r.figures) + len(r.tables) for r in results)
    with Progress(transient=True) as progress:
        task = progress.add_task("drawing PNG files", total=pictures)
        for k, (result, name) in enumerate(zip(results, names, strict=True)):
            own = folder / (file_name(name) if len(set(map(file_name, names))) == len(names) else f"run-{k + 1}")
            own.mkdir(parents=True, exist_ok=True)
            colours = drawing.colours(result.figures)
            for figure in result.figures:
                path = made[(k, f"figures/{figure.name}")] = own / f"{figure.name}.png"
                save_figure(figure, colours[figure.name], path)
                progress.advance(task)
            for number, table in enumerate(result.tables):
                path = made[(k, f"tables/{table.name}")] = own / f"table-{number + 1}-{file_name(table.name)}.png"
                save_table(table, path)
                progress.advance(task)
    return made


@COMMANDS.register
class Report(Command):
    """One self-contained HTML page that compares any runs, and its figures as PNG files."""

    name = "report"
    group = "results and data"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which runs, and where the page goes."""
        add = parser.add_argument
        folder = f"folder with a {FILE}, or any folder above such folders"
        add("runs", nargs="+", type=Path, metavar="RUN", help=folder)
        add("--out", type=Path, default=Path("report/index.html"), help="default: report/index.html")
        add("--title", default="", help="title of the page; default: made from the runs")
        add("--png", type=Path, default=None, metavar="DIR", help="default: figures/ beside the page")
        add("--no-png", action="store_true", help="draw no PNG files")
        project = "also log each run to this W&B project, as tables, pictures, charts; without a key it stays on disk"
        add("--wandb", default="", metavar="PROJECT", help=project)

    def main(self, arguments: Sequence[str]) -> int:
        """Read the runs, write the page, draw the PNG files, and log to W&B where that is asked for."""
        options = self.parser().parse_args(arguments)
        if options.out.is_dir():
            options.out = options.out / "index.html"
        plotly_source()  # what is missing is said before anything is drawn
        results = load_runs(options.runs)
        names = compare.labels(results)
        console = Console()
        for result, name in zip(results, names, strict=True):
            console.print(f"  {result.command}: {name} ({result.data} data)", highlight=False, markup=False)
        size = write_page(results, options.out, options.title or _title(results))
        counts = f"{_count(len(results), 'run')}, {_count(sum(len(r.tables) for r in results), 'table')}, "
        counts += _count(sum(len(r.figures) for r in results), "figure")
        said = f"report: {options.out} ({size / 2**20:.1f} MiB): {counts}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
        pictures: dict[tuple[int, str], Path] = {}
        if not options.no_png:
            folder = options.png or options.out.parent / "figures"
            pictures = draw_all(results, names, folder)
            console.print(f"PNG: {folder}: {len(pictures)} files", highlight=False, markup=False, soft_wrap=True)
        if options.wandb:
            _to_wandb(results, names, pictures, options.wandb, console)
        return 0


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("s" if n != 1 else "")


def _title(results: Sequence[Result]) -> str:
    if len(results) == 1:
        return results[0].title or f"Report of {results[0].command}"
    commands = ", ".join(dict.fromkeys(r.command for r in results))
    return f"Report of {len(results)} runs: {commands}"


def _to_wandb(
    results: Sequence[Result],
    names: Sequence[str],
    pictures: dict[tuple[int, str], Path],
    project: str,
    console: Console,
) -> None:
    from experiments.cli import wandb_offline_without_key
    from experiments.reporting.wandb_log import log_results

    wandb_offline_without_key()
    folders = log_results(results, names, pictures, project)
    for folder in folders:
        console.print(f"W&B: {folder}", highlight=False, markup=False, soft_wrap=True)
