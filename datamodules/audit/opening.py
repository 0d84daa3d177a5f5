"""Which sources to check, and how: as published, and as the zoo reads them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamodules.audit.leaks import Own
from datamodules.core.join import join_sources
from datamodules.core.similarity import DUPLICATES, GroupingRule, group_rows, grouping_of
from datamodules.core.source import SOURCES, Source
from datamodules.core.splits import FRACTIONS, assign_splits
from datamodules.io.files import require_file
from zoo.errors import DataError, SpecError

AS_PUBLISHED: dict[str, Any] = {
    "drop_leaks": False,
    "published_split": True,
    "published_val": True,
    "missing_images": "skip",
}
"""Constructor arguments by which a source that has them shows its data as they were published."""


@dataclass(frozen=True)
class Entry:
    """A source to be checked.

    Attributes:
        cls: its class.
        settings: constructor arguments, as YAML has them; others keep their defaults.
        class_path: as a configuration names it; "" builds ``cls`` directly.
    """

    cls: type[Source]
    settings: Mapping[str, Any] = field(default_factory=dict)
    class_path: str = ""

    def make(self, changes: Mapping[str, Any] | None = None) -> Source:
        """Build the source, unopened, with ``changes`` of the arguments that it has."""
        settings = {**self.settings, **self.accepted(changes or {})}
        if not self.class_path:
            return self.cls(**settings)
        return _from_yaml(self.class_path, settings)

    def accepted(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some arguments that the constructor has."""
        known = inspect.signature(self.cls.__init__).parameters
        return {k: v for k, v in changes.items() if k in known}

    def as_published(self) -> tuple[Source, dict[str, Any]]:
        """Build the source so that it lists the data as published; and the arguments that make it so."""
        changes = self.accepted(AS_PUBLISHED)
        return self.make(changes), changes

    def own(self) -> Source:
        """Build the source as it is read for training, but without what is missing."""
        return self.make({"missing_images": "skip"})


def entry_of(name: str) -> Entry:
    """The entry of a registered source, with default arguments.

    Raises:
        UnknownNameError: there is none; with the nearest name.
    """
    return Entry(SOURCES.get(name))


def entries_below(root: Path) -> list[Entry]:
    """Entries of all registered sources whose default folder is below ``root``."""
    found = []
    for name in SOURCES.names():
        cls = SOURCES.get(name)
        source = cls()
        if source.folder and (root / source.folder).exists():
            found.append(Entry(cls))
    return found


@dataclass(frozen=True)
class Config:
    """What a configuration says about data.

    Attributes:
        entries: its sources; root: data.root or ""; seed, fractions, folds and grouping: of the split;
            frames: name or kind of a modality -> the frame that its processor takes.
    """

    entries: list[Entry]
    root: str
    seed: int
    fractions: Sequence[float]
    folds: int = 0
    grouping: str = ""
    frames: Mapping[str, Any] = field(default_factory=dict)


def entries_of_config(path: Path) -> Config:
    """Read the sources of a configuration of ``run.py fit``.

    Raises:
        DataError: the file is missing, is not YAML, or lists no sources.
        SpecError: a source cannot be built from its arguments.
    """
    require_file(path)
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"the configuration is not YAML ({error}); mend it", file=path) from error
    data = said.get("data") if isinstance(said, dict) else None
    settings = data.get("init_args", data) if isinstance(data, dict) else None
    listed = settings.get("sources") if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or not isinstance(listed, list) or not listed:
        raise DataError("the configuration lists no data.init_args.sources; give one that fit takes", file=path)
    entries = [_entry(item, path) for item in listed]
    split = settings.get("split") or {}
    fractions = split.get("fractions") or FRACTIONS
    seed, folds = int(split.get("seed") or 0), int(split.get("cross_validation") or 0)
    grouping = str(split.get("group_by") or "") or (DUPLICATES if split.get("group_duplicates") else "")
    return Config(
        entries,
        str(settings.get("root") or ""),
        seed,
        fractions,
        folds,
        grouping,
        _frames(settings.get("processing")),
    )


def _frames(processing: Any) -> dict[str, Any]:
    """Name or kind of a modality -> the frame that its processor is told to take."""
    found = {}
    processors = processing.get("processors") if isinstance(processing, dict) else None
    for name, told in (processors or {}).items():
        reading = (told.get("init_args") or {}).get("reading") if isinstance(told, dict) else None
        if isinstance(reading, dict) and reading.get("frame") is not None:
            found[str(name)] = reading["frame"]
    return found


def _entry(item: Any, path: Path) -> Entry:
    if isinstance(item, str):
        item = {"class_path": item}
    if not isinstance(item, dict) or not isinstance(item.get("class_path"), str):
        raise DataError(f"expected a source with class_path and init_args, got {item!r}", file=path)
    settings = dict(item.get("init_args") or {})
    source = _from_yaml(item["class_path"], settings)
    return Entry(type(source), settings, item["class_path"])


def _from_yaml(class_path: str, settings: Mapping[str, Any]) -> Source:
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Source, "source")
    try:
        asked = parser.parse_object({"source": {"class_path": class_path, "init_args": dict(settings)}})
        made = parser.instantiate_classes(asked).source
    except ArgumentError as error:
        raise SpecError(f"the source '{class_path}' cannot be built from {dict(settings)}: {error}") from error
    assert isinstance(made, Source)
    return made


def own_splits(
    sources: Sequence[Source],
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    folds: int = 0,
    grouping: str = "",
) -> list[Own]:
    """Split opened sources as a data module does, jointly.

    Args:
        sources: opened sources.
        fractions: shares of train, val and test.
        seed: of the split.
        folds: folds of a cross-validation; 0 for none.
        grouping: "duplicates", or what data.split.group_by takes: such rows are put into one group first.

    Returns:
        For each source, where its rows end.
    """
    join = join_sources(sources)
    rule = GroupingRule(contents=True) if grouping == DUPLICATES else grouping_of(grouping)
    if rule:
        join, _ = group_rows(join, sources, rule)
    splits = assign_splits(join.table, fractions=fractions, seed=seed, folds=folds).tolist()
    groups = join.table["group"].tolist()
    found = [Own() for _ in sources]
    names = [s.index["id"].astype(str).tolist() for s in sources]
    published = [(s.index["split"] != "").to_numpy() for s in sources]
    for sample, members in enumerate(join.members):
        for source, row in members:
            name = names[source][row]
            found[source].split[name] = splits[sample]
            found[source].group[name] = groups[sample]
            if published[source][row]:
                found[source].fixed.add(name)
    return found
