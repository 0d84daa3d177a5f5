"""One case: damage a file, read every row, and judge what came of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.core.options import LoadingOptions
from datamodules.core.prepare import prepare
from datamodules.core.source import Source
from tests.fuzz.damage import damage
from tests.fuzz.formats import Format
from zoo.contract import Sample
from zoo.errors import DataError, ZooError

OUTCOMES = ("error", "read", "wrong row", "unnamed error", "other exception", "crash", "hang")
GOOD = OUTCOMES[:2]
Verdict = tuple[str, str]
"""One of OUTCOMES, and what happened."""


@dataclass(frozen=True)
class Row:
    """What a row held: its labels and the names of its groups, and a digest of its inputs."""

    labels: str
    inputs: str


class Bench:
    """The undamaged files of a format, what they read as, and the cases made from them.

    Args:
        name: of the format.
        format: how to write and to read it.
        folder: an empty folder.
        seed: of the campaign.
    """

    def __init__(self, name: str, format: Format, folder: Path, seed: int = 0) -> None:
        self.name, self.format, self.seed = name, format, seed
        self.folder = format.make().folder
        self.sound, self.trial = folder / "sound", folder / "trial"
        self.sound.mkdir(parents=True)
        format.write(self.sound / self.folder)
        self.files = sorted(p for p in (self.sound / self.folder).glob(format.files) if p.is_file())
        if not self.files:
            raise FileNotFoundError(f"{name}: no file matches {format.files}")
        source = format.make()
        source.open(self._copy())
        self.rows = rows_of(source, range(len(source)))
        self.owner: dict[str, str] = {}
        self.others: dict[str, list[str]] = {}
        self.kept = 0
        if format.per_row:
            self._find_owners()
            self._copy()
            self.kept = self._kept()[0]
        elif len(self.files) > 1:
            self._find_others()

    def _copy(self) -> Path:
        """Link the sound files to where a case may replace one; return their root."""
        shutil.rmtree(self.trial, ignore_errors=True)
        shutil.copytree(self.sound, self.trial, copy_function=os.link)
        return self.trial

    def _find_owners(self) -> None:
        """Learn which row reads a file: the one that fails when it is empty."""
        for path in self.files:
            inside = path.relative_to(self.sound)
            root = self._copy()
            (root / inside).unlink()
            (root / inside).write_bytes(b"")
            source = self.format.make()
            source.open(root)
            for i in range(len(source)):
                with suppress(DataError):
                    source.read(i)
                    continue
                self.owner[str(inside)] = source.id(i)

    def _find_others(self) -> None:
        """Learn which rows do not live in a file: those that are as before when it is gone."""
        for path in self.files:
            inside = path.relative_to(self.sound)
            (self._copy() / inside).unlink()
            source = self.format.make()
            with suppress(DataError):
                source.open(self.trial)
                rows = rows_of(source, range(len(source)))
                self.others[str(inside)] = [n for n, row in rows.items() if self.rows.get(n) == row]

    def _kept(self) -> tuple[int, dict[str, int]]:
        pipe = prepare([self.format.make()], root=self.trial, loading=LoadingOptions(on_error="skip", cache_mib=0))
        return sum(len(r) for r in pipe.rows.values()), dict(pipe.skipped)

    def prepare(self, number: int) -> tuple[Path, str]:
        """Damage one file of a copy; return its path below the root, and how."""
        rng = np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), number])
        path = self.files[int(rng.integers(len(self.files)))]
        inside = path.relative_to(self.sound)
        content, way = damage(path.read_bytes(), rng)
        target = self._copy() / inside
        target.unlink()
        target.write_bytes(content)
        return inside, f"{way} {inside.name} ({len(content)} bytes)"

    def run(self, number: int) -> Verdict:
        """Make case ``number`` and judge it."""
        inside, way = self.prepare(number)
        outcome, text = self._judge(inside)
        return outcome, f"{way}: {text}"

    def _judge(self, inside: Path) -> Verdict:
        source = self.format.make()
        owner = self.owner.get(str(inside), "")
        try:
            source.open(self.trial)
            if self.format.per_row:
                return self._judge_row(source, inside, owner)
            rows = rows_of(source, range(len(source)))
        except ZooError as error:
            return self._named(error, inside)
        except AssertionError as error:
            return "wrong row", str(error)
        except Exception as error:
            return "other exception", f"{type(error).__name__}: {str(error)[:300]}"
        changed = [n for n in self.others.get(str(inside), []) if rows.get(n) != self.rows[n]]
        if changed and not any(inside.name in remark for remark in source.remarks):
            return "wrong row", f"rows of other files have changed: {changed[:3]}"
        same = sum(rows.get(n) == row for n, row in self.rows.items())
        return "read", f"{same} of {len(self.rows)} rows as before, {len(rows)} in all"

    def _judge_row(self, source: Source, inside: Path, owner: str) -> Verdict:
        """Every other row is as before; the row of the file reads, or its error names the file and it is skipped."""
        ids = [source.id(i) for i in range(len(source))]
        if ids != list(self.rows):
            return "wrong row", "the ids have changed"
        others = rows_of(source, [i for i, name in enumerate(ids) if name != owner])
        changed = [n for n, row in others.items() if row != self.rows[n]]
        if changed:
            return "wrong row", f"rows of other files have changed: {changed[:3]}"
        try:
            row = rows_of(source, [ids.index(owner)])[owner]
        except ZooError as error:
            verdict = self._named(error, inside)
            return self._skipped(inside) if verdict[0] == "error" else verdict
        if row.labels != self.rows[owner].labels and "structure" not in {t.kind for t in source.card.tasks}:
            return "wrong row", f"the label of {owner} has changed"
        return "read", "with the same rows"

    def _skipped(self, inside: Path) -> Verdict:
        kept, skipped = self._kept()
        if kept != self.kept - 1 or sum(skipped.values()) != 1 or inside.name not in next(iter(skipped), ""):
            return "wrong row", f"on_error: skip keeps {kept} of {self.kept} rows and skips {skipped}"
        return "error", "and left out by on_error: skip"

    def _named(self, error: ZooError, inside: Path) -> Verdict:
        names = (inside.name, *self.format.named)
        text = str(error)
        return (
            "error" if any(n in text for n in names) else "unnamed error"
        ), f"{type(error).__name__}: {text[:300]}"


def rows_of(source: Source, which: Any) -> dict[str, Row]:
    """Read rows, check that they are what the card promises, and digest them.

    Raises:
        AssertionError: a row is not what its card says, or ``peek`` says another thing than ``read``.
    """
    found, names = {}, source.group_names()
    for i in which:
        sample = source.read(i)
        _check(source, sample)
        peeked = source.peek(i)
        if (peeked.id, repr(peeked.targets), peeked.groups) != (sample.id, repr(sample.targets), sample.groups):
            raise AssertionError(f"peek and read differ in row {sample.id}")
        if sample.id != source.id(i):
            raise AssertionError(f"row {i} is {source.id(i)} and reads as {sample.id}")
        groups = {g: names[g][code] if g in names and code >= 0 else code for g, code in sample.groups.items()}
        labels = repr((sorted(sample.targets.items(), key=lambda kv: kv[0]), sorted(groups.items())))
        found[sample.id] = Row(labels, _digest(sample.inputs))
    return found


def _check(source: Source, sample: Sample) -> None:
    """Raise AssertionError where a raw value breaks the contract of RawModality and RawTask."""
    kinds = {m.name: m.kind for m in source.card.modalities}
    for name, value in sample.inputs.items():
        wrong = not _HOLDS[kinds[name]](value)
        if wrong:
            raise AssertionError(f"row {sample.id}: {name} is no {kinds[name]}: {str(value)[:100]}")
    classes = {t.name: t for t in source.card.tasks}
    for name, target in sample.targets.items():
        task = classes[name]
        if task.kind in ("classification", "ordinal") and target not in task.classes:
            raise AssertionError(f"row {sample.id}: {target!r} is no class of {name}: {task.classes}")
        if task.kind == "multilabel" and not (set(target) <= set(task.classes) and set(target.values()) <= {0, 1}):
            raise AssertionError(f"row {sample.id}: {name} is {target}")
        if task.kind == "regression" and not np.isfinite(list(target.values())).all():
            raise AssertionError(f"row {sample.id}: {name} is {target}")
        if task.kind == "structure" and not (np.isfinite(target).all() and target.shape[1:] == (4,)):
            raise AssertionError(f"row {sample.id}: {name} is {target}")


def _array(value: Any, dimensions: tuple[int, ...], kinds: str = "f") -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.ndim in dimensions
        and value.dtype.kind in kinds
        and value.size > 0
        and bool(np.isfinite(value).all())
    )


_HOLDS: dict[str, Callable[[Any], bool]] = {
    "image": lambda v: _array(v, (2, 3), "uf"),
    "signal": lambda v: _array(v, (2,)),
    "expression": lambda v: _array(v, (1,)),
    "dna": lambda v: isinstance(v, str) and v == v.upper() and bool(v),
    "protein": lambda v: isinstance(v, str) and v == v.upper() and bool(v),
    "text": lambda v: isinstance(v, str),
    "tabular": lambda v: all(
        c is None or isinstance(c, str) or (isinstance(c, float) and np.isfinite(c)) for c in v.values()
    ),
}


def _digest(inputs: dict[str, Any]) -> str:
    made = hashlib.sha256()
    for name in sorted(inputs):
        value = inputs[name]
        made.update(f"{name} ".encode())
        if isinstance(value, np.ndarray):
            made.update(f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            made.update(repr(value).encode("utf-8", "surrogatepass"))
    return made.hexdigest()
