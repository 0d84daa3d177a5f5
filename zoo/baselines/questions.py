"""Visual question answering without looking at both: the question alone, and the image alone.

What they score is what a model must beat to have combined the two (Agrawal et al., Don't just assume; look and
answer, CVPR 2018).
"""

from __future__ import annotations

from zoo.baselines.base import BASELINES, HasKind
from zoo.baselines.images import PixelBaseline
from zoo.baselines.text import MiniLMBaseline, TfidfBaseline
from zoo.contract import TaskSpec


@BASELINES.register
class QuestionBaseline(TfidfBaseline):
    """The question alone: TF-IDF and logistic regression over the answers."""

    task_kinds = ("vqa",)
    citation = "Antol et al., VQA: Visual question answering, ICCV 2015 (its language-only baseline)"

    @classmethod
    def fits(cls, task: TaskSpec, modality: HasKind) -> bool:
        """Whether ``modality`` is the question of ``task``."""
        return super().fits(task, modality) and modality.name == task.reads


@BASELINES.register
class EmbeddedQuestionBaseline(MiniLMBaseline):
    """The question alone: a frozen sentence embedding and logistic regression over the answers."""

    task_kinds = ("vqa",)

    @classmethod
    def fits(cls, task: TaskSpec, modality: HasKind) -> bool:
        """Whether ``modality`` is the question of ``task``."""
        return super().fits(task, modality) and modality.name == task.reads


@BASELINES.register
class PictureBaseline(PixelBaseline):
    """The image alone: PCA of its pixels and logistic regression over the answers."""

    task_kinds = ("vqa",)
    citation = "Antol et al., VQA: Visual question answering, ICCV 2015 (its image-only baseline)"
