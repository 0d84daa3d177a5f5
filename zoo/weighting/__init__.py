"""Weightings: the one table lambda[task, stream] of the loss, fixed, learned or adapted."""

from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting
from zoo.weighting.dwa import DWAWeighting
from zoo.weighting.feedback import FeedbackWeighting
from zoo.weighting.fixed import FixedWeighting
from zoo.weighting.jd import AggregatorWeighting, ScalarizerWeighting
from zoo.weighting.uncertainty import UncertaintyWeighting

__all__ = [
    "WEIGHTINGS",
    "AggregatorWeighting",
    "DWAWeighting",
    "FeedbackWeighting",
    "FixedWeighting",
    "Lambdas",
    "ScalarizerWeighting",
    "UncertaintyWeighting",
    "Weighting",
]
