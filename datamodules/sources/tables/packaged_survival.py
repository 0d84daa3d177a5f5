"""What the sources of censored times that scikit-survival ships have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import Source
from zoo.contract import Sample
from zoo.errors import MissingExtraError


class PackagedSurvival(Source):
    """Read a table of scikit-survival (extra ``survival``): one task, whose time and event it holds.

    A row's id is its line in the packaged table.

    Attributes:
        prefix: first part of the ids.
        unknown: words that stand for an unknown category.
    """

    prefix: str = ""
    unknown: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(folder="")
        self._columns = pd.DataFrame()
        self._event: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._time: npt.NDArray[np.float64] = np.zeros(0)

    @abstractmethod
    def load(self) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """The table, and a structured array of event and time.

        Raises:
            ImportError: scikit-survival is not installed.
        """

    @abstractmethod
    def blocks(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Split the columns of a row by modality."""

    def _index(self) -> pd.DataFrame:
        """List the rows.

        Raises:
            MissingExtraError: scikit-survival is not installed.
        """
        try:
            self._columns, truth = self.load()
        except ImportError as error:
            raise MissingExtraError("scikit-survival", "survival") from error
        event, time = truth.dtype.names or ("", "")
        self._event, self._time = truth[event].astype(bool), truth[time].astype(np.float64)
        count = len(truth)
        return pd.DataFrame(
            {
                "id": [f"{self.prefix}/{i:03d}" for i in range(count)],
                "subject": "",
                "group": "",
                "stratum": np.where(self._event, "event", "censored"),
                "split": "",
                "case": np.arange(count),
            }
        )

    def read(self, row: int) -> Sample:
        """Read one patient: columns by name, and the time and event."""
        line = self.index.iloc[row]
        case = int(line["case"])
        found = {str(name): self._plain(value) for name, value in self._columns.iloc[case].items()}
        label = {"time": float(self._time[case]), "event": int(self._event[case])}
        return Sample(line["id"], dict(self.blocks(found)), {self.card.tasks[0].name: label})

    def _plain(self, value: Any) -> float | str | None:
        if isinstance(value, str):
            return None if value in self.unknown else value
        return None if pd.isna(value) else float(value)
