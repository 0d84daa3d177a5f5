"""What is taken of what sources and generators offer: modalities, tasks, and a processor for each modality."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.core.source import Source
from datamodules.core.targets import merge_tasks
from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from zoo.errors import SpecError, unknown_name
from zoo.modality import MODALITIES
from zoo.raw import RawModality, RawTask


def choose_modalities(
    sources: Sequence[Source], made: Mapping[str, GeneratedModality], wanted: Sequence[str] | None, kind: str
) -> dict[str, RawModality]:
    """The modalities that sources and generators offer, as far as they are wanted.

    Args:
        sources: that are open.
        made: generated modalities by name.
        wanted: names; None takes all.
        kind: the only one that is taken; "" for any.

    Raises:
        UnknownNameError: a wanted modality, or one that is read to generate, which no source has.
        SpecError: a name that stands for two kinds, or no modality of the kind.
    """
    known: dict[str, RawModality] = {}
    for source in sources:
        for modality in source.card.modalities:
            same = known.setdefault(modality.name, modality)
            if same.kind != modality.kind:
                raise SpecError(
                    f"modality '{modality.name}' is '{modality.kind}' in {source.name} and '{same.kind}' elsewhere"
                )
    for name, one in made.items():
        for read in one.reads:
            if read not in known:
                raise unknown_name(f"modality that data.processing.generated['{name}'] reads", read, known)
        if name in known:
            raise SpecError(
                f"data.processing.generated['{name}'] has the name of a modality of the sources; rename it"
            )
        known[name] = one.raw(name)
    if kind:
        known = {n: m for n, m in known.items() if m.kind == kind}
        if not known:
            raise SpecError(f"no source has a modality of kind '{kind}'; take the data module of another modality")
    for name in wanted or []:
        if name not in known:
            raise unknown_name("modality", name, known)
    return {n: m for n, m in known.items() if wanted is None or n in wanted}


def choose_tasks(
    sources: Sequence[Source],
    made: Mapping[str, GeneratedModality],
    modalities: Mapping[str, RawModality],
    wanted: Sequence[str] | None,
) -> dict[str, RawTask]:
    """The tasks that the modalities can inform, as far as they are wanted.

    Args:
        sources: that are open.
        made: generated modalities by name.
        modalities: that were chosen.
        wanted: names; None takes all that can be learned.

    Raises:
        UnknownNameError: a wanted task that no source labels.
        SpecError: a wanted task that nothing informs, or none at all.
    """
    said: dict[str, list[tuple[RawTask, Sequence[str]]]] = {}
    for source in sources:
        own = [m.name for m in source.card.modalities]
        for task in source.card.tasks:
            said.setdefault(task.name, []).append((task, own))
    for name in wanted or []:
        if name not in said:
            raise unknown_name("task (no source labels it)", name, said)
    merged = {n: _with_generated(merge_tasks(t), made) for n, t in said.items() if wanted is None or n in wanted}
    usable = {}
    for name, task in merged.items():
        informs = tuple(m for m in task.modalities if m in modalities)
        if informs and (not task.reads or task.reads in modalities):
            usable[name] = RawTask(task.name, task.kind, task.classes, informs, task.reads, task.unit)
        elif wanted is not None:
            raise SpecError(
                f"task '{name}' needs one of the modalities {task.modalities}"
                + (f" and always '{task.reads}'" if task.reads else "")
                + f", but only {tuple(modalities)} are kept"
            )
    if not usable:
        raise SpecError(f"no task can be learned from the modalities {tuple(modalities)}")
    return usable


def _with_generated(task: RawTask, made: Mapping[str, GeneratedModality]) -> RawTask:
    """The task, informed by every generated modality that is made of one that informs it."""
    informs = list(task.modalities)
    for name, one in made.items():
        informs += [name] if any(m in informs for m in one.reads) else []
    return replace(task, modalities=tuple(informs))


def choose_processors(
    sources: Sequence[Source],
    made: Mapping[str, GeneratedModality],
    modalities: Mapping[str, RawModality],
    given: Mapping[str, Processor],
) -> dict[str, Processor]:
    """A processor of its own for each modality: the one given to its name, its generator's, its kind's.

    Args:
        sources: that are open.
        made: generated modalities by name.
        modalities: that were chosen.
        given: modality name or kind -> processor.

    Raises:
        UnknownNameError: a key that is neither.
        SpecError: a processor of another kind.
    """
    kinds = {m.kind for m in modalities.values()}
    known = {m.name for s in sources for m in s.card.modalities} | set(made)
    chosen = {}
    for key, processor in given.items():
        if key not in known and key not in MODALITIES:
            raise unknown_name("modality or kind under data.processing.processors", key, {*known, *kinds})
        if key in modalities and processor.kind != modalities[key].kind:
            raise SpecError(
                f"processor '{type(processor).__name__}' takes '{processor.kind}', but modality '{key}' is of "
                f"kind '{modalities[key].kind}'"
            )
    for name, raw in modalities.items():
        own = made[name].processor() if name in made else None
        taken = given.get(name) or own or given.get(raw.kind)
        chosen[name] = copy.deepcopy(taken) if taken is not None else default_processor(raw.kind)
    return chosen


def default_processor(kind: str) -> Processor:
    """Make the processor that modalities of ``kind`` take where a configuration names none.

    Raises:
        UnknownNameError: there is no such kind, or no processor of the name that it gives.

    >>> type(default_processor("signal")).__name__
    'SignalProcessor'
    """
    return PROCESSORS.get(MODALITIES.get(kind).processor)()


def tell_readings(
    sources: Sequence[Source],
    processors: Mapping[str, Processor],
    generated: Mapping[str, GeneratedModality | GeneratedRows],
) -> None:
    """Tell sources how files of images are read, and at which scale: a smaller one where all of them end small.

    Not those that a generator reads: what it makes must not depend on the size that a network is given.

    Args:
        sources: opened sources, or sources that open later.
        processors: modality -> processor; those of images say at which size they end.
        generated: name -> what a generator makes.
    """
    read = {name for made in generated.values() for name in (*made.reads, made.learns_from)}
    for source in sources:
        given = {m.name: processors[m.name].reading(m) for m in source.card.modalities if m.name in processors}
        source.readings = {name: reading for name, reading in given.items() if reading is not None}
        images = [m.name for m in source.card.modalities if MODALITIES.get(m.kind).pixels]
        names = [name for name in images if name in processors]
        sizes = [int(getattr(processors[n], "size", 0)) for n in names]
        whole = any(name in read for name in images)
        source.image_size = max(sizes) if sizes and all(sizes) and not whole else 0
