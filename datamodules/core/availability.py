"""Which samples have which modalities and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass
class Availability:
    """Which modalities and labels each joined sample has.

    Attributes:
        present: modality -> (N,) whether the sample has it.
        labelled: task -> (N,) whether the sample has a label that one of its modalities may inform.
        skipped: reason -> samples that could not be scanned.
    """

    present: Mapping[str, Mask]
    labelled: Mapping[str, Mask]
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> Mask:
        """(N,) samples with a modality and a label."""
        present: Mask = np.logical_or.reduce(list(self.present.values()))
        labelled: Mask = np.logical_or.reduce(list(self.labelled.values()))
        return present & labelled

    def lacking(self) -> dict[str, int]:
        """What samples that are not kept lack -> how many there are, of those that have been scanned."""
        present: Mask = np.logical_or.reduce(list(self.present.values()))
        bare = int((~present).sum()) - sum(self.skipped.values())
        unlabelled = int((present & ~self.kept).sum())
        found = {"no modality that is read": bare, "no label that a modality they have may inform": unlabelled}
        return {reason: count for reason, count in found.items() if count > 0}
