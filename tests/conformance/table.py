"""How a format declares its awkward variants, how one is checked, and the table of all that the documentation shows.

A file ``test_*.py`` of this folder declares formats at its top level and checks them:

    def write_gzip(folder: Path) -> Path: ...                 # makes the file below an empty folder, returns its path

    CSV = Format(
        "csv", library="pandas.read_csv", reference=with_pandas, ours=with_zoo,
        variants=(
            Variant("compressed by gzip", write_gzip),                                       # equal to the reference
            Variant("leading zeros", write_zeros, differs="codes stay words", expected={"zip": ["01"]}),  # by choice
            Variant("rows of two lengths", write_ragged, error="the row has 3 cells"),        # refused
        ),
    )

    @pytest.mark.parametrize("case", cases(CSV), ids=str)
    def test_as_the_reference(case: Case, tmp_path: Path) -> None:
        case.check(tmp_path)

Nothing else is listed anywhere: ``docs/hooks.py`` finds the formats and writes the page.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DataError, MissingExtraError, SpecError

Make = Callable[[Path], Path]
"""Writes a file, or several, below an empty folder, and returns the path that both readers are given."""
Read = Callable[[Path], Any]
"""Reads what lies at a path, as numbers, words, None, lists, mappings and arrays of these."""
LEAST = 15
"""Fewest variants of a format."""


@dataclass(frozen=True)
class Variant:
    """One awkward file, and what is expected of the zoo.

    Attributes:
        name: what is awkward, in words for the page, unique in its format.
        make: writes it.
        ours: how the zoo reads it, where not as the format says.
        reference: how the library reads it, where not as the format says.
        expected: what the zoo gives where that differs from the library by choice.
        differs: the reason for that choice; "" where both are equal.
        error: words of the error by which the zoo refuses the file; "" where it reads it.
        needs: an optional module without which the variant is skipped.
    """

    name: str
    make: Make
    ours: Read | None = None
    reference: Read | None = None
    expected: Any = None
    differs: str = ""
    error: str = ""
    needs: str = ""


@dataclass(frozen=True)
class Format:
    """One format with its reference library.

    Attributes:
        name: of the format, as the page calls it.
        library: the reference library and its function, as the page calls it.
        reference: reads a path by the library alone.
        ours: reads the same path by the zoo, into the same form.
        variants: at least ``LEAST``.
        atol: largest difference of two numbers that count as equal.
    """

    name: str
    library: str
    reference: Read
    ours: Read
    variants: tuple[Variant, ...]
    atol: float = 0.0


@dataclass(frozen=True)
class Case:
    """One variant of one format, as a test is given it."""

    format: Format
    variant: Variant

    def __str__(self) -> str:
        return f"{self.format.name}: {self.variant.name}"

    def check(self, folder: Path) -> None:
        """Make the file below ``folder`` and hold the zoo against the library, or against what is expected."""
        variant = self.variant
        if variant.needs and importlib.util.find_spec(variant.needs) is None:
            import pytest

            pytest.skip(f"'{variant.needs}' is not installed")
        path = variant.make(folder)
        ours = variant.ours or self.format.ours
        if variant.error:
            _refused(ours, path, variant.error)
            return
        got = ours(path)
        if variant.differs:
            assert_same(got, variant.expected, self.format.atol)
        else:
            reference = variant.reference or self.format.reference
            assert_same(got, reference(path), self.format.atol)


def _refused(ours: Read, path: Path, words: str) -> None:
    try:
        got = ours(path)
    except (DataError, SpecError, MissingExtraError) as raised:
        refusal: Exception = raised
    else:
        raise AssertionError(f"expected an error that says {words!r}, got the values {got!r}")
    said = str(refusal).split(" [file:")[0]  # the path holds the name of the variant
    assert words in said, f"expected an error that says {words!r}, got {said}"
    if isinstance(refusal, DataError):
        assert refusal.file is not None, f"the error names no file: {said}"


def cases(*formats: Format) -> list[Case]:
    """Every variant of some formats, for ``pytest.mark.parametrize``."""
    return [Case(f, v) for f in formats for v in f.variants]


def assert_same(got: Any, want: Any, atol: float = 0.0, where: str = "value") -> None:
    """Fail unless two values are equal: mappings by key, lists by place, arrays by shape and number, NaN equals NaN.

    Args:
        got: what the zoo reads.
        want: what it should read.
        atol: largest difference of two numbers that count as equal.
        where: name of the value, for the message.
    """
    if isinstance(want, Mapping):
        assert isinstance(got, Mapping), f"{where}: got {got!r}, want {want!r}"
        assert list(got) == list(want), f"{where}: got the names {list(got)}, want {list(want)}"
        for key in want:
            assert_same(got[key], want[key], atol, f"{where}[{key!r}]")
    elif isinstance(want, np.ndarray):
        assert np.shape(got) == want.shape, f"{where}: got the shape {np.shape(got)}, want {want.shape}"
        if want.dtype.kind in "fiubc":
            np.testing.assert_allclose(np.asarray(got), want, rtol=0, atol=atol, err_msg=where)
        else:
            assert_same(np.asarray(got).tolist(), want.tolist(), atol, where)
    elif isinstance(want, list | tuple):
        assert isinstance(got, list | tuple | np.ndarray), f"{where}: got {got!r}"
        assert len(got) == len(want), f"{where}: got {len(got)} entries, want {len(want)}"
        for place, (one, other) in enumerate(zip(got, want, strict=True)):
            assert_same(one, other, atol, f"{where}[{place}]")
    elif isinstance(want, float | np.floating) and isinstance(got, int | float | np.number):
        np.testing.assert_allclose(float(got), float(want), rtol=0, atol=atol, err_msg=where)
    else:
        assert type(got) is type(want), f"{where}: got {got!r}, want {want!r}"
        assert got == want, f"{where}: got {got!r}, want {want!r}"


def all_formats() -> list[Format]:
    """The formats that the tests of this folder declare, by name."""
    folder = Path(__file__).parent
    found: dict[str, Format] = {}
    for path in sorted(folder.glob("test_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, Format):
                found[value.name] = value
    return [found[n] for n in sorted(found, key=str.lower)]


def outcomes(formats: Sequence[Format]) -> list[tuple[str, ...]]:
    """One line a format: its name, library, and numbers of variants, of equal, different and refused ones."""
    lines = []
    for f in formats:
        differ, refused = sum(bool(v.differs) for v in f.variants), sum(bool(v.error) for v in f.variants)
        numbers = (len(f.variants), len(f.variants) - differ - refused, differ, refused)
        lines.append((f.name, f"`{f.library}`", *map(str, numbers)))
    return lines


def details(one: Format) -> list[tuple[str, ...]]:
    """One line a variant of a format: what is awkward, and what the zoo does with it."""

    def outcome(v: Variant) -> str:
        if v.error:
            return f"refused: “{v.error}”"
        return f"differs by choice: {v.differs}" if v.differs else "equal to the reference"

    return [(v.name, outcome(v)) for v in one.variants]
