"""What is asked of a model that makes modalities of rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from zoo.errors import SpecError, unknown_name
from zoo.generation.diffusion.process import SamplingOptions


@dataclass(frozen=True)
class GenerationRequest:
    """What is to be made of every row.

    Attributes:
        targets: modalities to make, together.
        given: modalities that may be told; None for all but the targets.
        draws: how often each is made.
        seed: of all random numbers.
        sampling: sampler, steps and guidance.
        joint: whether what is made together may look at each other while it is made.
    """

    targets: tuple[str, ...]
    given: tuple[str, ...] | None = None
    draws: int = 1
    seed: int = 0
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    joint: bool = True

    def told(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Those of some modalities that may be told.

        >>> GenerationRequest(("ct",)).told(["ct", "mri"]), GenerationRequest(("ct",), ("eeg",)).told(["ct", "mri"])
        (('mri',), ())
        """
        may = modalities if self.given is None else self.given
        return tuple(m for m in modalities if m in may and m not in self.targets)

    def check(self, modalities: Collection[str]) -> None:
        """Refuse what a model cannot make.

        Args:
            modalities: those of the model.

        Raises:
            UnknownNameError: a modality is not one of them.
            SpecError: nothing is to be made, or one is both given and made.
        """
        for name in (*self.targets, *(self.given or ())):
            if name not in modalities:
                raise unknown_name("modality", name, modalities)
        both = sorted(set(self.targets) & set(self.given or ()))
        if not self.targets or both or self.draws < 1:
            raise SpecError(
                "one modality at least is made, from others, once or more; got targets "
                f"{list(self.targets)}, given {list(self.given or ())}, draws {self.draws}"
                + (f"; '{both[0]}' is in both, and cannot be given and made at once" if both else "")
            )
