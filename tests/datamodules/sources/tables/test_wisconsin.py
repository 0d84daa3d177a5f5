"""WisconsinBreastCancer on the data that ship with scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from datamodules.sources.tables.wisconsin import WisconsinBreastCancer


def test_rows():
    source = WisconsinBreastCancer()
    source.open()
    data = load_breast_cancer()
    assert len(source) == 569
    assert source.index["stratum"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    assert source.card.modalities[0].features[:2] == ("mean_radius", "mean_texture")
    for row in (0, 300, 568):
        sample = source.read(row)
        case = int(sample.id.removeprefix("wisconsin/"))
        np.testing.assert_array_equal(list(sample.inputs["cytology"].values()), data.data[case])
        assert tuple(sample.inputs["cytology"]) == source.card.modalities[0].features
        assert sample.targets == {"breast_cancer": ("malignant", "benign")[data.target[case]]}
