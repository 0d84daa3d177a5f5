"""Options by their own names, for tests that pass on whatever they are given."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from datamodules.core.options import LoadingOptions, ProcessingOptions, SamplingOptions, SplitOptions
from zoo.models.multitask.options import HeadOptions, OptimisationOptions, TrainingOptions

DATA = {
    "split": SplitOptions,
    "sampling": SamplingOptions,
    "loading": LoadingOptions,
    "processing": ProcessingOptions,
}
MODEL = {"heads": HeadOptions, "optimisation": OptimisationOptions, "training": TrainingOptions}


def grouped(**options: Any) -> dict[str, Any]:
    """Put options of data modules and modules into the dataclasses that have them; all others stay as they are."""
    found: dict[str, Any] = {}
    for group, cls in {**DATA, **MODEL}.items():
        mine = {f.name: options.pop(f.name) for f in fields(cls) if f.name in options}
        if mine:
            found[group] = cls(**mine)
    return {**found, **options}


def grouped_for(cls: Any, **options: Any) -> dict[str, Any]:
    """Put options into the groups of a constructor that have them; those that it takes by itself stay as they are."""
    hints = get_type_hints(cls.__init__)
    found = {name: value for name, value in options.items() if name in hints}
    for group, hint in hints.items():
        if is_dataclass(hint):
            mine = {f.name: options[f.name] for f in fields(hint) if f.name in options and f.name not in hints}
            if mine:
                found[group] = hint(**mine)
    unknown = set(options) - set(hints) - {f.name for h in hints.values() if is_dataclass(h) for f in fields(h)}
    assert not unknown, f"{cls.__name__} has no option {sorted(unknown)}"
    return found
