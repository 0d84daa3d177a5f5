"""Sources of a few rows in memory, for tests of the data side. None of them is registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from datamodules.core.processor import Processor
from datamodules.core.source import Source, SourceCard
from zoo.contract import ModalitySpec, Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

TABLE = RawModality("table", "tabular")
NOTE = RawModality("note", "text")
SCAN = RawModality("scan", "image")
SICK = RawTask("sick", "classification", ("no", "yes"), ("table", "note"))
AGE = RawTask("age", "regression", ("years",), ("table",))


@dataclass
class Row:
    """A line of a fake source: what its index says, and what reading it gives."""

    id: str
    inputs: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)
    subject: str = ""
    group: str = ""
    stratum: str = ""
    split: str = ""
    codes: dict[str, int] = field(default_factory=dict)
    broken: str = ""
    """"peek" cannot be looked at, "read" only fails when it is decoded, "crash" raises no DataError."""


class Fake(Source):
    """Serve rows from memory; ``read_count`` counts how often a row was decoded."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        name: str = "Fake",
        modalities: Sequence[RawModality] = (TABLE, NOTE),
        tasks: Sequence[RawTask] = (SICK, AGE),
        simulated: bool = False,
    ) -> None:
        super().__init__()
        self.rows = list(rows)
        self._name = name
        self.card = SourceCard(
            "A fake",
            tuple(modalities),
            tuple(tasks),
            "not stated",
            "simulated" if simulated else "open",
            "none",
            "nowhere",
            "nothing",
        )
        self.read_count: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The name that the test chose."""
        return self._name

    def _index(self) -> pd.DataFrame:
        columns = ("id", "subject", "group", "stratum", "split")
        table = pd.DataFrame([{c: getattr(r, c) for c in columns} for r in self.rows])
        table["place"] = range(len(self.rows))
        return table

    def _at(self, row: int) -> Row:
        return self.rows[int(self.index["place"][row])]

    def _sample(self, entry: Row) -> Sample:
        return Sample(entry.id, dict(entry.inputs), dict(entry.targets), dict(entry.codes))

    def read(self, row: int) -> Sample:
        """The row as it is, or the error that it stands for."""
        entry = self._at(row)
        self.read_count[entry.id] = self.read_count.get(entry.id, 0) + 1
        if entry.broken == "crash":
            raise KeyError("no such column")
        if entry.broken:
            raise DataError("the file is cut short", file="fake.bin", row=entry.id)
        return self._sample(entry)

    def peek(self, row: int) -> Sample:
        """The row with its images left undecoded."""
        entry = self._at(row)
        if entry.broken == "peek":
            raise DataError("the file is cut short", file="fake.bin", row=entry.id)
        sample = self._sample(entry)
        images = [m.name for m in self.card.modalities if m.kind == "image"]
        return Sample(
            sample.id,
            {m: None if m in images else v for m, v in sample.inputs.items()},
            sample.targets,
            sample.groups,
        )


class Noisy(Processor):
    """Scale a table row of one number by the training mean, and augment it with noise."""

    kind = "tabular"
    fits = True

    def __init__(self) -> None:
        self.mean = 0.0
        self.seen: list[float] = []
        self.admitted: list[float] = []

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Remember the mean, and what it was made of."""
        self.seen = [float(v["x"]) for v in values]
        self.mean = sum(self.seen) / len(self.seen)

    def admit(self, values: Sequence[Any]) -> None:
        """Remember what was shown."""
        self.admitted = [float(v["x"]) for v in values]

    def spec(self, raw: RawModality) -> ModalitySpec:
        """One number."""
        return ModalitySpec(raw.name, "tabular", (1,), cardinalities=(0,))

    def __call__(self, value: Any) -> Tensor:
        """Subtract the mean."""
        from torch import tensor

        return tensor([float(value["x"]) - self.mean])

    def decode(self, value: Tensor) -> dict[str, float]:
        """Add the mean again."""
        return {"x": float(value[0]) + self.mean}

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Add standard normal noise."""
        return value + float(generator.normal())


def cohort(n: int = 40, *, seed: int = 0, prefix: str = "p", split: str = "") -> list[Row]:
    """Make n rows with a table, a note, a class that the table tells, and an age for every other row."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        x = float(generator.normal())
        label = "yes" if x > 0 else "no"
        targets: dict[str, Any] = {"sick": label}
        if i % 2 == 0:
            targets["age"] = {"years": 50 + 10 * x}
        note = f"patient reports {'fever' if x > 0 else 'rest'} today"
        rows.append(Row(f"{prefix}{i:03d}", {"table": {"x": x}, "note": note}, targets, stratum=label, split=split))
    return rows
