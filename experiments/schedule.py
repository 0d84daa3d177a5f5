"""Run many cells: in parallel processes, in a given order, within a budget, and with a progress bar."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.budget import Budget
from experiments.cells import Cell, Finished, known_costs, load_cell, run_cell, view_of
from experiments.cli import quiet_libraries
from experiments.study import Study
from zoo.encoders.feature_store import VARIABLE
from zoo.errors import DataError


@dataclass
class Ran:
    """What became of the cells that were asked for.

    Attributes:
        finished: cell -> what it left.
        left: cells that the budget did not allow, in order.
        failed: cell -> error, in words; where nothing at all finished, the error is raised.
        fresh: how many were run now; the others were finished before.
    """

    finished: dict[Cell, Finished] = field(default_factory=dict)
    left: list[Cell] = field(default_factory=list)
    failed: dict[Cell, str] = field(default_factory=dict)
    fresh: int = 0


def run_cells(
    study: Study, cells: Sequence[Cell], folder: Path, *, budget: Budget | None = None, jobs: int = 0
) -> Ran:
    """Run cells, or read those that are finished.

    A cell is begun while the budget lasts for what it is expected to take, as learned from finished ones, and the
    first where none is finished while any budget is left; one that is begun is finished. With one process the cells
    run here.

    Args:
        study: the configuration.
        cells: in the order of importance; repeated ones run once.
        folder: where they are kept.
        budget: time that is left; None for no end.
        jobs: processes; 0 takes cores over threads.
    """
    budget = budget or Budget()
    quiet()
    ran = Ran()
    for cell in dict.fromkeys(cells):
        done = load_cell(study, cell, folder)
        if done is None:
            ran.left.append(cell)
        else:
            ran.finished[cell] = done
    waiting, ran.left = ran.left, []
    number = min(jobs or max(1, (os.cpu_count() or 1) // max(study.threads, 1)), max(len(waiting), 1))
    costs = _Costs(study)
    if budget.seconds and waiting:  # counted at once: later the data in memory may be those of another seed
        known = known_costs(study, folder)  # those of other commands too
        costs.count([*(c for c, _ in known), *waiting])
        costs.learn(known)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bar:
        line = bar.add_task("trainings", total=len(waiting) + len(ran.finished), completed=len(ran.finished))
        run = _Run(study, folder, budget, number, costs, lambda: bar.advance(line), bool(ran.finished))
        with _shared_features(folder / "features"):
            (_here if number == 1 else _spread)(waiting, ran, run)
    for cell, problem in ran.failed.items():
        console.print(f"failed: {describe(cell)}: {problem}", style="red", markup=False)
    return ran


@contextmanager
def _shared_features(folder: Path) -> Iterator[None]:
    """Let all processes share what frozen networks have seen, where the user has not said where to keep it."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]


def _here(waiting: list[Cell], ran: Ran, run: _Run) -> None:
    """Run the cells one after another in this process."""
    for cell in waiting:
        if run.too_long(cell):
            ran.left.append(cell)
            continue
        try:
            run.done(run_cell(run.study, cell, run.folder), ran)
        except Exception as error:
            run.failed(cell, ran, f"{type(error).__name__}: {error}")
            if not ran.finished:
                raise


def _spread(waiting: list[Cell], ran: Ran, run: _Run) -> None:
    """Run the cells in several processes, each of which keeps its data between cells."""
    context = multiprocessing.get_context("spawn")
    workers = [_Worker(context, run.study, run.folder) for _ in range(run.processes)]
    queue = list(waiting)
    try:
        while queue or any(w.cell for w in workers):
            for worker in workers:
                while queue and worker.cell is None:
                    cell = queue.pop(0)
                    if run.too_long(cell):
                        ran.left.append(cell)
                    else:
                        worker.begin(cell)
            busy = {w.pipe: w for w in workers if w.cell is not None}
            if not busy:  # all that was left is too long
                break
            for pipe in multiprocessing.connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                cell, problem = worker.end()
                done = None if problem else load_cell(run.study, cell, run.folder)
                if done is not None:
                    run.done(done, ran)
                    continue
                run.failed(cell, ran, problem)
                if not ran.finished:
                    raise DataError(f"the training of {describe(cell)} failed: {problem}")
    except BaseException:
        for worker in workers:
            worker.process.kill()
        raise
    finally:
        for worker in workers:
            worker.pipe.close()  # an idle process ends by this
            worker.process.join()


class _Worker:
    """A process that runs one cell at a time."""

    def __init__(self, context: Any, study: Study, folder: Path) -> None:
        self.pipe, theirs = context.Pipe()
        self.cell: Cell | None = None
        arguments = (theirs, study.config, study.name, study.threads, folder)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, cell: Cell) -> None:
        """Have a cell run."""
        self.cell = cell
        self.pipe.send(cell)

    def end(self) -> tuple[Cell, str]:
        """The cell that ended, and what went wrong ("" for nothing)."""
        assert self.cell is not None
        cell, self.cell = self.cell, None
        try:
            return cell, str(self.pipe.recv())
        except EOFError:
            self.process.join()
            raise DataError(
                f"the process that trained {describe(cell)} ended with {self.process.exitcode} (out of memory?); "
                "run the command again, with --jobs 1 to need less memory"
            ) from None


def _serve(pipe: Any, config: dict[str, Any], name: str, threads: int, folder: Path) -> None:
    """Run cells that come through the pipe until it closes."""
    import signal

    import datamodules.phantom
    import datamodules.sources  # noqa: F401  (registers)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    torch.set_num_threads(max(threads, 1))
    quiet()
    study = Study(config, name, threads)
    while True:
        try:
            cell = pipe.recv()
        except EOFError:
            return
        try:
            run_cell(study, cell, folder)
            pipe.send("")
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}\n{traceback.format_exc()}" if DEBUG else f"{error}")


def describe(cell: Cell) -> str:
    """A cell in words."""
    words = [
        cell.kind,
        "+".join(cell.tasks) or "all tasks",
        "from " + ("+".join(cell.modalities) or "all modalities"),
    ]
    words += ["without " + " ".join(cell.holdout)] if cell.holdout else []
    return " ".join([*words, *cell.changes, f"seed {cell.seed}"])


@dataclass
class _Run:
    """What a run of cells shares."""

    study: Study
    folder: Path
    budget: Budget
    processes: int
    costs: _Costs
    tick: Any
    begun: bool  # or finished before

    def too_long(self, cell: Cell) -> bool:
        """Whether the budget does not last for a cell; the first is begun all the same, to have one to show."""
        if self.budget.seconds and self.budget.left <= 0:
            return True
        first, self.begun = not self.begun, True
        return bool(self.budget.seconds) and not first and self.costs.expected(cell) > self.budget.left

    def done(self, finished: Finished, ran: Ran) -> None:
        """Take note of a cell that finished."""
        self.tick()
        ran.finished[finished.cell] = finished
        ran.fresh += 1
        self.costs.learn([(finished.cell, float(finished.info["seconds"]))])

    def failed(self, cell: Cell, ran: Ran, problem: str) -> None:
        """Take note of a cell that failed."""
        self.tick()
        ran.failed[cell] = problem


DEBUG = bool(os.environ.get("ZOO_DEBUG"))
REMARKS = (".*is an instance of `nn.Module` and is already saved.*", ".*smaller than the logging interval.*")


def quiet() -> None:
    """Silence Lightning's remarks about each of many trainings."""
    import warnings

    quiet_libraries()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for pattern in REMARKS:
        warnings.filterwarnings("ignore", message=pattern)


class _Costs:
    """Expected seconds of a cell: a rate a modality times the rows that it visits, learned as cells finish."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._sizes: dict[Cell, dict[str, float]] = {}
        self._seen: list[tuple[Cell, float]] = []

    def count(self, cells: Iterable[Cell]) -> None:
        """Count what each of the cells visits."""
        for cell in cells:
            self._visits(cell)

    def learn(self, took: Iterable[tuple[Cell, float]]) -> None:
        """Take note of the seconds that cells took."""
        self._seen += took

    def expected(self, cell: Cell) -> float:
        """Seconds that ``cell`` is expected to take; 0 where nothing like it has finished."""
        from scipy.optimize import nnls

        seen = [(c, s) for c, s in self._seen if c.kind == cell.kind]
        if not seen:
            return 0.0
        names = sorted({m for c, _ in [*seen, (cell, 0.0)] for m in self._visits(c)})
        table = np.array([[self._visits(c).get(m, 0.0) for m in names] for c, _ in seen])
        took = np.array([s for _, s in seen])
        mean = took.sum() / max(table.sum(), 1e-9)
        pull = 1e-3 * table.mean() * np.eye(len(names))  # towards one rate, where cells do not tell modalities apart
        rates, _ = nnls(np.vstack([table, pull]), np.concatenate([took, pull.sum(1) * mean]))
        mine = np.array([self._visits(cell).get(m, 0.0) for m in names])
        return float(mine @ rates)

    def _visits(self, cell: Cell) -> dict[str, float]:
        """Modality -> rows with it that an epoch visits, times the epochs. Seeds differ little, so one is counted."""
        like = Cell(cell.kind, self._study.seed, cell.tasks, cell.modalities)
        if like not in self._sizes:
            view = view_of(self._study, like)
            passes = view.passes()
            size: dict[str, float] = {}
            for often, rows in zip(passes, view.view.rows_by_source("train"), strict=True):
                for spec in view.modality_specs:
                    have = float(view.view.holdings.present[spec.name][rows].sum()) * often
                    size[spec.name] = size.get(spec.name, 0.0) + have
            self._sizes[like] = size
        epochs = cell.epochs or int(self._study.config["trainer"].get("max_epochs") or 1)
        return {m: n * epochs for m, n in self._sizes[like].items()}
