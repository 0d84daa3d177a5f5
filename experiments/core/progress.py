"""How far a long command is: a bar on a terminal, lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 10.0
"""Seconds between lines where there is no terminal."""


class Steps:
    """Tell how many of all steps are done.

    Args:
        what: is done, in a word.
        total: number of steps.
        bar: on a terminal; None prints lines.
    """

    def __init__(self, what: str, total: int, bar: Progress | None) -> None:
        self.what, self.total, self._bar = what, total, bar
        self._last = time.monotonic()
        self._task = bar.add_task(what, total=total) if bar is not None else None

    def to(self, done: int) -> None:
        """Say that ``done`` steps are done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        elif done >= self.total or time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            print(f"{self.what}: {done} of {self.total}", flush=True)


@contextmanager
def steps(what: str, total: int, begin: int = 0) -> Iterator[Steps]:
    """Show the progress of a loop.

    Args:
        what: is done, in a word.
        total: number of steps.
        begin: steps that are done already.
    """
    console = Console()
    if not console.is_terminal:
        yield Steps(what, total, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        made = Steps(what, total, bar)
        made.to(begin)
        yield made
