"""Every source with a published split: with published_split=False it needs no published test part."""

from __future__ import annotations

import importlib.util
import inspect
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

import datamodules.sources  # noqa: F401  (registers every source)
from datamodules.core.source import SOURCES, Source

DATA = Path(__file__).parents[2] / "data"
HELD_OUT = re.compile(r"(^|[^a-z])(test|testing|testset|val|valid|validate|validation)([^a-z]|set|\d|$)", re.I)
"""Names of files and folders of the parts that a publisher held out."""
NAMES = [n for n in SOURCES.names() if "published_split" in inspect.signature(SOURCES.get(n).__init__).parameters]
ONE_FILE = {"MedMNIST": "all parts lie in one archive", "MIMICCXR": "one table lists all parts"}
EXTRA = {"VinDrCXR": "pydicom", "CBISDDSM": "pydicom"}
ARGUMENTS: dict[str, dict[str, Any]] = {"RSNABoneAge": {"parts": ("train",)}}
"""What a source is told beside; where parts are named one by one, those that are there."""


def module_of(name: str) -> str:
    return SOURCES.get(name).__module__.rsplit(".", 1)[1]


def made(name: str, root: Path) -> Source:
    if name in EXTRA and importlib.util.find_spec(EXTRA[name]) is None:
        pytest.skip(f"'{EXTRA[name]}' is not installed")
    source = SOURCES.get(name)(published_split=False, **ARGUMENTS.get(name, {}))
    if not (root / source.folder).exists():
        runpy.run_path(str(DATA / f"{module_of(name)}.py"))["write"](root / source.folder, 0)
    return source


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ONE_FILE])
def test_no_held_out_part_is_needed(name: str, tmp_path: Path) -> None:
    whole = made(name, tmp_path)
    whole.open(tmp_path)
    gone = []
    for path in sorted((tmp_path / whole.folder).rglob("*")):
        if path.exists() and HELD_OUT.search(path.name):
            gone.append(path.name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not gone:
        return  # no file of a held-out part alone
    alone = made(name, tmp_path)
    alone.open(tmp_path)
    assert 0 < len(alone) <= len(whole)
    assert set(alone.index["split"]) == {""}
    for row in (0, len(alone) - 1):
        assert alone.read(row).id == alone.id(row)


def test_the_enumeration_finds_them() -> None:
    assert len(NAMES) >= 17
    assert {"KermanyOCT", "CheXpert", "ROCO", "SLAKE"} <= set(NAMES)
    assert [w for w in ("test", "b. Testing Set", "testset.json", "camelyonpatch_level_2_split_valid_x.h5", "val.csv",
                        "mass_case_description_test_set.csv") if not HELD_OUT.search(w)] == []  # fmt: skip
    assert [w for w in ("train", "latest.png", "values.csv", "contest") if HELD_OUT.search(w)] == []
