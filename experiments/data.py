"""``run.py data``: which data sets there are, what is known of one, and whether data on disk would leak."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

import datamodules.phantom
import datamodules.sources  # noqa: F401
from datamodules.audit import check_all, entries_below, entries_of_config, entry_of
from datamodules.audit.catalogue import describe, print_list
from datamodules.audit.opening import Config
from datamodules.audit.page import write_page
from datamodules.audit.report import print_report, write_json
from datamodules.audit.sheet import write_sheet
from datamodules.splits import FRACTIONS
from zoo.errors import SpecError, ZooError

CHECK = """
Read every row of the data sets below a folder and say what they hold and what would leak.

Each source is read as it was published (drop_leaks=False, published_split=True, missing_images=skip, where it has
these arguments), and the findings are compared with the zoo's own reading of it: its default arguments, or those of
--config. Found are
  rows of the publisher's split and of the zoo's own, labels of each class, rows that cannot be read,
  identical samples (images: equal pixels; sequences and texts: equal after bringing them to one form; signals,
    expression and tables: equal values) and nearly identical images, within the data and across splits,
  groups and subjects of the index that lie in two splits,
  columns of tables that tell the label, texts that name the class (a note),
  group columns for tests on unseen groups, and what two data sets share (a note).
Where nothing was published, or only a test part, the zoo's own split is looked at too. Questions of a vqa task, and
texts and tables beside an image, a signal or a sequence, may repeat: that is a note.
"""
EXIT = """
exit status
  0  no leak
  1  a leak in the data as published; or a row that cannot be read, or a source that could not be checked
     (with --handled-ok, leaks that the zoo's own reading closes do not count)
  2  bad usage
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of ``run.py data``."""
    top = argparse.ArgumentParser(prog="run.py data", description=__doc__, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="list | describe | check")
    listing = commands.add_parser("list", help="a table of all sources", allow_abbrev=False)
    listing.add_argument("--access", action="append", default=[], help="keep sources of this access, such as open")
    listing.add_argument("--modality", action="append", default=[], help="keep sources with this modality or kind")
    card = commands.add_parser("describe", help="all that is known of one source", allow_abbrev=False)
    card.add_argument("name", help="its name in data list")
    check = commands.add_parser(
        "check", help="find copies, leaks and broken files in data on disk", description=CHECK, epilog=EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    check.add_argument(
        "--root", default="", help="folder that holds the sources' folders (default: the config's, or .)"
    )
    check.add_argument(
        "--source", nargs="+", action="extend", default=[], help="only these; default: all that are there"
    )
    check.add_argument("--config", default="", help="check the sources of this configuration, with its arguments")
    check.add_argument("--limit", type=int, default=0, help="read at most so many rows of a source (0: all)")
    check.add_argument(
        "--handled-ok", action="store_true", help="exit 0 where the zoo's own reading handles all leaks"
    )
    check.add_argument("--html", default="", help="write the report as one page")
    check.add_argument("--png", default="", help="write a contact sheet")
    check.add_argument("--json", default="", help="write the report as JSON")
    return top


def main() -> None:
    """Run one of the commands; the exit status is that of ``data --help``."""
    asked = parser().parse_args(sys.argv[2:])
    console = Console()
    try:
        if asked.command == "list":
            print_list(console, access=asked.access, modalities=asked.modality)
            code = 0
        elif asked.command == "describe":
            console.print(describe(asked.name), markup=False, highlight=False, soft_wrap=True)
            code = 0
        else:
            code = _check(asked, console)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _check(asked: argparse.Namespace, console: Console) -> int:
    config, joint = _entries(asked)
    pages = {p: Path(getattr(asked, p)) for p in ("html", "png", "json") if getattr(asked, p)}
    for option, path in pages.items():
        if not path.parent.is_dir() or path.is_dir():
            raise SpecError(f"--{option} '{path}': give a file in a folder that exists")
    errors = Console(stderr=True)

    def progress(rows: Iterable[int], words: str) -> Iterable[int]:
        return track(rows, words, console=errors, transient=True, disable=not errors.is_terminal)

    report = check_all(
        config.entries,
        config.root,
        limit=asked.limit,
        joint=joint,
        fractions=config.fractions,
        seed=config.seed,
        folds=config.folds,
        progress=progress,
    )
    print_report(console, report)
    for option, write in (("html", write_page), ("png", write_sheet), ("json", write_json)):
        if option in pages:
            write(report, pages[option])
            console.print(f"written: {pages[option]}", markup=False, highlight=False, soft_wrap=True)
    return report.exit_code(handled_ok=asked.handled_ok)


def _entries(asked: argparse.Namespace) -> tuple[Config, bool]:
    """The sources to check, where they lie and how they are split, and whether they are joined."""
    if asked.limit < 0:
        raise SpecError(f"--limit must be 0 (all rows) or more, got {asked.limit}")
    if asked.config and asked.source:
        raise SpecError("give --config or --source, not both: a configuration names its sources itself")
    config = entries_of_config(Path(asked.config)) if asked.config else None
    root = Path(asked.root or (config.root if config else "") or ".")
    if not root.is_dir():
        raise SpecError(f"--root '{root}' is not a folder; give the folder that holds the sources' folders")
    if config:
        return replace(config, root=str(root)), True
    entries = [entry_of(name) for name in asked.source] or entries_below(root)
    if not entries:
        raise SpecError(
            f"--root '{root}' holds no folder of a known source; 'run.py data list' lists them, and "
            "'run.py data describe NAME' says what its folder is called"
        )
    for entry in entries if asked.source else []:
        entry.own().open(root)  # a source that was named must be there
    return Config(entries, str(root), 0, FRACTIONS), False
