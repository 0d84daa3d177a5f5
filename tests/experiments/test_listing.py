"""The table of sources: it equals the file, and the counts of real rows are those of the real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.source import SOURCES
from experiments.listing import REAL_ROWS, sources_markdown

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"VQARAD": {"missing_images": "skip"}, "RSNABoneAge": {"folder": "bone_age"}}
"""Some images of the real folder are absent; another has a name of its own."""


def test_the_file_is_the_table() -> None:
    path = ROOT / "datamodules" / "sources" / "README.md"
    same = path.is_file() and path.read_text(encoding="utf-8") == sources_markdown()
    assert same, "the cards have changed: python -m experiments.listing > datamodules/sources/README.md"


def test_every_source_has_a_line() -> None:
    text = sources_markdown()
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == len(SOURCES) + 1
    assert all(line.count(" | ") == 6 for line in lines)
    assert all(f"| {name} |" in text or f"| [{name}](" in text for name in SOURCES)
    for line in lines[1:]:
        if "](" in line:
            assert (ROOT / "datamodules" / "sources" / line.split("](")[1].split(")")[0]).is_file()


@pytest.mark.parametrize("name", sorted(REAL_ROWS))
def test_real_rows(name: str, shared_data: Path) -> None:
    source = SOURCES.get(name)(**ARGUMENTS.get(name, {}))
    source.open(shared_data)
    assert len(source) == REAL_ROWS[name]
