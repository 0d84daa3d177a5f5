"""A plain fit looks for what is cheap to find, warns with the option that closes it, and can be told not to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules import MultimodalDataModule
from datamodules.audit.quick import quick_notices
from datamodules.core.options import LoadingOptions, SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.source import Source
from tests.datamodules.audit.traps import TRAPS, Trap

CHEAP = ("copy by name", "study by name", "label in input", "label words", "shortcut")
"""Kinds that need no decoded picture."""
DECODED = ("letters burnt in near the border", "frames of one study in class folders, which look alike")
KNOWN = [t for t in TRAPS if t.kind in CHEAP and t.words not in DECODED]
KNOWN += [t for t in TRAPS if t.kind == "identical"]


def opened(trap: Trap, folder: Path, *, sprung: bool) -> list[Source]:
    if trap.needs:
        pytest.importorskip(trap.needs)
    return [e.make() for e in trap.write(folder, sprung, np.random.default_rng(0))]


def said(
    sources: list[Source], folder: Path, *, audit: bool = True, split: SplitOptions = SplitOptions()
) -> list[str]:
    """The warnings, but for those of what small data lack."""
    notices = prepare(sources, root=folder, split=split, loading=LoadingOptions(audit=audit)).notices
    return [n for n in notices if not n.startswith(("task ", "the split "))]


@pytest.mark.parametrize("trap", KNOWN, ids=lambda t: t.words)
def test_a_fit_warns_of_it_and_not_without_it(trap: Trap, tmp_path: Path) -> None:
    for sprung in (True, False):
        folder = tmp_path / str(sprung)
        folder.mkdir()
        found = said(opened(trap, folder, sprung=sprung), folder)
        assert any(n.startswith(trap.kind) for n in found) == sprung, found
        assert len(found) <= sprung, found


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    sources = opened(KNOWN[0], tmp_path, sprung=True)
    assert said(sources, tmp_path, audit=False) == []


def test_the_remedy_that_is_named_closes_it(tmp_path: Path) -> None:
    for kind, split in (
        ("copy by name", SplitOptions(group_by="name")),
        ("study by name", SplitOptions(group_by=r"([^/]*\d[^/]*)[ _-][^/ _-]*$")),
        ("identical", SplitOptions(group_duplicates=True)),
    ):
        trap = next(t for t in KNOWN if t.kind == kind)
        folder, again = tmp_path / kind, tmp_path / f"{kind} again"
        folder.mkdir()
        again.mkdir()
        (warning,) = said(opened(trap, folder, sprung=True), folder)
        asked = split.group_by or "data.split.group_duplicates: true"
        assert asked in warning
        assert said(opened(trap, again, sprung=True), again, split=split) == []


def test_no_picture_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = next(t for t in KNOWN if t.kind == "shortcut")
    sources = opened(trap, tmp_path, sprung=True)
    pipeline = MultimodalDataModule(sources, root=str(tmp_path), loading=LoadingOptions(audit=False)).pipeline

    def read(self: Source, row: int) -> None:
        raise AssertionError("a row was read")

    monkeypatch.setattr(type(sources[0]), "read", read)
    assert quick_notices(pipeline)


def test_the_warning_is_printed_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trap = next(t for t in KNOWN if t.kind == "label words")
    MultimodalDataModule(opened(trap, tmp_path, sprung=True), root=str(tmp_path)).print_summary()
    printed = " ".join(capsys.readouterr().out.split())
    assert "warning: label words in 'note': texts hold the name of their class of disease" in printed
    assert "leave 'note' out of data.modalities" in printed
