"""Modalities and tasks as a source gives them, before anything is learned of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RawModality:
    """A modality as a source gives it, before a Processor makes tensors of one shape.

    Attributes:
        name: modality name, such as ``"xray"``.
        kind: name of a registered ModalityKind, whose docstring says what the raw values of ``Sample.inputs[name]``
            are.
        unit: physical unit, such as "HU", "uV", "counts".
        sampling_rate: in Hz, for signals.
        features: names of channels, genes or columns, where known.
    """

    name: str
    kind: str
    unit: str = ""
    sampling_rate: float = 0.0
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawTask:
    """A task as a source labels it.

    Attributes:
        name: task name, such as ``"disease"``. Sources that use one name share one task: classes are joined.
        kind: name of a registered TaskKind. The raw values of ``Sample.targets[name]`` are, by kind:
            classification and ordinal: str, one of ``classes`` (ordinal: in increasing order);
            multilabel: dict label -> 0 | 1, only the labels that are known;
            regression: dict target -> float, only the targets that are known;
            structure: numpy float32 (L, 4), x, y, z in angstrom and 1 for resolved residues (else 0);
            token_classification: str of one letter a token or a list of classes, "-" where unknown;
            vqa: str, the normalised answer (the answer vocabulary is fitted on the training split).
        classes: classes, labels or targets that can occur; () for structure and vqa.
        modalities: modalities of this source that may inform the task; () means all of them.
        reads: the modality whose tokens the head reads (structure and token_classification: protein; vqa: question).
        unit: unit of the targets.
    """

    name: str
    kind: str
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reads: str = ""
    unit: str = ""
