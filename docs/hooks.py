"""What mkdocs runs on each page: tables that are made from the code, so that they cannot be out of date."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace lines such as ``{{ sources }}`` by the table of that name."""
    for name, make in TABLES.items():
        mark = "{{ " + name + " }}"
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown


def sources() -> str:
    """All sources, from their cards."""
    from datamodules.core.source import SOURCES

    rows = []
    for name in SOURCES:
        card = SOURCES.get(name)().card
        rows.append(
            (
                f"`{name}`",
                ", ".join(f"{m.name} ({m.kind})" for m in card.modalities) or "as described",
                ", ".join(f"{t.name} ({t.kind})" for t in card.tasks) or "as described",
                card.size,
                card.access,
                card.licence,
            )
        )
    return _table(("source", "modalities", "tasks", "size", "access", "licence"), rows)


def names() -> str:
    """Every registry with the names in it, and the first line of each class's docstring."""
    from zoo.registry import discover_all

    parts = []
    for registry in discover_all(everything=True):
        rows = [(f"`{n}`", _first_line(registry.get(n))) for n in registry.names()]
        if rows:
            parts.append(f"## {registry.family.capitalize()}\n\n{_table(('name', 'what it is'), rows)}")
    return "\n".join(parts)


def decisions() -> str:
    """The decisions, newest first."""
    found = sorted((ROOT / "docs" / "decisions").glob("20*.md"), reverse=True)
    return "\n".join(f"- [{p.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}]({p.name})" for p in found)


def conformance() -> str:
    """Every format with its reference library, and every awkward variant with what the zoo does with it."""
    sys.path.insert(0, str(ROOT))  # the declarations are tests, which are not installed
    from tests.conformance.table import all_formats, details, outcomes

    formats = all_formats()
    heads = ("format", "reference", "variants", "equal", "differ by choice", "refused")
    parts = [_table(heads, outcomes(formats))]
    parts += [f"## {f.name}\n\n{_table(('variant', 'what the zoo does'), details(f))}" for f in formats]
    return "\n".join(parts)


def traps() -> str:
    """Every generated trap: whether the audit finds it, and its false alarms."""
    import tempfile

    sys.path.insert(0, str(ROOT))
    from tests.datamodules.audit.traps import SHUFFLES, outcomes

    heads = ("kind", "what leaks", "found", "findings on the clean copy", f"alarms in {SHUFFLES} shuffles of labels")
    with tempfile.TemporaryDirectory() as folder:
        return _table(heads, outcomes(Path(folder)))


def kinds_of_findings() -> str:
    """Every kind of finding of the audit."""
    from datamodules.audit.findings import KINDS

    return _table(("kind", "what it is"), list(KINDS.items()))


def licences() -> str:
    """The libraries that pyproject.toml names, with the licence that each installed one states of itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"always installed": project["dependencies"], **project["optional-dependencies"]}
    needed: dict[str, list[str]] = {}
    for group, lines in groups.items():
        for line in lines:
            name = re.split(r"[\[<>=~! ]", line, maxsplit=1)[0]
            if name != project["name"]:
                needed.setdefault(name, []).append(group)
    rows = [
        (name, ", ".join(where), _licence_of(name))
        for name, where in sorted(needed.items(), key=lambda p: p[0].lower())
    ]
    return _table(("library", "needed by", "licence, as the package states it"), rows)


def _licence_of(name: str) -> str:
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed where this page was made"
    classes = [c.rsplit("::", 1)[1].strip() for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    first = (told.get("License") or "").strip().splitlines()
    short = first[0] if first and len(first[0]) < 60 and first[0] != "UNKNOWN" else ""
    return (
        told.get("License-Expression")
        or "; ".join(c for c in classes if c != "OSI Approved")
        or short
        or "not stated"
    )


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"

    return "\n".join([line(heads), "|" + "---|" * len(heads), *map(line, rows)]) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "sources": sources,
    "names": names,
    "decisions": decisions,
    "conformance": conformance,
    "traps": traps,
    "kinds_of_findings": kinds_of_findings,
    "licences": licences,
}
