"""RobustnessCallback: how a plain fit's test results fall under corruption."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
from rich.console import Console

from zoo.callbacks.report import run_folder
from zoo.contract import Batch
from zoo.data import DataModule, data_module
from zoo.errors import SpecError
from zoo.evaluation.corruptions.base import CORRUPTIONS, SEVERITIES, Corruption, corrupt, corruptions_for
from zoo.models.base import TaskModel, task_model
from zoo.models.predict import predict
from zoo.training.collector import Predicted


class RobustnessCallback(L.Callback):
    """After a test, predict the test rows again under corruption.

    A corruption meets every modality that it fits at once. For each task that one of them informs, it logs the
    primary metric as ``robustness/TASK/CORRUPTION/LEVEL``, and writes robustness.json into the run's folder: task ->
    {metric, clean, corruptions: corruption -> {modalities, unit, physical, levels, values}}.

    Args:
        levels: severities of the corruptions, 0 (none) to 5.
        corruptions: names; None for the standard one of each modality kind (see zoo.evaluation.corruptions).
        seed: of the damage.
        folder: where to write; "" for the logger's folder.
    """

    def __init__(
        self,
        levels: Sequence[int] = (1, 3, 5),
        corruptions: Sequence[str] | None = None,
        seed: int = 0,
        folder: str = "",
    ) -> None:
        self.levels = [check_level(level) for level in levels]
        if not self.levels:
            raise SpecError(f"RobustnessCallback: give at least one level of {SEVERITIES}")
        for name in corruptions or ():
            CORRUPTIONS.get(name)
        self.corruptions = None if corruptions is None else list(corruptions)
        self.seed = seed
        self.folder = folder
        self.report: dict[str, Any] = {}

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Predict and log; every rank takes part."""
        model = task_model(pl_module)
        data = data_module(trainer, "RobustnessCallback")
        chosen = self._chosen(model)
        clean = self._values(model, self._predicted(trainer, model, data, None, 0), list(model.tasks))
        kinds = model.evaluation.kinds
        self.report = {t: {"metric": kinds[t].primary, "clean": v, "corruptions": {}} for t, v in clean.items()}
        for corruption, modalities in chosen:
            uses = [t for t in clean if any(model.tasks[t].uses(m) or model.tasks[t].reads == m for m in modalities)]
            curves: dict[str, list[float]] = {t: [] for t in uses}
            for level in self.levels:
                found = clean
                if level:
                    predicted = self._predicted(trainer, model, data, (corruption, modalities), level)
                    found = self._values(model, predicted, uses)
                for t in uses:
                    value = found.get(t, math.nan)
                    curves[t].append(value)
                    pl_module.log(f"robustness/{t}/{corruption.name}/{level}", value, rank_zero_only=False)
            for t in uses:
                self.report[t]["corruptions"][corruption.name] = {
                    "modalities": modalities,
                    "unit": corruption.unit,
                    "levels": self.levels,
                    "physical": [corruption.levels[level] for level in self.levels],
                    "values": curves[t],
                }

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write robustness.json."""
        folder = run_folder(trainer, self.folder)  # asks all ranks
        if trainer.is_global_zero:
            write(self.report, folder / "robustness.json")
            Console().print(f"robustness: {folder}/robustness.json", highlight=False, markup=False)

    def _chosen(self, model: TaskModel) -> list[tuple[Corruption, list[str]]]:
        """The corruptions, each with the modalities that it fits.

        Raises:
            SpecError: a corruption that was asked for fits none.
        """
        fitting: dict[str, tuple[Corruption, list[str]]] = {}
        for spec in model.modalities.values():
            for corruption in corruptions_for(spec, self.corruptions):
                if self.corruptions is not None or corruption.standard:
                    fitting.setdefault(corruption.name, (corruption, []))[1].append(spec.name)
        for name in self.corruptions or ():
            if name not in fitting:
                raise SpecError(
                    f"corruption '{name}' fits none of the modalities {tuple(model.modalities)}; it takes the kinds "
                    f"{CORRUPTIONS.get(name).kinds}"
                )
        return list(fitting.values())

    def _predicted(
        self,
        trainer: L.Trainer,
        model: TaskModel,
        data: DataModule,
        damage: tuple[Corruption, list[str]] | None,
        level: int,
    ) -> Predicted:
        plan = {} if damage is None else dict.fromkeys(damage[1], (damage[0], level))

        def change(batch: Batch) -> Batch:
            return corrupt(batch, model.modalities.values(), plan, self.seed)

        most = trainer.num_test_batches[0]
        batches = data.test_dataloader()
        return predict(model, islice(batches, int(most)) if math.isfinite(most) else batches, change)

    def _values(self, model: TaskModel, predicted: Predicted, tasks: Sequence[str]) -> dict[str, float]:
        found = {t: predicted.results[t] for t in tasks if t in predicted.results}
        return {t: model.evaluation.kinds[t].primary_value(r.prediction, r.target) for t, r in found.items()}


def check_level(level: int) -> int:
    """Return a severity, or refuse it.

    Raises:
        SpecError: it is not one of SEVERITIES.
    """
    if level not in SEVERITIES:
        raise SpecError(f"level {level} of corruptions is unknown; levels: {SEVERITIES} (0 changes nothing)")
    return level


def write(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON; what is not finite becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(report), indent=2) + "\n")
