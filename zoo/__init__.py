"""A model zoo for multitask learning over many biomedical modalities at once.

``import zoo`` is cheap: a name such as ``zoo.ViTEncoder`` is looked up when it is first used,
in the contract and then in the registries. No list of names is kept here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_REGISTRIES = {
    "zoo.encoders.base": "ENCODERS",
    "zoo.fusion.base": "FUSIONS",
    "zoo.weighting.base": "WEIGHTINGS",
    "zoo.models.base": "MODELS",
    "zoo.training.losses": "LOSSES",
    "zoo.generation.diffusion.autoencoder": "AUTOENCODERS",
    "zoo.generation.diffusion.denoiser": "DENOISERS",
}
"""Module -> the registry in it whose classes are attributes of ``zoo``."""


def __getattr__(name: str) -> Any:
    if name == "load":
        return import_module("zoo.bundle.load").load
    if name[:1].isupper() or name == "collate":
        contract = import_module("zoo.contract")
        if hasattr(contract, name):
            return getattr(contract, name)
    if name[:1].isupper():
        for home, registry in _REGISTRIES.items():
            found = getattr(import_module(home), registry)
            if name in found:
                return found.get(name)
    raise AttributeError(f"module 'zoo' has no attribute '{name}'")
