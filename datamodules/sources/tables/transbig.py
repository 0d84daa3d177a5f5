"""TRANSBIG breast cancer: clinical columns, 76 genes and the time to metastasis, shipped with scikit-survival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, SourceCard
from datamodules.sources.tables.packaged_survival import PackagedSurvival
from zoo.raw import RawModality, RawTask

CLINICAL = ("age", "er", "grade", "size")


@SOURCES.register
class TransbigBreastCancer(PackagedSurvival):
    """Read patients with node-negative breast cancer: four clinical columns, and the genes of a 76-gene signature."""

    prefix = "transbig"
    unknown = ("unkown",)

    def __init__(self) -> None:
        super().__init__()
        self.card = SourceCard(
            title="TRANSBIG validation series of the 76-gene signature (GSE7390)",
            modalities=(RawModality("clinical", "tabular"), RawModality("genes", "tabular", "log2 intensity")),
            tasks=(RawTask("metastasis", "survival", (), ("clinical", "genes"), "", "days"),),
            licence="not stated (GEO; the table is part of scikit-survival, GPL-3.0)",
            access="packaged",
            citation="Desmedt et al., Strong time dependence of the 76-gene prognostic signature for node-negative "
            "breast cancer patients, Clin. Cancer Res. 13:3207, 2007",
            where="it ships with scikit-survival: pip install -e '.[survival]'; sksurv.datasets.load_breast_cancer()",
            layout="no files: installed with scikit-survival",
            caution="51 events: intervals are wide; the genes were chosen by another study, of other patients, and "
            "two patients have an unknown grade",
            size="198 patients, 51 with a distant metastasis; four clinical columns, 76 genes",
        )

    def load(self) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """The table and the times in days."""
        from sksurv.datasets import load_breast_cancer

        table, truth = load_breast_cancer()
        return table, truth

    def blocks(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Clinical columns, and all others: probes of genes."""
        return {
            "clinical": {name: row[name] for name in CLINICAL},
            "genes": {name: value for name, value in row.items() if name not in CLINICAL},
        }
