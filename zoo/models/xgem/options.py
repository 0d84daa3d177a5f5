"""Options of XGeM, in groups: the prompts, the stages of its training, and the alignment of latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zoo.errors import SpecError


@dataclass(frozen=True)
class PromptOptions:
    """What a denoiser is told: the vectors of some of the other modalities.

    Attributes:
        dim: width of the vectors that prompt encoders make.
        pairs: two modalities each, whose vectors are aligned; None for all pairs. A bridge, such as text between two
            views, lists only the pairs with it.
        multi_prompt: whether training tells any subset of the other modalities, or one of them at a time, which is
            what models before XGeM do.
        alpha: weights of the vectors in their sum (the paper leaves them open): "equal"; "dirichlet", drawn anew for
            each row in training and equal afterwards; "learned", one weight for each modality.
    """

    dim: int = 128
    pairs: Sequence[Sequence[str]] | None = None
    multi_prompt: bool = True
    alpha: Literal["equal", "dirichlet", "learned"] = "equal"

    def __post_init__(self) -> None:
        if self.dim < 1 or self.alpha not in ("equal", "dirichlet", "learned"):
            raise SpecError(
                f"prompts: dim is positive and alpha one of equal, dirichlet, learned; got {self.dim}, {self.alpha!r}"
            )


@dataclass(frozen=True)
class StageOptions:
    """How one stage is trained.

    Attributes:
        steps: updates; 0 leaves the stage out.
        batch_size: rows a process in each of them.
        learning_rate: the highest; it rises over ``warmup`` and falls by a cosine.
        weight_decay: on matrices.
        warmup: share of the steps in which the rate rises.
        ema: decay of the averaged weights that the stage ends with; 0 keeps the last ones.
        checkpoint_every: steps between checkpoints, from which a killed stage goes on, and between validations.
    """

    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    ema: float = 0.0
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch_size < 1 or self.checkpoint_every < 1 or self.learning_rate <= 0:
            raise SpecError(
                f"a stage has steps of 0 or more, batch_size and checkpoint_every of 1 or more and a positive "
                f"learning_rate; got {self}"
            )
        if not 0 <= self.ema < 1 or not 0 <= self.warmup < 1:
            raise SpecError(f"ema and warmup of a stage lie in [0, 1), got {self.ema} and {self.warmup}")


@dataclass(frozen=True)
class AlignmentOptions(StageOptions):
    """The last stage: each denoiser learns to attend to the latents that are made beside its own (XGeM, Eq. 4).

    Attributes:
        steps: updates; 0 leaves the stage out.
        batch_size: rows a process in each of them.
        learning_rate: the highest; it rises over ``warmup`` and falls by a cosine.
        weight_decay: on matrices.
        warmup: share of the steps in which the rate rises.
        ema: decay of the averaged weights that the stage ends with; 0 keeps the last ones.
        checkpoint_every: steps between checkpoints, from which a killed stage goes on, and between validations.
        width: of the tokens that latents are projected to.
        contrast: weight of InfoNCE between the projections of two modalities.
        context_source: "other" as the paper says: a denoiser attends to the latents of the others; "self" as the
            published code does: to its own.
    """

    width: int = 64
    contrast: float = 0.1
    context_source: Literal["other", "self"] = "other"


@dataclass(frozen=True)
class XGeMTraining:
    """The stages: prompt encoders, autoencoders, a denoiser for each modality, and their alignment.

    Attributes:
        shared_encoders: groups of modalities, such as two views, that share a prompt encoder.
        shared_autoencoders: groups of modalities that share an autoencoder.
        prompts: the contrastive stage.
        autoencoders: each autoencoder's stage.
        denoisers: each denoiser's stage.
        by_part: options in the place of those of ``autoencoders`` or ``denoisers``, by the name of a stage, such as
            "autoencoder.report" or "denoiser.report".
        alignment: the last stage.
        only: names of the stages to run; None runs all. Those that are left out and are finished are loaded.
        folder: where finished stages are kept, so that runs with equal options take them over; "" for the folder
            "stages" beside the runs'.
    """

    shared_encoders: Sequence[Sequence[str]] | None = None
    shared_autoencoders: Sequence[Sequence[str]] | None = None
    prompts: StageOptions = field(default_factory=lambda: StageOptions(batch_size=64))
    autoencoders: StageOptions = field(default_factory=StageOptions)
    denoisers: StageOptions = field(default_factory=lambda: StageOptions(ema=0.995))
    by_part: Mapping[str, StageOptions] | None = None
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    only: Sequence[str] | None = None
    folder: str = ""
