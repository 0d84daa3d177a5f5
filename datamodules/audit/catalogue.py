"""What sources there are, and all that is known of one of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import yaml
from rich.console import Console

from datamodules.audit.report import print_table
from datamodules.core.source import SOURCES, Source
from datamodules.sources.table import TableModality
from zoo.contract import MODALITIES, TASKS
from zoo.errors import unknown_name
from zoo.registry import Registry
from zoo.table_task import TableTask

ACCESS = ("open", "registration", "credentialed", "simulated", "packaged")
KINDS: dict[type, Registry[Any]] = {TableModality: MODALITIES, TableTask: TASKS}
"""The kinds that the field ``kind`` of a description may name."""


def print_list(console: Console, *, access: Sequence[str] = (), modalities: Sequence[str] = ()) -> int:
    """Print the registered sources.

    Args:
        console: where to.
        access: keep sources of one of these; () keeps all.
        modalities: keep sources that have one of these modalities, or one of such a kind; () keeps all.

    Returns:
        How many were printed.

    Raises:
        UnknownNameError: no source has such a modality, or there is no such access.
    """
    cards = {name: SOURCES.get(name).known_card() for name in SOURCES.names()}
    known = {word for card in cards.values() for m in card.modalities for word in (m.name, m.kind)}
    for what, asked, allowed in (("access", access, ACCESS), ("modality or kind", modalities, known)):
        for name in asked:
            if name not in allowed:
                raise unknown_name(what, name, allowed)
    rows = []
    for name, card in cards.items():
        words = {w for m in card.modalities for w in (m.name, m.kind)}
        if (access and card.access not in access) or (modalities and not words & set(modalities)):
            continue
        rows.append(
            (name, ", ".join(m.name for m in card.modalities), ", ".join(t.name for t in card.tasks),
             card.size or "-", card.licence, card.access)
        )  # fmt: skip
    print_table(console, f"{len(rows)} sources", ("source", "modalities", "tasks", "size", "licence", "access"), rows)
    return len(rows)


def describe(name: str) -> str:
    """Return the card of a source, its arguments and an example of YAML, as text.

    Raises:
        UnknownNameError: there is no such source; with the nearest name.
    """
    cls = SOURCES.get(name)
    card = cls.known_card()
    lines = [f"{name}: {card.title}", "", _summary(cls), ""]
    lines.append("modalities")
    for m in card.modalities:
        more = [f"in {m.unit}" if m.unit else "", f"at {m.sampling_rate:g} Hz" if m.sampling_rate else ""]
        more.append(f"features: {_few(m.features)}" if m.features else "")
        lines.append("  " + ", ".join([f"{m.name} ({m.kind})", *filter(None, more)]))
    lines += [] if card.modalities else ["  as the arguments say"]
    lines.append("tasks")
    for t in card.tasks:
        words = [f"{t.name} ({t.kind})", f"{len(t.classes)} classes: {_few(t.classes)}" if t.classes else ""]
        words += [f"from {', '.join(t.modalities)}" if t.modalities else "", f"reads {t.reads}" if t.reads else ""]
        lines.append("  " + "; ".join(filter(None, [*words, f"in {t.unit}" if t.unit else ""])))
    lines += [] if card.tasks else ["  as the arguments say"]
    for what in ("size", "licence", "access", "citation", "where", "layout", "caution"):
        lines.append(f"{what:<10}{getattr(card, what) or '-'}")
    return "\n".join([*lines, "", "arguments", *_arguments(cls), "", "example", _example(cls)])


def _few(names: Sequence[str], most: int = 30) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _summary(cls: type[Source]) -> str:
    """The docstring of a source before its arguments."""
    text = inspect.getdoc(cls) or ""
    return re.split(r"\n\s*\n?(?:Args|Attributes|Raises):\n", text)[0].strip()


def _parameters(cls: type[Source]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(cls.__init__).parameters.values() if p.name != "self"]


def _arguments(cls: type[Source]) -> list[str]:
    """Each argument with its type, default and explanation."""
    said = _explanations(inspect.getdoc(cls) or "")
    hints = _hints(cls)
    lines = []
    for p in _parameters(cls):
        kind = p.annotation if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", str(p.annotation))
        lines.append(f"  {p.name}: {kind} = {p.default!r}")
        if p.name in said:
            lines.append(f"      {said[p.name]}")
        for described in _dataclasses(hints.get(p.name)):
            lines += [f"      {line}" for line in _fields(described)]
    return lines or ["  none"]


def _hints(cls: type[Source]) -> dict[str, Any]:
    """Argument -> its type; none where a type is only there for type checkers."""
    try:
        return get_type_hints(cls.__init__)
    except NameError:
        return {}


def _dataclasses(hint: Any) -> list[type]:
    """The dataclasses that a type names, such as TableModality in Mapping[str, TableModality] | None."""
    if isinstance(hint, type) and is_dataclass(hint):
        return [hint]
    return [found for part in get_args(hint) for found in _dataclasses(part)]


def _fields(described: type) -> list[str]:
    """Each field of a dataclass with its type, default and explanation, and the kinds that it can be of."""
    said = _explanations(inspect.getdoc(described) or "", "Attributes")
    lines, hints = [f"{described.__name__}:"], get_type_hints(described)
    for field in fields(described):
        lines.append(f"  {field.name}: {field.type}{_default(field)}")
        if field.name in said:
            lines.append(f"      {said[field.name]}")
        for inner in _dataclasses(hints.get(field.name)):
            lines += [f"      {line}" for line in _fields(inner)]
    if described in KINDS:
        declared = KINDS[described].declared()
        width = max(map(len, declared), default=0)
        lines += ["  kinds:", *(f"    {name:<{width}}  {words}" for name, words in declared.items())]
    return lines


def _default(field: Field[Any]) -> str:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    return ", which must be given" if value is MISSING else f" = {value!r}"


def _explanations(docstring: str, section: str = "Args") -> dict[str, str]:
    """Argument -> what a section of a docstring says of it."""
    part = re.search(rf"(?:^|\n){section}:\n((?:    .*(?:\n|$)|\n)*)", docstring)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (part[1] if part else "").splitlines():
        head = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            found |= dict.fromkeys(names, head[2])
        elif line.strip():
            found |= {n: f"{found[n]} {line.strip()}" for n in names}
    return found


def class_path(cls: type[Source]) -> str:
    """The class path by which a configuration names a source."""
    module = cls.__module__
    for package in ("datamodules.sources", "datamodules.phantom"):
        if module.startswith(f"{package}."):
            module = package
    return f"{module}.{cls.__name__}"


def _example(cls: type[Source]) -> str:
    settings = {p.name: _plain(p.default) for p in _parameters(cls) if p.default is not inspect.Parameter.empty}
    settings |= {name: _plain(value) for name, value in cls.example.items()}
    source: dict[str, Any] = {"class_path": class_path(cls)}
    if settings:
        source["init_args"] = settings
    said = {"data": {"class_path": "datamodules.MultimodalDataModule", "init_args": {"sources": [source]}}}
    return yaml.safe_dump(said, sort_keys=False, width=100, default_flow_style=None)


def _plain(value: Any) -> Any:
    """A default as YAML can write it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
