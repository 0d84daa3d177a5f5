"""Classical pipelines, one or more a modality: what MultiMed's Table 1 calls domain-specific.

Each takes raw values and gives predictions in the form of the task's kind, so that the same metric code scores
them and the networks.
"""

from zoo.baselines.base import BASELINES, Baseline, FeatureBaseline, baselines_for, learnable
from zoo.baselines.cells import CellPCABaseline
from zoo.baselines.domain import Candidate, DomainResult, domain_specific
from zoo.baselines.images import EfficientNetBaseline, PixelBaseline
from zoo.baselines.protein import HomologueBaseline, ResidueWindowBaseline
from zoo.baselines.questions import EmbeddedQuestionBaseline, PictureBaseline, QuestionBaseline
from zoo.baselines.sequences import DNAKmerBaseline, DNAPositionBaseline, PeptideKmerBaseline
from zoo.baselines.signals import BandPowerBaseline, CSPBaseline
from zoo.baselines.tabular import TabularBaseline
from zoo.baselines.text import MiniLMBaseline, TfidfBaseline

__all__ = [
    "BASELINES",
    "BandPowerBaseline",
    "Baseline",
    "CSPBaseline",
    "Candidate",
    "CellPCABaseline",
    "DNAKmerBaseline",
    "DNAPositionBaseline",
    "DomainResult",
    "EfficientNetBaseline",
    "EmbeddedQuestionBaseline",
    "FeatureBaseline",
    "HomologueBaseline",
    "MiniLMBaseline",
    "PeptideKmerBaseline",
    "PictureBaseline",
    "PixelBaseline",
    "QuestionBaseline",
    "ResidueWindowBaseline",
    "TabularBaseline",
    "TfidfBaseline",
    "baselines_for",
    "domain_specific",
    "learnable",
]
