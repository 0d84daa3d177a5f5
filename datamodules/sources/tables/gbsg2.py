"""GBSG-2: eight clinical columns and the time to a recurrence of breast cancer, shipped with scikit-survival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, SourceCard
from datamodules.sources.tables.packaged_survival import PackagedSurvival
from zoo.raw import RawModality, RawTask


@SOURCES.register
class GBSG2(PackagedSurvival):
    """Read patients of a trial in node-positive breast cancer: age, hormones, receptors, nodes, grade and size."""

    prefix = "gbsg2"

    def __init__(self) -> None:
        super().__init__()
        self.card = SourceCard(
            title="German Breast Cancer Study Group 2",
            modalities=(RawModality("clinical", "tabular"),),
            tasks=(RawTask("recurrence", "survival", (), ("clinical",), "", "days"),),
            licence="not stated (the table is part of scikit-survival, GPL-3.0)",
            access="packaged",
            citation="Schumacher et al., Randomized 2 x 2 trial evaluating hormonal treatment and the duration of "
            "chemotherapy in node-positive breast cancer patients, J. Clin. Oncol. 12:2086, 1994",
            where="it ships with scikit-survival: pip install -e '.[survival]'; sksurv.datasets.load_gbsg2()",
            layout="no files: installed with scikit-survival",
            caution="the event is a recurrence or death without one; the treatment (horTh) was not randomised in all",
            size="686 patients, 299 with an event; eight columns",
        )

    def load(self) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """The table and the times in days."""
        from sksurv.datasets import load_gbsg2

        table, truth = load_gbsg2()
        return table, truth

    def blocks(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """One block of all columns."""
        return {"clinical": dict(row)}
