"""What several sources say of one task, joined, and the codec that encodes its labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from datamodules.core.source import Source
from zoo.contract import TASKS
from zoo.errors import SpecError, unknown_name
from zoo.raw import RawTask
from zoo.task import TargetCodec


def merge_tasks(tasks: Sequence[tuple[RawTask, Sequence[str]]]) -> RawTask:
    """Join what several sources say of one task.

    Args:
        tasks: of each source, its RawTask and the names of the source's modalities.

    Returns:
        One RawTask: classes joined in order, modalities joined.

    Raises:
        SpecError: two sources disagree on the kind, on what is read, or on what the kind wants to be the same.
    """
    first = tasks[0][0]
    classes = list(first.classes)
    modalities: list[str] = []
    for task, own in tasks:
        if (task.kind, task.reads) != (first.kind, first.reads):
            raise SpecError(
                f"task '{task.name}' is '{task.kind}' in one source and '{first.kind}' in another; rename one of them"
            )
        TASKS.get(task.kind).join(first, task)
        classes += [c for c in task.classes if c not in classes]
        modalities += [m for m in (task.modalities or own) if m not in modalities]
    return RawTask(first.name, first.kind, tuple(classes), tuple(modalities), first.reads, first.unit)


def choose_codecs(
    sources: Sequence[Source], tasks: Mapping[str, RawTask], given: Mapping[str, TargetCodec]
) -> dict[str, TargetCodec]:
    """A codec of its own for each task: the one given to its name, the one given to its kind, or its kind's.

    Args:
        sources: that are open.
        tasks: that were chosen.
        given: task name or kind -> codec with the options that are wanted.

    Returns:
        Task name -> codec, bound to the task and not yet fitted.

    Raises:
        UnknownNameError: a key that is neither.
        SpecError: a codec of another kind, or a task whose labels it cannot encode.
    """
    known = {t.name for s in sources for t in s.card.tasks}
    for key in given:
        if key not in known and key not in TASKS:
            raise unknown_name(
                "task or kind under data.processing.codecs", key, {*known, *(t.kind for t in tasks.values())}
            )
    chosen = {}
    for name, task in tasks.items():
        own = TASKS.get(task.kind).codec
        taken = given.get(name) or given.get(task.kind)
        if taken is not None and not isinstance(taken, own):
            raise SpecError(
                f"data.processing.codecs: {type(taken).__name__} does not fit task '{name}' of kind '{task.kind}'; "
                f"take {own.__name__} or a class derived from it"
            )
        codec = copy.deepcopy(taken) if taken is not None else own()
        from_simulators = (s.card.simulated for s in sources if any(t.name == name for t in s.card.tasks))
        codec.bind(task, simulated=all(from_simulators))
        chosen[name] = codec
    return chosen
