"""Worcester Heart Attack Study: 14 columns and the time to death, shipped with scikit-survival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, SourceCard
from datamodules.sources.tables.packaged_survival import PackagedSurvival
from zoo.raw import RawModality, RawTask


@SOURCES.register
class WHAS500(PackagedSurvival):
    """Read patients after a heart attack: age, sex, vital signs, and what was found during the stay."""

    prefix = "whas500"

    def __init__(self) -> None:
        super().__init__()
        self.card = SourceCard(
            title="Worcester Heart Attack Study, 500 patients",
            modalities=(RawModality("clinical", "tabular"),),
            tasks=(RawTask("death", "survival", (), ("clinical",), "", "days"),),
            licence="not stated (the table is part of scikit-survival, GPL-3.0)",
            access="packaged",
            citation="Hosmer, Lemeshow and May, Applied survival analysis: regression modeling of time-to-event "
            "data, 2nd edition, Wiley, 2008",
            where="it ships with scikit-survival: pip install -e '.[survival]'; sksurv.datasets.load_whas500()",
            layout="no files: installed with scikit-survival",
            caution="the length of the stay (los) is known at discharge only: leave it out of what is predicted at "
            "admission",
            size="500 patients, 215 of whom died; 14 columns",
        )

    def load(self) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """The table and the times in days."""
        from sksurv.datasets import load_whas500

        table, truth = load_whas500()
        return table, truth

    def blocks(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """One block of all columns."""
        return {"clinical": dict(row)}
