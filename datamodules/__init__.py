"""Data modules: one a modality, and MultimodalDataModule, which joins sources."""

from datamodules.eeg import EEGDataModule
from datamodules.genomics import GenomicsDataModule
from datamodules.imaging import ImagingDataModule
from datamodules.multimodal import MultimodalDataModule
from datamodules.protein import ProteinDataModule
from datamodules.single_cell import SingleCellDataModule
from datamodules.tabular import TabularDataModule
from datamodules.text import TextDataModule

__all__ = [
    "EEGDataModule",
    "GenomicsDataModule",
    "ImagingDataModule",
    "MultimodalDataModule",
    "ProteinDataModule",
    "SingleCellDataModule",
    "TabularDataModule",
    "TextDataModule",
]
