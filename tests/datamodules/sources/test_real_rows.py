"""Rows that readers find in the real files at hand, often a part of the data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.core.source import SOURCES

ROWS = {
    "BCCD": 904,
    "BCIIV2b": 5400,
    "RSNABoneAge": 60,
    "BrainTumorMRI": 356,
    "CB513": 511,
    "CITESeq": 8617,
    "EarthMicrobiome": 2000,
    "EcoliMPRA": 17633,
    "GBSG2": 686,
    "HAM10000": 680,
    "HeadCT": 200,
    "MedMNIST": 5855,
    "MedicalAbstracts": 2888,
    "MouseCellAtlas": 315,
    "OCTFundus": 936,
    "OpenIReports": 3826,
    "PBMC68kReduced": 700,
    "ProteinStructures": 101,
    "RetinopathyGrades": 598,
    "SingleCellH5AD": 5685,
    "TransbigBreastCancer": 198,
    "UCISplice": 3190,
    "VQARAD": 2793,
    "WHAS500": 500,
    "WisconsinBreastCancer": 569,
}
ARGUMENTS = {"VQARAD": {"missing_images": "skip"}, "RSNABoneAge": {"folder": "bone_age"}}
"""Some images of the real folder are absent; another has a name of its own."""


@pytest.mark.parametrize("name", sorted(ROWS))
def test_real_rows(name: str, shared_data: Path) -> None:
    source = SOURCES.get(name)(**ARGUMENTS.get(name, {}))
    source.open(shared_data)
    assert len(source) == ROWS[name]
