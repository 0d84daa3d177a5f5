"""Callbacks look at results; they never change training."""

from zoo.callbacks.few_shot import FewShotCallback
from zoo.callbacks.ood import OODCallback
from zoo.callbacks.report import ReportCallback
from zoo.callbacks.resume import ResumeCallback
from zoo.callbacks.robustness import RobustnessCallback

__all__ = [
    "FewShotCallback",
    "OODCallback",
    "ReportCallback",
    "ResumeCallback",
    "RobustnessCallback",
]
