"""Scalarizers and gradient aggregators of torchjd, behind the same lambda table."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import cast

import torch
import torchjd.aggregation
import torchjd.autojac
import torchjd.scalarization
from torch import Tensor, nn
from torchjd.aggregation import Aggregator
from torchjd.scalarization import Scalarizer

from zoo.errors import MissingExtraError, SpecError, unknown_name
from zoo.weighting.base import WEIGHTINGS, Lambdas, Weighting

_WHOLE = ("UW", "IMTLL")
"""Scalarizers that learn one value a loss, and so cannot leave a loss out."""
_REFUSED = {
    "DWA": "its epochs must be stepped by hand and it needs every loss in every batch; use DWAWeighting",
    "FAMO": "it needs the losses of the batch again after the step; use DWAWeighting or UncertaintyWeighting",
}
_PARTIAL = "Mean, Sum, Random, GeometricMean, STCH, Constant, COSMOS, PBI"


def _class(library: ModuleType, base: type, family: str, name: str) -> type:
    known = [n for n in library.__all__ if isinstance(getattr(library, n), type)]
    known = [
        n for n in known if issubclass(getattr(library, n), base) and not inspect.isabstract(getattr(library, n))
    ]
    known = [n for n in known if not n.startswith(("Weighted", "Gramian"))]
    if name not in known:
        raise unknown_name(family, name, known)
    cls: type = getattr(library, name)
    return cls


def _needed(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _make(cls: type, path: str) -> nn.Module:
    """Construct a torchjd class that takes no arguments, with our errors."""
    needed = _needed(cls)
    if needed:
        raise SpecError(
            f"{cls.__name__} has no default for {needed}; instead of its name give "
            f"class_path: {path}.{cls.__name__} with init_args"
        )
    try:
        made: nn.Module = cls()
    except ImportError as error:
        raise MissingExtraError(f"solver of {cls.__name__} ({error})", "jd") from error
    return made


@WEIGHTINGS.register
class ScalarizerWeighting(Weighting):
    """Reduce the active losses, each times its lambda, with a scalarizer of torchjd.

    Mean, Sum, Random, GeometricMean and STCH see only the active cells. The fixed vectors (``weights``,
    ``reference``) of Constant, COSMOS, PBI and STCH hold one entry a cell with a positive lambda, task by
    task, and are cut to the active ones. UW and IMTLL learn one value a cell and refuse a batch where a cell
    is inactive. DWA and FAMO are refused.

    Args:
        scalarizer: an instance, or the name of a class that needs no argument ("UW" and "IMTLL" are sized here).
        lambdas: base multipliers; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
    """

    last_losses: Tensor
    last_active: Tensor

    def __init__(
        self, *, scalarizer: str | Scalarizer = "Mean", lambdas: Lambdas | None = None, default: float = 1.0
    ) -> None:
        super().__init__(lambdas=lambdas, default=default)
        name = scalarizer if isinstance(scalarizer, str) else type(scalarizer).__name__
        if isinstance(scalarizer, str):
            cls = _class(torchjd.scalarization, Scalarizer, "scalarizer", scalarizer)
        if name in _REFUSED:
            raise SpecError(f"the scalarizer {name} cannot be used here: {_REFUSED[name]}")
        self.name = name
        self.scalarizer: nn.Module | None = None
        if not isinstance(scalarizer, str):
            self.scalarizer = scalarizer
        elif name not in _WHOLE:
            self.scalarizer = _make(cls, "torchjd.scalarization")

    def bind(self, tasks: Sequence[str], streams: Sequence[str], cells: Mapping[tuple[str, str], bool]) -> None:
        """Make the table, and check that vectors of the scalarizer have one entry a cell.

        Raises:
            SpecError: a vector has another size.
        """
        super().bind(tasks, streams, cells)
        self.register_buffer("last_losses", torch.zeros_like(self.lambdas))
        self.register_buffer("last_active", torch.zeros_like(self.exists))
        count = int((self.lambdas > 0).sum())
        if self.scalarizer is None:
            self.scalarizer = getattr(torchjd.scalarization, self.name)(count)
        for label in ("weights", "reference", "log_var", "log_scale"):
            vector = getattr(self.scalarizer, label, None)
            if isinstance(vector, Tensor) and tuple(vector.shape) != (count,):
                raise SpecError(
                    f"{self.name}: {label} has shape {tuple(vector.shape)}, but there are {count} cells with a "
                    "positive lambda"
                )

    def _reduce(self, values: Tensor, chosen: Tensor) -> Tensor:
        """Scalarize the values of the ``chosen`` ones (K,) bool of all K cells."""
        assert self.scalarizer is not None
        if self.name in _WHOLE and not bool(chosen.all()):
            raise SpecError(
                f"the scalarizer {self.name} needs every loss in every batch; {int(chosen.sum())} of {len(chosen)} "
                f"are here. Use UncertaintyWeighting, or one that takes missing tasks: {_PARTIAL}"
            )
        held = {k: getattr(self.scalarizer, k, None) for k in ("weights", "reference")}
        vectors = {k: v for k, v in held.items() if isinstance(v, Tensor)}
        try:
            for label, vector in vectors.items():
                setattr(self.scalarizer, label, vector.to(values.device)[chosen])
            result: Tensor = self.scalarizer(values)
        finally:
            for label, vector in vectors.items():
                setattr(self.scalarizer, label, vector)
        return result

    def total(self, losses: Tensor, active: Tensor) -> Tensor:
        """Scalarize lambda * loss over the active cells of (T, S)."""
        if self.training:
            self.last_losses.copy_(losses.detach())
            self.last_active.copy_(active)
        if not bool(active.any()):
            return losses.sum()
        return self._reduce((self.lambdas * losses)[active], active[self.lambdas > 0])

    def multipliers(self) -> Tensor:
        """Effective weights (T, S): derivatives of the result by the losses of the last training batch.

        They are 0 where that batch had no rows; for Random they are another draw. Before training: lambda.
        """
        active = self.last_active
        if not bool(active.any()):
            return self.lambdas
        with torch.enable_grad(), torch.random.fork_rng():
            losses = self.last_losses[active].clone().requires_grad_()
            result = self._reduce(self.lambdas[active] * losses, active[self.lambdas > 0])
            (slope,) = torch.autograd.grad(result, losses)
        return torch.zeros_like(self.lambdas).masked_scatter(active, slope)


@WEIGHTINGS.register
class AggregatorWeighting(Weighting):
    """Aggregate the gradients of the tasks, instead of adding their losses, with an aggregator of torchjd.

    Opt-in, as it costs about one backward pass and one gradient of the shared parameters a task. The module
    optimises manually: it calls ``aggregate_backward(objectives(losses, active), ...)`` in place of
    ``backward``. Called as other weightings are, it gives the plain sum of lambda * loss, for logging.

    Args:
        aggregator: an instance, or the name of a class that needs no argument. PCGrad, MGDA, AlignedMTL,
            IMTLG and ConFIG work as installed; UPGrad, DualProj, CAGrad and NashMTL need torchjd's solvers.
        chunk: how many objectives are differentiated at once by torch.vmap, which recurrent layers on CUDA
            do not support; 1 goes one by one.
        lambdas: base multipliers of the losses before their gradients; 0 switches a cell off.
        default: the multiplier of cells that ``lambdas`` does not name.
    """

    manual_backward_needed = True

    def __init__(
        self,
        *,
        aggregator: str | Aggregator = "PCGrad",
        chunk: int = 1,
        lambdas: Lambdas | None = None,
        default: float = 1.0,
    ) -> None:
        super().__init__(lambdas=lambdas, default=default)
        if chunk < 1:
            raise SpecError(f"AggregatorWeighting: chunk must be at least 1, got {chunk}")
        if isinstance(aggregator, str):
            cls = _class(torchjd.aggregation, Aggregator, "aggregator", aggregator)
            self.aggregator = cast(Aggregator, _make(cls, "torchjd.aggregation"))
        else:
            self.aggregator = aggregator
        self.chunk = chunk

    def objectives(self, losses: Tensor, active: Tensor) -> list[Tensor]:
        """Make one scalar a task with active cells: its sum of lambda * loss over streams, of (T, S) tables."""
        active = self.usable(losses, active)
        sums = (self.lambdas * torch.where(active, losses, 0.0)).sum(1)
        return [sums[i] for i in active.any(1).nonzero().squeeze(1).tolist()]

    def aggregate_backward(
        self, losses: Sequence[Tensor], shared: Sequence[nn.Parameter], own: Sequence[nn.Parameter] = ()
    ) -> Tensor | None:
        """Add aggregated gradients to ``.grad`` of ``shared``, and plain gradients of the sum to that of ``own``.

        Args:
            losses: one scalar an objective, as ``objectives`` gives; with none nothing happens.
            shared: parameters whose gradients conflict. One that no loss reaches gets a gradient of zero.
                Passing all parameters is right, only dearer: the Jacobian holds len(losses) rows of them.
            own: parameters of single tasks, such as heads.

        Returns:
            The (len(losses),) weights that the aggregator gave to the gradients, None where it has none.

        Raises:
            SpecError: a parameter is in both lists.
        """
        shared = [p for p in shared if p.requires_grad]
        own = [p for p in own if p.requires_grad]
        twice = {id(p) for p in shared} & {id(p) for p in own}
        if twice:
            raise SpecError(f"aggregate_backward: {len(twice)} parameters are both shared and a task's own")
        losses = [x for x in losses if x.requires_grad]
        if not losses:
            return None
        if own:
            torch.autograd.backward(torch.stack(list(losses)).sum(), inputs=own, retain_graph=bool(shared))
        if not shared:
            return None
        torchjd.autojac.backward(losses, inputs=shared, parallel_chunk_size=self.chunk)
        # The stubs say that a plain Aggregator gives None; a weighted one, which is one too, gives weights.
        return cast(Tensor | None, torchjd.autojac.jac_to_grad(shared, self.aggregator))

    def cost_note(self, num_tasks: int) -> str:
        """Say what a step costs.

        >>> AggregatorWeighting(aggregator="MGDA").cost_note(3)
        'MGDA: expect about 3 backward passes a step, and memory for 3 gradients of the shared parameters'
        """
        name = type(self.aggregator).__name__
        return (
            f"{name}: expect about {num_tasks} backward passes a step, and memory for {num_tasks} gradients "
            "of the shared parameters"
        )
