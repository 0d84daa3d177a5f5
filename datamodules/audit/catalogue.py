"""What sources there are, and all that is known of one of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import yaml
from rich.console import Console

from datamodules.audit.report import print_table
from datamodules.source import SOURCES, Source
from zoo.errors import unknown_name

ACCESS = ("open", "registration", "credentialed", "simulated", "packaged")


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
    cards = {name: SOURCES.get(name)().card for name in SOURCES.names()}
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
    card = cls().card
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
    lines = []
    for p in _parameters(cls):
        kind = p.annotation if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", str(p.annotation))
        lines.append(f"  {p.name}: {kind} = {p.default!r}")
        if p.name in said:
            lines.append(f"      {said[p.name]}")
    return lines or ["  none"]


def _explanations(docstring: str) -> dict[str, str]:
    """Argument -> what the section Args of a docstring says of it."""
    part = re.search(r"(?:^|\n)Args:\n((?:    .*(?:\n|$)|\n)*)", docstring)
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
    source: dict[str, Any] = {"class_path": class_path(cls)}
    if settings:
        source["init_args"] = settings
    said = {"data": {"class_path": "datamodules.MultimodalDataModule", "init_args": {"sources": [source]}}}
    return yaml.safe_dump(said, sort_keys=False, width=100, default_flow_style=None)


def _plain(value: Any) -> Any:
    """A default as YAML can write it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
