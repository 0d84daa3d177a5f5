"""Random transforms of training batches, by modality, from the libraries that have them.

The modules come from torchvision (images), braindecode (EEG), or are your own. They see the packed rows of a
modality, (N, ...), where the batch is trained on, and are given a random state that follows from numbers
alone, so that a resumed run draws what an unbroken one draws.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.contract import MODALITIES, Batch, ModalitySpec
from zoo.errors import SpecError, unknown_name

BATCHED = ("CenterCrop", "GaussianNoise", "Grayscale", "Identity", "Normalize", "RGB")
"""Classes of torchvision.transforms.v2 that are called on all rows at once: they draw nothing, or for each pixel.

All others draw one set of parameters a call, and are called row by row.
"""


class BatchTransforms:
    """Apply lists of transforms to the inputs of a batch.

    How a module is called depends on where its class comes from:

    torchvision.transforms: for images only, row by row, so that each row gets a draw of its own; see BATCHED.
    braindecode: for signals only, on all rows at once, since it draws for each row. Its generators are
        replaced by seeded ones, so that its argument ``random_state`` has no effect.
    any other: row by row, or on all rows at once if it has an attribute ``batched`` that is true.

    Images, which are in [-1, 1] in a batch, are mapped to [0, 1] before the first transform and back behind the
    last, since colour transforms and fill values mean that range.

    Args:
        transforms: modality name or kind -> modules, applied in order; a name goes before its kind.
        specs: the modalities of the batches.
        known: names of further modalities, of which no batch has rows.

    Raises:
        UnknownNameError: a key is neither a modality nor a kind.
        SpecError: a module does not fit its modality: rows of codes (text, dna, protein, tables with categories)
            take no transform.
    """

    def __init__(
        self,
        transforms: Mapping[str, Sequence[nn.Module]],
        specs: Sequence[ModalitySpec],
        known: Iterable[str] = (),
    ) -> None:
        names = {*known, *(s.name for s in specs)}
        for key in transforms:
            if key not in names and key not in MODALITIES:
                raise unknown_name("modality or kind under data.processing.transforms", key, {*names, *MODALITIES})
        self.specs: dict[str, ModalitySpec] = {}
        self.transforms: dict[str, list[nn.Module]] = {}
        for spec in specs:
            chosen = transforms[spec.name] if spec.name in transforms else transforms.get(spec.kind, ())
            if isinstance(chosen, nn.Module) or not all(isinstance(m, nn.Module) for m in chosen):
                raise SpecError(
                    f"data.processing.transforms['{spec.name}'] must be a list of torch modules, got {chosen!r}"
                )
            for module in chosen:
                _check_fits(spec, module)
            if chosen:
                self.specs[spec.name], self.transforms[spec.name] = spec, list(chosen)

    @torch.no_grad()
    def __call__(self, batch: Batch, draw: Sequence[int]) -> Batch:
        """Return the batch with transformed inputs; modalities without transforms or without rows stay as they are.

        Args:
            batch: packed rows; its tensors are left as they are.
            draw: numbers >= 0, such as (seed, epoch, step, rank). What is drawn is a function of them, of the
                modality and of the place in its list. The global random states of torch (CPU, and CUDA where the
                batch is there), numpy and Python are as before when this returns.

        Raises:
            SpecError: a transform failed, or changed the shape, the type or the labels; names it and the modality.
        """
        inputs = dict(batch.inputs)
        for name, modules in self.transforms.items():
            if name not in inputs or not len(inputs[name]):
                continue
            image = MODALITIES.get(self.specs[name].kind).pixels
            given = inputs[name]
            rows = given.to(torch.float32, copy=True)  # some modules can work in place
            rows = rows * 0.5 + 0.5 if image else rows
            for place, module in enumerate(modules):
                numbers = [*draw, zlib.crc32(name.encode()), place]
                with _seeded(numbers, rows.device):
                    rows = _apply(name, module, rows, numbers)
            inputs[name] = ((rows - 0.5) / 0.5 if image else rows).to(given.dtype)
        return replace(batch, inputs=inputs)


def _library(module: nn.Module) -> str:
    """The package of transforms that the class, or a class it is made from, belongs to; "" for none of any kind."""
    known = {package for kind in MODALITIES for package in MODALITIES.get(kind).transforms}
    for cls in type(module).__mro__:
        for package in known:
            if cls.__module__ == package or cls.__module__.startswith(f"{package}."):
                return package
    return ""


def _check_fits(spec: ModalitySpec, module: nn.Module) -> None:
    what = (
        f"data.processing.transforms: '{type(module).__name__}' cannot be applied to modality '{spec.name}' of kind"
    )
    if spec.is_integer:
        raise SpecError(f"{what} '{spec.kind}': its rows are codes; only measurements can be transformed")
    if any(spec.cardinalities):
        raise SpecError(f"{what} '{spec.kind}': some of its features are codes of categories")
    library = _library(module)
    own = MODALITIES.get(spec.kind).transforms
    if library and library not in own:
        fit = ", ".join(sorted(k for k in MODALITIES if library in MODALITIES.get(k).transforms))
        raise SpecError(
            f"{what} '{spec.kind}': {library} is for kind '{fit}'; take a torch module of your own"
            + "".join(f", or one of {package}" for package in own)
        )


def _apply(name: str, module: nn.Module, rows: Tensor, numbers: Sequence[int]) -> Tensor:
    """Apply one module to (N, ...) rows, and check what it returns."""
    what = f"data.processing.transforms['{name}']: '{type(module).__name__}'"
    module.to(rows.device)
    _reseed(module, numbers)
    codes = torch.arange(len(rows), device=rows.device)  # each row is a class of its own: none may be mixed
    labels: Any = codes
    try:
        if _library(module).startswith("braindecode"):
            made, labels = module(rows, codes)
            pairs = [(made, rows)]
        elif _is_batched(module):
            pairs = [(module(rows), rows)]
        else:
            pairs = [(module(row), row) for row in rows]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # what libraries raise on values that they cannot take has no common base
        raise SpecError(
            f"{what} failed on {len(rows)} float rows of shape {tuple(rows.shape[1:])}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(labels, Tensor) or not torch.equal(labels, codes):
        raise SpecError(f"{what} changes or mixes labels; only transforms that leave them alone can be used here")
    for one, given in pairs:
        if not isinstance(one, Tensor) or one.shape != given.shape or one.dtype != given.dtype:
            got = f"{tuple(one.shape)} {one.dtype}" if isinstance(one, Tensor) else type(one).__name__
            raise SpecError(f"{what} must keep shape and type, {tuple(given.shape)} {given.dtype}, but gave {got}")
    return pairs[0][0] if pairs[0][1] is rows else torch.stack([one for one, _ in pairs])


def _is_batched(module: nn.Module) -> bool:
    if type(module).__module__.startswith("torchvision.transforms.v2"):
        return type(module).__name__ in BATCHED
    return bool(getattr(module, "batched", False))


@contextmanager
def _seeded(numbers: Sequence[int], device: torch.device) -> Iterator[None]:
    """Seed the global random states by ``numbers``, and put back at the end what they were."""
    seed, other = (int(s) for s in np.random.SeedSequence(list(numbers)).generate_state(2))
    legacy, plain = np.random.get_state(), random.getstate()
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device there is
            if cuda:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            np.random.seed(other)
            random.seed(other)
            yield
    finally:
        np.random.set_state(legacy)
        random.setstate(plain)


def _reseed(module: Any, numbers: Sequence[int]) -> None:
    """Replace the generators that braindecode's transforms hold, in containers too."""
    listed = [m for m in getattr(module, "transforms", None) or () if isinstance(m, nn.Module)]  # may be a plain list
    for place, child in enumerate([*module.children(), *listed]):
        _reseed(child, [*numbers, place])
    if isinstance(getattr(module, "rng", None), np.random.RandomState):
        module.rng = np.random.RandomState(np.random.SeedSequence(list(numbers)).generate_state(4))
