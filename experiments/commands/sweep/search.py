"""A sweep that is under way: its trials in Optuna's storage, which come next, and what became of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands.sweep.file import SweepFile
from experiments.commands.sweep.trial import Outcome, options_of
from experiments.core.study import Study

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STARTUP = 5
"""Trials that bayes draws at random first, and that nothing is pruned before."""


@dataclass
class Search:
    """A sweep that is under way.

    Attributes:
        file: what to vary.
        arguments: of the command line, on top of which options are set.
        base: their study.
        seeds: of each trial's trainings.
        folder: of the results.
        trials: Optuna's study.
        total: trials to have begun in the end; 0 for no end (a grid ends by itself).
        seed: of the search.
        storage: file of the trials; None keeps them in memory.
        jobs_folder: of finished trainings; None keeps them in ``folder``.
    """

    file: SweepFile
    arguments: list[str]
    base: Study
    seeds: list[int]
    folder: Path
    trials: Any
    total: int
    seed: int
    storage: Path | None = None
    jobs_folder: Path | None = None

    @property
    def jobs(self) -> Path:
        """The folder of finished trainings."""
        return self.jobs_folder or self.folder / "jobs"

    def begun(self) -> list[Any]:
        """Trials that were begun and not killed."""
        return [t for t in self.trials.get_trials(deepcopy=False) if t.state.name != "WAITING" and not _killed(t)]

    def waiting(self) -> int:
        """Combinations of a grid that are left, and trials that a kill cut short."""
        return sum(t.state.name == "WAITING" for t in self.trials.get_trials(deepcopy=False))

    def outcomes(self) -> dict[int, tuple[dict[str, Any], Outcome]]:
        """Number of a trial -> what it set and what became of it."""
        return {
            t.number: (dict(t.params), Outcome(**t.user_attrs["outcome"]))
            for t in self.begun()
            if "outcome" in t.user_attrs
        }

    def ask(self) -> Any | None:
        """The next trial, or None where there is none.

        What is suggested depends on the seed, on how many were begun and on what they found, so that a sweep that was
        interrupted goes on as if it had not been.
        """
        number = len(self.begun())
        if (self.total and number >= self.total) or (self.file.method == "grid" and not self.waiting()):
            return None
        self.trials.sampler = make_sampler(self.file.method, self.seed, number)
        return self.trials.ask({p.name: p.distribution() for p in self.file.varied})

    def tell(self, trial: Any, outcome: Outcome) -> None:
        """Keep what became of a trial."""
        if outcome.state == "finished" and not np.isfinite(outcome.value):
            outcome.state, outcome.error = "failed", f"{self.file.metric} is not finite"
        trial.set_user_attr(
            "outcome", outcome.as_dict() | {"value": None if outcome.state != "finished" else outcome.value}
        )
        self._end(trial, outcome)

    def _end(self, trial: Any, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        if outcome.state == "finished":
            self.trials.tell(trial, outcome.value)
        else:
            self.trials.tell(trial, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)

    def take_up(self) -> int:
        """Make a grid's trials where there are none, and put what a kill cut short first in line; return how many."""
        from optuna.trial import TrialState

        known = self.trials.get_trials(deepcopy=False)
        if self.file.method == "grid" and not known:
            for chosen in self.file.combinations():
                self.trials.enqueue_trial(chosen)
        cut = []
        for trial in known:
            if trial.state != TrialState.RUNNING:
                continue
            if "outcome" in trial.user_attrs:  # killed just before the last word
                self._end(trial.number, Outcome(**trial.user_attrs["outcome"]))
                continue
            cut.append(trial)
            self.trials.tell(trial.number, state=TrialState.FAIL)
            chosen = trial.params or trial.system_attrs.get("fixed_params", {})
            if chosen:
                self.trials.enqueue_trial(chosen)
        return len(cut)


def make_sampler(method: str, seed: int, number: int) -> Any:
    """The sampler of trial ``number``; the combinations of a grid wait in line, so that nothing is sampled.

    Args:
        method: "grid", "random" or "bayes", as in the sweep file.
        seed: of the sampling.
        number: of the trial.
    """
    import optuna

    mixed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if method == "bayes":
        return optuna.samplers.TPESampler(seed=mixed, n_startup_trials=STARTUP)
    return optuna.samplers.RandomSampler(seed=mixed)


def open_storage(path: Path) -> Any:
    """SQLite for .db, .sqlite and .sqlite3, else Optuna's journal file."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return optuna.storages.RDBStorage(f"sqlite:///{path}")
    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def open_trials(file: SweepFile, name: str, storage: Any) -> Any:
    """Optuna's study of this name, new or from before.

    Args:
        file: the sweep file.
        name: of the study in the storage.
        storage: of Optuna.
    """
    import optuna

    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if file.warmup is not None:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP - 1, n_warmup_steps=max(file.warmup - 1, 0))
    return optuna.create_study(
        study_name=name,
        storage=storage,
        pruner=pruner,
        direction="maximize" if file.maximize else "minimize",
        load_if_exists=True,
    )


def command_of(arguments: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The command line of a whole ``zoo fit`` with these options."""
    shown = [a.replace(f"{CONFIGS}/", "") for a in arguments]
    return shlex.join(["python", "experiments/run.py", "fit", *shown, *options_of(settings)])


def _killed(trial: Any) -> bool:
    return trial.state.name == "FAIL" and "outcome" not in trial.user_attrs
