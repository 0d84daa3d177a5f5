"""Every trap is found, nothing is found on its clean copy, nor where the labels are shuffled."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import datamodules.sources  # noqa: F401
from datamodules.audit import check_all
from tests.datamodules.audit.traps import ABOUT_SPLITS, SCAN, TRAPS, Trap, picture, png, table

ABOUT_LABELS = ("label in input", "label words", "shortcut")


@pytest.fixture(params=TRAPS, ids=lambda t: f"{t.kind}: {t.words}")
def one(request: pytest.FixtureRequest) -> Trap:
    made: Trap = request.param
    if made.needs and importlib.util.find_spec(made.needs) is None:
        pytest.skip(f"'{made.needs}' is not installed")
    return made


def test_the_trap_is_found_and_nothing_else_leaks(one: Trap, tmp_path: Path) -> None:
    found = one.found(tmp_path, sprung=True)
    assert one.kind in {f.kind for f in found}, found
    others = {f.kind for f in found if f.level == "leak"} - {one.kind, one.also}
    assert not others, found


def test_nothing_is_found_on_the_clean_copy(one: Trap, tmp_path: Path) -> None:
    found = one.found(tmp_path, sprung=False)
    assert not found, [f.message for f in found]


@pytest.mark.parametrize("about", [t for t in TRAPS if t.kind in ABOUT_LABELS], ids=lambda t: t.words)
def test_shuffled_labels_raise_no_alarm(about: Trap, tmp_path: Path) -> None:
    if about.needs and importlib.util.find_spec(about.needs) is None:
        pytest.skip(f"'{about.needs}' is not installed")
    assert not about.alarms(tmp_path)


def test_every_kind_that_the_audit_knows_has_a_trap() -> None:
    from datamodules.audit.findings import KINDS

    assert {t.kind for t in TRAPS} | {"search"} == set(KINDS)
    assert set(ABOUT_SPLITS) < set(KINDS)


def test_a_class_that_the_name_holds_is_no_study(tmp_path: Path) -> None:
    """Files such as 3_017.png, of which the first number is the grade."""
    rng = np.random.default_rng(0)
    (tmp_path / "mydata").mkdir()
    rows = []
    for k in range(80):
        file = png(tmp_path / "mydata" / f"{k % 5}_{k:03d}", picture(rng))
        rows.append({"file": file, "disease": f"grade {k % 5}"})
    (source,) = check_all([table(tmp_path, rows, SCAN)], tmp_path).sources
    assert not [f for f in source.findings if f.level == "leak"]
