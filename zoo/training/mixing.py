"""Mixup and CutMix of a batch: images and labels only, or images alone; every other modality keeps its own row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.contract import MODALITIES, Batch, ModalitySpec, TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.tasks.base import task_kind


class ImageMixing:
    """Mix the images of a training batch pairwise, by timm.data.mixup.Mixup, and the labels with them.

    Mixup (Zhang et al., ICLR 2018) gives lam a + (1 - lam) b; CutMix (Yun et al., ICCV 2019) puts a box of b into a,
    and lam is the share of the area that a keeps. Labels are mixed by the same lam; a task that reads several mixed
    modalities takes the mean of theirs. A row is mixed only with one that has the same images and carries labels of
    the same tasks; with an odd number of such rows the last stays as it is (timm needs an even one). Rows without a
    label of a task that reads a mixed modality stay as they are.

    The draws follow from torch's CPU generator, of which each call takes one number; NumPy's global state is as it
    was before when a call returns.

    Args:
        mixup_alpha: lam of Mixup is drawn from Beta(mixup_alpha, mixup_alpha); 0 for no Mixup.
        cutmix_alpha: the same for CutMix; 0 for no CutMix.
        probability: that a batch, row or pair is mixed at all.
        switch_probability: that CutMix is taken rather than Mixup, where both are on. At 0 CutMix never fires.
        mode: one draw for all rows that can be mixed with each other ("batch"), for each row ("elem") or for the two
            rows of each pair ("pair").
        mix_labels: mix labels too. Without it images alone are interpolated, any with any other of its modality, and
            labels stay as they are (a regulariser: the paper's EMP recipe has mode "elem", probability .3).
        modalities: names of the images to mix; None takes all of kind image.
        label_smoothing: share of each label given to all classes evenly (classification), or drawn to one half
            (multilabel); applied to every labelled row, mixed or not. Only with ``mix_labels``.

    Attributes:
        fired: images that went through "mixup", "cutmix" or "none" so far.

    Raises:
        SpecError: a number out of range.
    """

    def __init__(
        self,
        *,
        mixup_alpha: float = 0.8,
        cutmix_alpha: float = 1.0,
        probability: float = 1.0,
        switch_probability: float = 0.5,
        mode: Literal["batch", "elem", "pair"] = "batch",
        mix_labels: bool = True,
        modalities: Sequence[str] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        if min(mixup_alpha, cutmix_alpha) < 0 or max(mixup_alpha, cutmix_alpha) == 0:
            raise SpecError(
                f"ImageMixing: mixup_alpha={mixup_alpha}, cutmix_alpha={cutmix_alpha}: both must be >= 0 and one > 0"
            )
        for name, value in (("probability", probability), ("switch_probability", switch_probability)):
            if not 0 <= value <= 1:
                raise SpecError(f"ImageMixing: {name} must be from 0 to 1, got {value}")
        if not 0 <= label_smoothing < 1 or (label_smoothing and not mix_labels):
            raise SpecError(
                f"ImageMixing: label_smoothing must be 0 or more and below 1, and 0 where mix_labels is false, "
                f"got {label_smoothing}"
            )
        if mode not in ("batch", "elem", "pair"):
            raise SpecError(f"ImageMixing: mode {mode!r} is unknown; modes: batch, elem, pair")
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.probability, self.switch_probability = probability, switch_probability
        self.mode, self.mix_labels, self.label_smoothing = mode, mix_labels, label_smoothing
        self.modalities = list(modalities) if modalities is not None else None
        self.fired: Counter[str] = Counter()

    def bind(
        self, tasks: Mapping[str, TaskSpec], modalities: Mapping[str, ModalitySpec]
    ) -> tuple[list[str], list[str]]:
        """Return the names of the modalities that are mixed, and of the tasks whose labels are.

        Raises:
            UnknownNameError, SpecError: no such modality, or no image; or a task that reads a mixed image has labels
                that cannot be mixed.
        """
        for name in self.modalities or []:
            if name not in modalities:
                raise unknown_name("modality under ImageMixing.modalities", name, modalities)
            if not MODALITIES.get(modalities[name].kind).pixels:
                raise SpecError(f"ImageMixing mixes images, but '{name}' is of kind '{modalities[name].kind}'")
        images = [m for m, spec in modalities.items() if MODALITIES.get(spec.kind).pixels]
        mixed = images if self.modalities is None else self.modalities
        if not mixed:
            raise SpecError(f"ImageMixing: none of the modalities {tuple(modalities)} is an image")
        if not self.mix_labels:
            return mixed, []
        labels = [t for t, spec in tasks.items() if any(spec.uses(m) for m in mixed)]
        for task in labels:
            if not task_kind(tasks[task]).mixable:
                raise SpecError(
                    f"ImageMixing: labels of task '{task}' of kind '{tasks[task].kind}' cannot be mixed, as those of "
                    "classification and multilabel can. Set mix_labels: false, or name under modalities only images "
                    "that it does not read"
                )
        return mixed, labels

    def __call__(self, batch: Batch, tasks: Mapping[str, TaskSpec], modalities: Mapping[str, ModalitySpec]) -> Batch:
        """Return a new batch with mixed images and labels; the given one is left as it is.

        With ``mix_labels`` every target of a classification task that reads a mixed modality comes back as
        (N_t, K) float32 shares of classes that sum to 1. A label of multilabel that is unknown in one of two mixed
        rows is unknown in the mix.
        """
        mixed, labels = self.bind(tasks, modalities)
        mixed, labels = [m for m in mixed if m in batch.inputs], [t for t in labels if t in batch.targets]
        inputs, targets = dict(batch.inputs), dict(batch.targets)
        for name in mixed:
            inputs[name] = inputs[name].clone()
        for task in labels:
            targets[task] = task_kind(tasks[task]).soft_target(targets[task], self.label_smoothing)
        seed = int(torch.randint(2**31, ()))
        for number, (names, rows) in enumerate(self._groups(batch, mixed, labels, tasks)):
            kept = len(rows) // 2 * 2
            self.fired["none"] += (len(rows) - kept) * len(names)
            shares = {}
            for name in names if kept else []:
                place = _places(batch.present[name], rows[:kept])
                inputs[name][place], shares[name] = self._mix(inputs[name][place], [seed, number])
            for task in labels:
                used = [s for m, s in shares.items() if tasks[task].uses(m)]
                if used and bool(batch.observed[task][rows[0]]):
                    place = _places(batch.observed[task], rows[:kept])
                    shares_read = torch.stack(used).mean(0)
                    targets[task][place] = task_kind(tasks[task]).blend(shares_read, targets[task][place])
        return replace(batch, inputs=inputs, targets=targets)

    def _groups(
        self, batch: Batch, mixed: Sequence[str], labels: Sequence[str], tasks: Mapping[str, TaskSpec]
    ) -> list[tuple[list[str], Tensor]]:
        """Modalities, and rows (n,) that may be mixed with each other in them."""
        if not self.mix_labels:
            return [([m], batch.present[m].nonzero().squeeze(1)) for m in mixed]
        columns = [batch.present[m] for m in mixed] + [batch.observed[t] for t in labels]
        found: dict[tuple[bool, ...], list[int]] = {}
        for row, signature in enumerate(torch.stack(columns, 1).tolist() if columns else []):
            found.setdefault(tuple(signature), []).append(row)
        groups = []
        for signature, rows in found.items():
            names = [m for m, there in zip(mixed, signature[: len(mixed)], strict=True) if there]
            known = [t for t, there in zip(labels, signature[len(mixed) :], strict=True) if there]
            names_read = [m for m in names if any(tasks[t].uses(m) for t in known)]
            self.fired["none"] += len(rows) * (len(names) - len(names_read))
            if names_read:
                groups.append((names_read, torch.tensor(rows, device=columns[0].device)))
        return groups

    def _mix(self, images: Tensor, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mix (n, C, H, W), n even; also return the shares (n, n): row i is made of shares[i, j] of row j."""
        from timm.data import mixup as library

        make: Any = library.Mixup  # not typed
        mixup = make(
            mixup_alpha=self.mixup_alpha, cutmix_alpha=self.cutmix_alpha, prob=self.probability,
            switch_prob=self.switch_probability, mode=self.mode, label_smoothing=0.0, num_classes=len(images),
        )  # fmt: skip
        each = torch.arange(len(images), device=images.device)  # a class of its own for each row
        state = np.random.get_state()
        np.random.seed(np.random.SeedSequence(list(numbers)).generate_state(4))
        try:
            made, shares = mixup(images.clone(), each)
        finally:
            np.random.set_state(state)
        none = shares.diagonal() == 1
        box = ((made == images) | (made == images.flip(0))).flatten(1).all(1) & ~none  # all pixels are of a or of b
        self.fired["none"] += int(none.sum())
        self.fired["cutmix"] += int(box.sum())
        self.fired["mixup"] += int((~none & ~box).sum())
        return made, shares.to(torch.float32)


def _places(mask: Tensor, rows: Tensor) -> Tensor:
    """Where the batch rows (n,), all of which the (B,) mask marks, lie among the packed ones."""
    return (mask.long().cumsum(0) - 1)[rows]
