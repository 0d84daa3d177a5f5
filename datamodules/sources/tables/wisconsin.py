"""Wisconsin diagnostic breast cancer: numbers measured on cell nuclei, which scikit-learn ships with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from zoo.contract import Sample
from zoo.raw import RawModality, RawTask

CLASSES = ("benign", "malignant")


@SOURCES.register
class WisconsinBreastCancer(Source):
    """Read fine needle aspirates: 30 numbers on the shape of cell nuclei, benign or malignant.

    A row's id is its line in the packaged table, which is part of scikit-learn and does not change.
    """

    def __init__(self) -> None:
        super().__init__(folder="")
        self.card = SourceCard(
            title="Breast Cancer Wisconsin (Diagnostic)",
            modalities=(RawModality("cytology", "tabular"),),
            tasks=(RawTask("breast_cancer", "classification", CLASSES, ("cytology",)),),
            licence="CC BY 4.0 (UCI Machine Learning Repository)",
            access="packaged",
            citation="Street, Wolberg, Mangasarian, Nuclear feature extraction for breast tumor diagnosis, "
            "SPIE 1905, 1993",
            where="it ships with scikit-learn: sklearn.datasets.load_breast_cancer()",
            layout="no files: installed with scikit-learn",
            caution="measured on images by hand-drawn outlines; nearly separable, so differences are small",
            size="569 tumours (357 benign, 212 malignant), 30 measurements each",
        )
        self._values: npt.NDArray[np.float64] = np.zeros((0, 0))

    def _index(self) -> pd.DataFrame:
        from sklearn.datasets import load_breast_cancer

        data = load_breast_cancer()
        self._values = np.asarray(data.data, dtype=np.float64)
        columns = tuple(str(c).replace(" ", "_") for c in data.feature_names)
        self.card = replace(self.card, modalities=(replace(self.card.modalities[0], features=columns),))
        names = [str(data.target_names[k]) for k in data.target]
        return pd.DataFrame(
            {
                "id": [f"wisconsin/{i:03d}" for i in range(len(names))],
                "subject": "",
                "group": "",
                "stratum": names,
                "split": "",
                "case": np.arange(len(names)),
            }
        )

    def read(self, row: int) -> Sample:
        """Read one case: 30 numbers by name, and the diagnosis."""
        line = self.index.iloc[row]
        numbers = zip(self.card.modalities[0].features, self._values[line["case"]], strict=True)
        inputs = {"cytology": {name: float(value) for name, value in numbers}}
        return Sample(line["id"], inputs, {"breast_cancer": line["stratum"]})
