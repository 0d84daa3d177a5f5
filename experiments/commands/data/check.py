"""``zoo data check``: read data sets on disk, and say what would leak."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from datamodules.audit import check_all, entries_below, entries_of_config, entry_of
from datamodules.audit.opening import Config
from datamodules.audit.report import print_report, write_json
from datamodules.audit.sheet import write_sheet
from datamodules.core.splits import FRACTIONS
from experiments.core.command import at_least, file_in_folder
from experiments.reporting.audit import write_audit
from zoo.errors import SpecError


def check(asked: argparse.Namespace, console: Console) -> int:
    """Check what was asked for, print and write the report, and return the exit status."""
    config, joint = _entries(asked)
    pages = {p: Path(getattr(asked, p)) for p in ("html", "png", "json") if getattr(asked, p)}
    for option, path in pages.items():
        file_in_folder(path, f"--{option}")
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
        grouping=config.grouping,
        frames=config.frames,
        shuffles=asked.shuffles,
        progress=progress,
    )
    print_report(console, report)
    for option, write in (("html", write_audit), ("png", write_sheet), ("json", write_json)):
        if option in pages:
            write(report, pages[option])
            console.print(f"written: {pages[option]}", markup=False, highlight=False, soft_wrap=True)
    return report.exit_code(handled_ok=asked.handled_ok)


def _entries(asked: argparse.Namespace) -> tuple[Config, bool]:
    """The sources to check, where they lie and how they are split, and whether they are joined."""
    at_least(asked, limit=0, shuffles=0)
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
            f"--root '{root}' holds no folder of a known source; 'zoo data list' lists them, and "
            "'zoo data describe NAME' says what its folder is called"
        )
    for entry in entries if asked.source else []:
        entry.own().open(root)  # a source that was named must be there
    return Config(entries, str(root), 0, FRACTIONS), False
