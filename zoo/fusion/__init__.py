"""Fusions: modules that turn the tokens of the modalities into one vector a stream."""

from zoo.fusion.base import FUSED, FUSIONS, Fusion, Streams
from zoo.fusion.concat import ConcatFusion
from zoo.fusion.cross_attention import CrossAttentionFusion
from zoo.fusion.early import EarlyFusion
from zoo.fusion.gated import GatedFusion
from zoo.fusion.late import LateFusion
from zoo.fusion.low_rank import LowRankFusion

__all__ = [
    "FUSED",
    "FUSIONS",
    "ConcatFusion",
    "CrossAttentionFusion",
    "EarlyFusion",
    "Fusion",
    "GatedFusion",
    "LateFusion",
    "LowRankFusion",
    "Streams",
]
