"""The network of a bundle: its configuration as plain data, and the way back, by names that a registry knows."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

import lightning as L

from zoo.contract import ModalitySpec, TaskSpec
from zoo.errors import DataError, SpecError, zoo_cause
from zoo.models.base import MODELS
from zoo.registry import plugins, registries

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
"""What may be the path of something that Python can import."""
LINKED = ("modalities", "tasks")
"""Arguments of every model that the data give."""


def canonical(path: str) -> str:
    """The full path of a class that a bundle may name.

    Args:
        path: the class's module and name, or its name as YAML takes it, such as ``zoo.ViTEncoder``.

    Raises:
        SpecError: no registry has the class, and it is in no module of the zoo or of a plugin in use.

    >>> canonical("zoo.LateFusion")
    'zoo.fusion.late.LateFusion'
    """
    home, _, name = path.rpartition(".")
    for registry in registries():
        if name in registry:
            cls = registry.get(name)
            full = f"{cls.__module__}.{cls.__qualname__}"
            if path == full or home.partition(".")[0] in ("", "zoo", "datamodules"):
                return full
    held = sys.modules.get(home) if home.partition(".")[0] in ("zoo", *plugins()) else None
    found = getattr(held, name, None)
    if isinstance(found, type) and found.__module__ == home:
        return path
    raise SpecError(
        f"the class '{path}' is in no registry of the zoo and of the plugins in use, and no other class is made; "
        "register it, or name the plugin that has it"
    )


def plain(value: object) -> Any:
    """Turn the arguments of a model into what JSON holds, with full paths of classes.

    Raises:
        SpecError: a value is an object that no configuration describes.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return canonical(value) if isinstance(value, str) and _importable(value) else value
    if isinstance(value, Mapping):
        made = {str(k): plain(v) for k, v in value.items()}
        if "class_path" in made:
            made["class_path"] = canonical(str(value["class_path"]))
        return made
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, type):
        return canonical(f"{value.__module__}.{value.__qualname__}")
    raise SpecError(
        f"the model was made with a {type(value).__name__} that no configuration describes; make it from YAML, with "
        "class_path and init_args"
    )


def _importable(text: str) -> bool:
    """Whether a text may name something that Python can import."""
    return bool(_DOTTED.fullmatch(text)) and find_spec(text.partition(".")[0]) is not None


def check_paths(value: object) -> None:
    """Refuse plain data that name anything but classes that a bundle may name.

    Raises:
        SpecError: a path that ``canonical`` refuses.
    """
    if isinstance(value, Mapping):
        if "class_path" in value and canonical(str(value["class_path"])) != value["class_path"]:
            raise SpecError(f"the bundle names the class '{value['class_path']}' by another path than its own")
        for each in value.values():
            check_paths(each)
    elif isinstance(value, list):
        for each in value:
            check_paths(each)
    elif isinstance(value, str) and _importable(value):
        canonical(value)


def model_config(module: L.LightningModule, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The class and the arguments of a model, as plain data.

    Args:
        module: the model.
        given: ``class_path`` and ``init_args`` of its configuration; None takes what ``save_hyperparameters`` kept.

    Raises:
        SpecError: an argument is an object that no configuration describes.
    """
    arguments = dict((given or {}).get("init_args") or {}) if given is not None else dict(module.hparams)
    kept = {k: v for k, v in arguments.items() if k not in (*LINKED, "_class_path", "_instantiator")}
    cls = type(module)
    return {"class_path": canonical(f"{cls.__module__}.{cls.__qualname__}"), "init_args": plain(kept)}


def build_model(
    config: Mapping[str, Any], modalities: Sequence[ModalitySpec], tasks: Sequence[TaskSpec]
) -> L.LightningModule:
    """Make the model of a configuration, with weights as its constructor makes them.

    Args:
        config: as ``model_config`` returns it.
        modalities: specs of the inputs.
        tasks: specs of the tasks.

    Raises:
        SpecError: a class that no registry has, or arguments that do not fit.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    check_paths(config)
    path = str(config["class_path"])
    cls = MODELS.get(path.rpartition(".")[2])
    if f"{cls.__module__}.{cls.__qualname__}" != path:
        raise SpecError(f"the bundle's model '{path}' is no registered model")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "model", fail_untyped=False)
    arguments = {**config["init_args"], "modalities": list(modalities), "tasks": list(tasks)}
    try:
        made = parser.instantiate_classes(parser.parse_object({"model": arguments}))
    except (ArgumentError, TypeError, ValueError) as error:
        known = zoo_cause(error)
        if known is not None:
            raise known from error
        raise DataError(f"the bundle's model cannot be made: {' '.join(str(error).split())[:300]}") from error
    model: L.LightningModule = made.model
    return model
