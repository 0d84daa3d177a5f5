"""Callbacks look at results; they never change training."""

from zoo.callbacks.predictions import PredictionWriter
from zoo.callbacks.report import ReportCallback
from zoo.callbacks.resume import ResumeCallback

__all__ = ["PredictionWriter", "ReportCallback", "ResumeCallback"]
