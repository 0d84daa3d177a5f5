"""Fill the form of a table: means over seeds of the rows that belong in each line, and what no run gives."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.commands.table.form import METRICS, Block, Form, Line, Pick
from zoo.errors import DataError
from zoo.results import joint_word

Row = dict[str, Any]


@dataclass
class Entry:
    """A line of a filled table.

    Attributes:
        label, section: of the line, with what the run adds to it.
        dataset: of the runs; the paper's where no run gives the line.
        rows: of scores, one a seed, in the order of the seeds; none for a line that no run gives.
        values: column -> one value a seed, NaN where unknown.
        paper: column -> what the paper prints.
        words: column -> what is measured, where it is no number.
        remarks: "leaky", "simulated data", ...
        signed: values are differences, shown with their sign.
    """

    label: str
    section: str
    dataset: str
    rows: list[Row] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    paper: Mapping[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    signed: bool = False

    @property
    def seeds(self) -> list[int]:
        """Seeds of its rows."""
        return [r["seed"] for r in self.rows]

    @property
    def n(self) -> str:
        """Test rows: one number, or the smallest and largest over seeds; "" where unknown."""
        known = sorted({int(r["n"]) for r in self.rows if r.get("n") is not None})
        return "" if not known else str(known[0]) if len(known) == 1 else f"{known[0]}-{known[-1]}"

    def estimate(self, column: str) -> tuple[float, float, int]:
        """Mean, standard deviation (over n - 1; NaN for one seed) and number of seeds with a value."""
        known = [v for v in self.values.get(column, []) if math.isfinite(v)]
        mean = statistics.fmean(known) if known else math.nan
        return mean, statistics.stdev(known) if len(known) > 1 else math.nan, len(known)


@dataclass
class Filled:
    """A table with what runs give.

    Attributes:
        form: of the table.
        dataset: of the runs; "" for a table over several.
        entries: its lines.
        missing: labels of lines of the paper that no run gives.
    """

    form: Form
    dataset: str
    entries: list[Entry]
    missing: list[str]

    @property
    def empty(self) -> bool:
        """Whether no run gives anything."""
        return not any(e.rows for e in self.entries)


def fill(form: Form, rows: Sequence[Row], figures: Mapping[str, Mapping[str, str]]) -> list[Filled]:
    """Fill a form: one table a data set of the runs, or one over all where the paper's has several.

    Args:
        form: of the table.
        rows: as ``scores.checked`` returns them.
        figures: of the paper: row -> column -> value; rows of a table of several data sets begin with their name.

    Raises:
        DataError: two rows of scores are of the same thing and seed.
    """
    several = len(form.blocks) > 1
    parts = [(b, d) for b in form.blocks for d in (_datasets(form, b, rows) or [""])]
    filled = []
    for block, dataset in parts:
        entries, missing = _block(form, block, dataset, rows, figures, f"{block.dataset}: " if several else "")
        filled.append(Filled(form, dataset, entries, missing))
    if not several:
        return filled
    return [Filled(form, "", [e for f in filled for e in f.entries], [m for f in filled for m in f.missing])]


def _datasets(form: Form, block: Block, rows: Sequence[Row]) -> list[str]:
    """Data sets of the runs that give something of a block: the paper's first."""
    names = sorted({r["dataset"] for r in rows}, key=lambda d: (not _home(d, block), d))
    found = []
    for name in names:
        mine = [r for r in rows if r["dataset"] == name]
        if not _home(name, block) and any(_home(name, b) for b in form.blocks):
            continue  # it has a block of its own
        near = {r["setting"] for r in mine if block.either or r["direction"] == block.direction}
        fits = not near.isdisjoint(block.key)
        if _home(name, block):
            picks = [p for line in block.lines if not line.extra for _, p in line.picks]
            fits = fits or any(_choose(p, block, name, mine, leaky) for p in picks for leaky in (False, True))
        else:
            fits = fits and near.isdisjoint(block.without)
        found += [name] if fits else []
    return found


def _home(dataset: str, block: Block) -> bool:
    return dataset.startswith(block.home)


def _block(
    form: Form, block: Block, dataset: str, rows: Sequence[Row], figures: Mapping[str, Mapping[str, str]], prefix: str
) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    missing: list[str] = []
    for line in block.lines:
        printed = figures.get(prefix + line.label, {})
        found = list(_entries(form, block, line, dataset, rows, printed)) if dataset else []
        if not found and not line.extra:
            found = [Entry(line.label, line.section, dataset or block.dataset, paper=printed)]
            missing.append(prefix + line.label)
        for entry in found:
            entries.append(entry)
            if form.across and line is not block.lines[0]:
                entries.append(_gain(entries[0], entry, figures.get("Absolute Gain", {}), form.columns))
    if "delta" in form.columns.values():
        _delta(form, entries)
    return entries, missing


def _entries(
    form: Form, block: Block, line: Line, dataset: str, rows: Sequence[Row], printed: Mapping[str, str]
) -> Iterator[Entry]:
    """The variants of a line that runs give: the paper's, others, and each as a leaky replication."""
    first = True
    for (suffix, pick), leaky in itertools.product(line.picks, (False, True)):
        chosen = _choose(pick, block, dataset, rows, leaky)
        if chosen:
            label = line.label + suffix + (", leaky" if leaky else "")
            kept, said = _one_a_seed(chosen, label)
            values = {c: [r[m] for r in kept] for c, m in form.columns.items() if m in METRICS}
            shown = printed if first or leaky else {}
            first = False
            remarks = [*_remarks(kept, pick), *said]
            yield Entry(label, line.section, dataset, kept, values, shown, remarks=remarks)


def _choose(pick: Pick, block: Block, dataset: str, rows: Sequence[Row], leaky: bool) -> list[Row]:
    """The rows of the first combination of a pick's values that has any."""
    mine = [
        r
        for r in rows
        if r["dataset"] == dataset and r["leaky"] == leaky and pick.generator in r["generator"].lower()
    ]
    directions = pick.directions or (block.direction,)
    for wanted in itertools.product(pick.settings, directions, pick.modes, pick.trained):
        found = [r for r in mine if (r["setting"], r["direction"], r["mode"], r["trained"]) == wanted]
        if found:
            return found
    return []


def _one_a_seed(rows: Sequence[Row], label: str) -> tuple[list[Row], list[str]]:
    """One row a seed, the calibrated ones where there are any; and what that left out, in words."""
    calibrated = [r for r in rows if r["calibrated"]]
    kept = sorted(calibrated or rows, key=lambda r: r["seed"])
    remarks = ["calibrated"] if calibrated else []
    left = sorted({r["seed"] for r in rows} - {r["seed"] for r in kept})
    if left:
        remarks.append(f"left out, not calibrated: seed {', '.join(map(str, left))}")
    for one, two in itertools.pairwise(kept):
        if one["seed"] == two["seed"]:
            raise DataError(
                f"'{label}' of {one['dataset']}: two rows of scores for seed {one['seed']} (the other in "
                f"{one['file']}); give each run once, and runs of one configuration only",
                file=two["file"],
            )
    return kept, remarks


def _remarks(rows: Sequence[Row], pick: Pick) -> list[str]:
    """What a reader must know of the rows of a line."""
    first = rows[0]
    found = ["LEAKY: the generator was told the label"] if first["leaky"] else []
    word = joint_word([r["data"] for r in rows])
    found += [] if word == "real" else [f"{word} data"]
    found += [] if first["setting"] == pick.settings[0] else [f"setting: {first['setting']}"]
    if first["mode"] != pick.modes[0]:
        found.append(f"mode: {first['mode']}")
    if first["mode"] != "fusion" and first["trained"] != pick.trained[0]:
        found.append(f"trained: {first['trained']}")
    return found


def _gain(base: Entry, entry: Entry, printed: Mapping[str, str], columns: Mapping[str, str]) -> Entry:
    """The difference to a baseline, over the seeds that both have."""
    gain = Entry(entry.label.replace("Proposed (Ours)", "Absolute Gain"), entry.section, entry.dataset, paper=printed)
    gain.signed = True
    both = sorted(set(base.seeds) & set(entry.seeds))
    if both:
        one, two = dict(zip(base.seeds, base.rows, strict=True)), dict(zip(entry.seeds, entry.rows, strict=True))
        gain.rows = [two[s] for s in both]
        gain.values = {c: [two[s][m] - one[s][m] for s in both] for c, m in columns.items()}
    elif base.rows and entry.rows:
        gain.remarks = ["no seed in common"]
    return gain


def _delta(form: Form, entries: Sequence[Entry]) -> None:
    """Accuracy and macro F1 of a data set's first line minus those of its others."""
    column = next(c for c, m in form.columns.items() if m == "delta")
    metrics = [c for c, m in form.columns.items() if m in METRICS]
    closed = entries[0]
    for entry in entries[1:]:
        if closed.rows and entry.rows:
            less = [closed.estimate(c)[0] - entry.estimate(c)[0] for c in metrics]
            entry.words[column] = " / ".join(f"{v:.{form.decimals}f}" for v in less)
