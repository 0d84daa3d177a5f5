"""Sources: one file a published data set, its layout and its card."""

from datamodules.sources.bccd import BCCD
from datamodules.sources.bci_iv_2b import BCIIV2b
from datamodules.sources.bone_age import BoneAge
from datamodules.sources.brain_tumor_mri import BrainTumorMRI
from datamodules.sources.cb513 import CB513
from datamodules.sources.citeseq import CITESeq
from datamodules.sources.ecoli_mpra import EcoliMPRA
from datamodules.sources.emp import EarthMicrobiome
from datamodules.sources.ham10000 import HAM10000
from datamodules.sources.head_ct import HeadCT
from datamodules.sources.mca import MouseCellAtlas
from datamodules.sources.medical_abstracts import MedicalAbstracts
from datamodules.sources.oct_fundus import OCTFundus
from datamodules.sources.openi_reports import OpenIReports
from datamodules.sources.pbmc68k import PBMC68kReduced
from datamodules.sources.pneumoniamnist import PneumoniaMNIST
from datamodules.sources.protein_structures import ProteinStructures
from datamodules.sources.retinopathy import RetinopathyGrades
from datamodules.sources.single_cell import SingleCellH5AD
from datamodules.sources.uci_splice import UCISplice
from datamodules.sources.vqa_rad import VQARAD
from datamodules.sources.wisconsin import WisconsinBreastCancer

__all__ = [
    "BCCD",
    "CB513",
    "HAM10000",
    "VQARAD",
    "BCIIV2b",
    "BoneAge",
    "BrainTumorMRI",
    "CITESeq",
    "EarthMicrobiome",
    "EcoliMPRA",
    "HeadCT",
    "MedicalAbstracts",
    "MouseCellAtlas",
    "OCTFundus",
    "OpenIReports",
    "PBMC68kReduced",
    "PneumoniaMNIST",
    "ProteinStructures",
    "RetinopathyGrades",
    "SingleCellH5AD",
    "UCISplice",
    "WisconsinBreastCancer",
]
