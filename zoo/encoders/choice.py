"""Which encoder reads which modality: one of its own, its kind's, or one that several modalities share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

from zoo.contract import MODALITIES, ModalitySpec
from zoo.encoders.base import ENCODERS, Encoder
from zoo.errors import SpecError, unknown_name


def sharing_groups(modalities: Mapping[str, ModalitySpec], shared: Sequence[Sequence[str]]) -> dict[str, str]:
    """Name the group of each modality that shares its encoder with another that is here.

    Args:
        modalities: name -> spec.
        shared: groups of names; names that are not here are passed over.

    Raises:
        SpecError: a group of several kinds or shapes.
    """
    group: dict[str, str] = {}
    for number, listed in enumerate(shared):
        names = [m for m in listed if m in modalities]
        specs = [modalities[m] for m in names]
        if len({(s.kind, s.shape) for s in specs}) > 1:
            raise SpecError(
                f"the modalities {names} cannot share an encoder: kinds and shapes differ: "
                f"{[(s.kind, s.shape) for s in specs]}"
            )
        group.update(dict.fromkeys(names, f"shared-{number}") if len(names) > 1 else {})
    return group


def make_encoders(
    modalities: Mapping[str, ModalitySpec],
    given: Mapping[str, Callable[[ModalitySpec], Encoder]],
    group: Mapping[str, str],
) -> dict[str, Encoder]:
    """Make an encoder for each modality, or for each group that shares one.

    Args:
        modalities: name -> spec.
        given: name or kind of a modality -> what makes its encoder; a name goes before its kind, and a kind that is
            not listed takes its default.
        group: name -> the group that it shares an encoder with; see ``sharing_groups``.

    Returns:
        Name of a modality or of a group -> encoder.

    Raises:
        SpecError: a modality without an encoder.

    Warns:
        UserWarning: what is given for a modality or kind that is not here.
    """
    kinds = {spec.kind for spec in modalities.values()}
    for key in given:
        if key not in modalities and key not in MODALITIES:
            error = unknown_name("modality or kind under model.encoders", key, {*modalities, *kinds})
            warnings.warn(f"{error}; its encoder is not used", stacklevel=3)
    made: dict[str, Encoder] = {}
    for name, spec in modalities.items():
        factory: Callable[[ModalitySpec], Encoder] | None = (
            given.get(name) or given.get(spec.kind) or default_encoder(spec.kind)
        )
        if factory is None:
            raise SpecError(
                f"modality '{name}' of kind '{spec.kind}' has no encoder; add model.encoders.{name} or "
                f"model.encoders.{spec.kind}; encoders: {ENCODERS.names()}; kinds here: {sorted(kinds)}"
            )
        key = group.get(name, name)
        if key not in made:
            made[key] = factory(spec)
    return made


def default_encoder(kind: str) -> type[Encoder]:
    """Return the encoder class that modalities of ``kind`` take where a configuration names none.

    Raises:
        UnknownNameError: there is no such kind, or no encoder of the name that it gives.

    >>> default_encoder("signal").__name__
    'LSTMEncoder'
    """
    return ENCODERS.get(MODALITIES.get(kind).encoder)
