"""The form in which formats declare their variants: what counts as equal, and what every declaration must have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.table import LEAST, Case, Format, Variant, all_formats, assert_same, details, outcomes


def write(folder: Path) -> Path:
    (folder / "one.txt").write_text("1")
    return folder / "one.txt"


def read(path: Path) -> float:
    return float(path.read_text())


def refuse(path: Path) -> float:
    from zoo.errors import DataError

    raise DataError("it is too odd", file=path)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (1, 1.0),
        (float("nan"), float("nan")),
        ({"a": [1.0, None]}, {"a": [1.0, None]}),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
        (["01"], np.array(["01"])),
    ],
)
def test_equal(got: object, want: object) -> None:
    assert_same(got, want)


@pytest.mark.parametrize(
    ("got", "want"),
    [(1.5, 1.0), ("1", 1.0), (None, "None"), ({"b": 1}, {"a": 1}), ([1], [1, 2]), (np.zeros(2), np.zeros((1, 2)))],
)
def test_not_equal(got: object, want: object) -> None:
    with pytest.raises(AssertionError):
        assert_same(got, want)


def test_each_outcome_is_held(tmp_path: Path) -> None:
    def case(variant: Variant) -> Case:
        return Case(Format("one", "float", read, read, (variant,)), variant)

    case(Variant("equal", write)).check(tmp_path)
    case(Variant("another", write, differs="why", expected=1.0)).check(tmp_path)
    case(Variant("refused", write, ours=refuse, error="too odd")).check(tmp_path)
    for wrong in (
        Variant("not equal", write, ours=lambda p: 2.0),
        Variant("not as expected", write, differs="why", expected=3.0),
        Variant("another error", write, ours=refuse, error="too big"),
        Variant("no error", write, error="too odd"),
    ):
        with pytest.raises(AssertionError):
            case(wrong).check(tmp_path)


def test_every_format_has_enough_variants_and_a_line_in_the_page() -> None:
    formats = all_formats()
    assert formats
    for one in formats:
        names = [v.name for v in one.variants]
        assert len(names) >= LEAST, f"{one.name}: {len(names)} variants, at least {LEAST} are wanted"
        assert len(set(names)) == len(names), f"{one.name}: a name repeats"
        assert not [v.name for v in one.variants if v.differs and v.error], one.name
        assert len(details(one)) == len(names)
    assert [line[0] for line in outcomes(formats)] == [f.name for f in formats]
